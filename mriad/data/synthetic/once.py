"""A set of people that is made once and only read ever after, whoever asks for it at the same time."""

from __future__ import annotations

import logging
import os
import shutil
import time
import uuid
from collections.abc import Callable, Mapping
from pathlib import Path

import pandas as pd

from mriad.data.catalog import COLUMNS, HEALTHY, Catalog
from mriad.errors import MriadError

log = logging.getLogger(__name__)

MANIFEST = "manifest.csv"

Writer = Callable[[int, Path], list[dict[str, object]]]
"""Writes the scans of a person into a folder, and says what the manifest lists; class '' for healthy. It is pickled."""


def made_once(
    folder: Path, writer: Callable[[], Writer], *, people: int, workers: int | None, few: int, takes: str
) -> Catalog:
    """The set in a folder; it is made if no earlier call has made it.

    Processes that make it at once do not disturb each other: each makes its own, the first to finish wins, the others
    use what it made.

    Args:
        folder: where the set lies.
        writer: what writes a person; it is asked for only where the set is made.
        people: numbers from 0 on, less than this.
        workers: processes that write at once; None takes one per available core, 8 at most.
        few: people that one process has written by the time that others have started; fewer are left to it alone.
        takes: how long the making takes, in words.

    Raises:
        MriadError: if the folder cannot be written, or a made set has lost files.
    """
    if not folder.exists():
        try:
            log.info("Making the synthetic set in %s (once; %s).", folder, takes)
            _make(folder, writer, people=people, workers=(workers or _available_cores()) if people >= few else 1)
        except OSError as error:
            raise MriadError(
                f"The synthetic set cannot be written to {folder} ({error}); choose a folder with free space."
            ) from error
    return _read(folder)


def require_within(settings: Mapping[str, int], limits: Mapping[str, tuple[int, int]]) -> None:
    """See that settings are whole numbers within their limits.

    Raises:
        MriadError: if one is not.
    """
    for name, value in settings.items():
        low, high = limits[name]
        if isinstance(value, bool) or not isinstance(value, int) or not low <= value <= high:
            raise MriadError(f"{name} of the synthetic set is {value!r}; give a whole number from {low} to {high}.")


def _make(folder: Path, writer: Callable[[], Writer], *, people: int, workers: int) -> None:
    from joblib import Parallel, delayed, parallel_config  # takes a while, and the set is made once
    from joblib.externals.loky import get_reusable_executor
    from threadpoolctl import threadpool_limits

    start = time.perf_counter()
    unfinished = folder.parent / f".{folder.name}-{os.getpid()}-{uuid.uuid4().hex[:8]}"
    unfinished.mkdir(parents=True)
    try:
        write = delayed(writer())
        # each process draws alone; BLAS threads on top of them would only get in their way
        with parallel_config(backend="loky", inner_max_num_threads=1), threadpool_limits(limits=1):
            written = Parallel(n_jobs=workers)(write(number, unfinished) for number in range(people))
        if workers > 1:
            get_reusable_executor().shutdown()  # else they wait five minutes for more
        rows = pd.DataFrame([record for scans in written for record in scans], columns=list(COLUMNS))
        rows["class"] = rows["class"].replace("", HEALTHY)
        rows.to_csv(unfinished / MANIFEST, index=False)
        try:
            unfinished.rename(folder)
        except OSError:
            if not folder.exists():
                raise
            log.info("Another process has made %s meanwhile; it is used.", folder)
    finally:
        shutil.rmtree(unfinished, ignore_errors=True)
    log.info("Made the synthetic set in %.0f s.", time.perf_counter() - start)


def _read(folder: Path) -> Catalog:
    try:
        table = pd.read_csv(folder / MANIFEST, dtype=str, keep_default_na=False)
    except (OSError, ValueError) as error:
        raise MriadError(
            f"The synthetic set in {folder} has no readable {MANIFEST}; delete the folder to have it made again."
        ) from error
    catalog = Catalog.from_records(table.to_dict("records"), root=folder)
    masks = [folder / mask for column in ("mask", "brain_mask") for mask in catalog.table[column] if mask]
    for lost in (file for file in catalog.files() + masks if not file.is_file()):
        raise MriadError(f"The synthetic set has lost {lost}; delete {folder} to have it made again.")
    return catalog


def _available_cores() -> int:
    from joblib import cpu_count  # takes a while, and the set is made once

    return min(cpu_count(), 8)
