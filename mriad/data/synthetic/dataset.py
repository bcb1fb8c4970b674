"""The synthetic set as a folder: made on first use, only read ever after."""

from __future__ import annotations

import logging
import os
import shutil
import time
import uuid
from functools import partial
from pathlib import Path

import pandas as pd

from mriad.data.catalog import COLUMNS, HEALTHY, Catalog
from mriad.data.synthetic.atlas import load_atlas
from mriad.data.synthetic.person import write_person
from mriad.errors import MriadError

log = logging.getLogger(__name__)

VERSION = 1  # raise it whenever a change of the code changes a pixel: it is part of the folder's name
MANIFEST = "manifest.csv"
_FEW = 24  # people that one process has drawn by the time that others have started

_LIMITS = {
    "healthy_subjects": (1, 100_000),
    "diseased_subjects": (1, 100_000),
    "slices_per_subject": (1, 64),
    "size": (128, 512),
    "seed": (0, 2**63 - 1),
    "workers": (1, 256),
}


def make_synthetic(
    root: Path | str,
    *,
    healthy_subjects: int = 180,
    diseased_subjects: int = 60,
    slices_per_subject: int = 4,
    size: int = 200,
    seed: int = 0,
    workers: int | None = None,
) -> Catalog:
    """The synthetic set below ``root``; it is made if no earlier call with these settings has made it.

    Subjects are bent from the MNI152 template that nilearn carries; nothing is downloaded. The same settings
    and seed give the same bytes, whatever ``workers`` is. Processes that make the set at once do not disturb
    each other: each makes its own, the first to finish wins, the others use what it made.

    Args:
        root: folder of the cached sets; each combination of settings has a folder of its own below it.
        healthy_subjects: people without a lesion.
        diseased_subjects: people with one lesion each, the kinds in turn.
        slices_per_subject: slices of each person; of a diseased one's a quarter, rounded down, is lesion-free.
        size: pixels along each side of a slice, 128..512.
        seed: draws the people, 0 or more.
        workers: processes that draw at once; None takes one per available core, 8 at most. A few people are drawn by
            this process alone.

    Returns:
        A catalog whose root is the set's own folder.

    Raises:
        MriadError: if an argument is out of range, the folder cannot be written, or a made set has lost files.
    """
    settings = {
        "healthy_subjects": healthy_subjects,
        "diseased_subjects": diseased_subjects,
        "slices_per_subject": slices_per_subject,
        "size": size,
        "seed": seed,
    }
    _check({**settings, "workers": 1 if workers is None else workers})
    folder = Path(root) / (
        f"synthetic-v{VERSION}-h{healthy_subjects}-d{diseased_subjects}-s{slices_per_subject}-px{size}-seed{seed}"
    )
    if not folder.exists():
        try:
            _make(folder, workers=workers or _available_cores(), **settings)
        except OSError as error:
            raise MriadError(
                f"The synthetic set cannot be written to {folder} ({error}); choose a folder with free space."
            ) from error
    return _read(folder)


def _check(settings: dict[str, int]) -> None:
    for name, value in settings.items():
        low, high = _LIMITS[name]
        if isinstance(value, bool) or not isinstance(value, int) or not low <= value <= high:
            raise MriadError(f"{name} of the synthetic set is {value!r}; give a whole number from {low} to {high}.")


def _read(folder: Path) -> Catalog:
    try:
        table = pd.read_csv(folder / MANIFEST, dtype=str, keep_default_na=False)
    except (OSError, ValueError) as error:
        raise MriadError(
            f"The synthetic set in {folder} has no readable {MANIFEST}; delete the folder to have it made again."
        ) from error
    catalog = Catalog.from_records(table.to_dict("records"), root=folder)
    masks = [folder / mask for mask in catalog.table["mask"] if mask]
    for lost in (file for file in catalog.files() + masks if not file.is_file()):
        raise MriadError(f"The synthetic set has lost {lost}; delete {folder} to have it made again.")
    return catalog


def _make(folder: Path, *, diseased_subjects: int, workers: int, **settings: int) -> None:
    from joblib import Parallel, delayed, parallel_config  # takes a while, and the set is made once
    from joblib.externals.loky import get_reusable_executor
    from threadpoolctl import threadpool_limits

    log.info("Making the synthetic set in %s (once; about half a minute).", folder)
    start = time.perf_counter()
    unfinished = folder.parent / f".{folder.name}-{os.getpid()}-{uuid.uuid4().hex[:8]}"
    unfinished.mkdir(parents=True)
    try:
        write = delayed(partial(write_person, folder=unfinished, atlas=load_atlas(), **settings))
        people = range(settings["healthy_subjects"] + diseased_subjects)
        workers = workers if len(people) >= _FEW else 1
        # each process draws alone; BLAS threads on top of them would only get in their way
        with parallel_config(backend="loky", inner_max_num_threads=1), threadpool_limits(limits=1):
            written = Parallel(n_jobs=workers)(write(number) for number in people)
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


def _available_cores() -> int:
    from joblib import cpu_count  # takes a while, and the set is made once

    return min(cpu_count(), 8)
