"""Tested runs as a comparison needs them, read from an MLflow store that is left as it is."""

from __future__ import annotations

import json
import tempfile
from collections.abc import Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import TYPE_CHECKING

import pandas as pd

from mriad.errors import MriadError
from mriad.invocation import typed
from mriad.tracking.registry import run_id_of
from mriad.tracking.run import METHOD, Run
from mriad.tracking.store import absolute, connect, database_file, gone, why_away
from mriad.tracking.tags import PARENT_TAG
from mriad.tracking.tracker import nearest_run

if TYPE_CHECKING:
    from mlflow import MlflowClient
    from mlflow.entities import Run as StoredRun

_TEST = "test/"
_MOST = 5000  # runs of a sweep


@dataclass(frozen=True, kw_only=True)
class ScoredRun:
    """A run and what its test found.

    Args:
        run_id: id in the store.
        started: when, in milliseconds since 1970.
        seed: what tells it from other runs of its method.
        options: what the method is, by the names of the parameters.
        metrics: logged test metrics by name, without 'test/'.
        scores: scores table.
        notes: what speaks against its numbers, a clause each.
    """

    run_id: str
    started: int
    seed: str
    options: dict[str, str]
    metrics: dict[str, float]
    scores: pd.DataFrame
    notes: tuple[str, ...] = ()


def read_runs(run_ids: Sequence[str], tracking_uri: str) -> list[ScoredRun]:
    """Read tested runs: trainings, and evaluations of trainings.

    Args:
        run_ids: their ids; one that is named twice is read once. The id of a sweep stands for its finished runs.
        tracking_uri: MLflow tracking URI of a store that is there.

    Raises:
        MriadError: if the store is not there, does not know a run, or a run has no scores.
    """
    tracking_uri = absolute(tracking_uri)
    if (file := database_file(tracking_uri)) and not file.exists():
        raise MriadError(
            f"There is no MLflow store {tracking_uri}; name the one that the runs are in with --tracking-uri, "
            "or go to the folder where they were trained."
        )
    client = connect(tracking_uri)
    named = {run.info.run_id: run for run_id in run_ids for run in _named(client, run_id, tracking_uri)}
    return [_read(client, run, tracking_uri) for run in named.values()]


def _named(client: MlflowClient, run_id: str, tracking_uri: str) -> list[StoredRun]:
    """The run of an id or of a registered detector, or the finished runs of a sweep."""
    from mlflow.exceptions import MlflowException

    run_id = run_id_of(client, run_id, tracking_uri)
    try:
        stored = client.get_run(run_id)
    except MlflowException as error:
        if why := why_away(error):
            raise gone(tracking_uri, why) from error
        raise MriadError(
            f"There is no run '{run_id}' in {tracking_uri}{nearest_run(client, run_id)}; look its id up in the "
            "MLflow UI, or name the store that it is in with --tracking-uri."
        ) from None
    if stored.data.tags.get("kind") != "sweep":
        return [stored]
    below = f"tags.`{PARENT_TAG}` = '{run_id}' and attributes.status = 'FINISHED'"
    found = client.search_runs([stored.info.experiment_id], below, max_results=_MOST, order_by=["start_time"])
    if not found:
        raise MriadError(f"The sweep '{run_id}' has no finished run; wait for one, or start it again.")
    return list(found)


def _read(client: MlflowClient, stored: StoredRun, tracking_uri: str) -> ScoredRun:
    run = Run(client=client, stored=stored, uri=tracking_uri)
    with tempfile.TemporaryDirectory() as folder:
        options, seed = _method(run, Path(folder))
        scores = _scores(run, stored, Path(folder))
    values = {name: value for name, value in stored.data.metrics.items() if name.startswith(_TEST)}
    return ScoredRun(
        run_id=stored.info.run_id,
        started=stored.info.start_time,
        seed=seed,
        options=options,
        metrics={name.removeprefix(_TEST): value for name, value in values.items()},
        scores=scores,
        notes=tuple(_notes(stored)),
    )


def _method(run: Run, folder: Path) -> tuple[dict[str, str], str]:
    """Options and seed; those of a run that says nothing of them are its own, so that it is pooled with no other."""
    try:
        method = json.loads(run.download(METHOD, folder).read_text())
    except MriadError:
        return {"model": run.params.get("model", "unnamed"), "run": run.run_id}, run.run_id
    return method["options"], str(method["seed"])


def _scores(run: Run, stored: StoredRun, folder: Path) -> pd.DataFrame:
    try:
        return pd.read_parquet(run.download("scores.parquet", folder))
    except MriadError:
        pass
    why = f" ({run.tags['failure'].rstrip('.')})" if "failure" in run.tags else ""
    raise MriadError(
        f"Run '{run.run_id}' is {stored.info.status}{why} and has no scores.parquet, for it has not been tested; leave "
        f"it out, or finish it with {typed('train')} resume=<id>."
    )


def _notes(stored: StoredRun) -> list[str]:
    info, tags = stored.info, stored.data.tags
    notes = []
    if "protocol" in tags:
        notes.append(f"a published protocol, {tags['protocol']}; do not believe these numbers")
    if info.status != "FINISHED":
        notes.append(f"run {info.run_id} is {info.status}; its scores may not be its last")
    return notes
