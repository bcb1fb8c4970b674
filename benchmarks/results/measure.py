"""Measure rows of a table: run their commands, read their runs, write their lines."""

from __future__ import annotations

import json
import os
import re
import shlex
import subprocess
import sys
import tempfile
from collections.abc import Iterator, Sequence
from pathlib import Path

import numpy as np
import pandas as pd

from benchmarks.results.history import ROOT
from benchmarks.results.table import Definition, Line, Row
from mriad.audit.features import FEATURES
from mriad.compare.comparison import compare
from mriad.compare.methods import logged_metrics, pool
from mriad.compare.runs import ScoredRun, read_runs
from mriad.errors import MriadError
from mriad.metrics.image import confusion
from mriad.tracking.run import Run
from mriad.tracking.store import connect

COUNTS = ("tn", "fp", "fn", "tp")
AUDIT = "audit"
_STAGES = {"raw": "of the file", "scaled": "scaled"}


def measure(
    definition: Definition, rows: Sequence[str], options: Sequence[str], *, folder: Path, whence: dict[str, str]
) -> Iterator[Line]:
    """Measure rows in all their variants, one command after the other.

    Args:
        definition: the table.
        rows: labels of the rows.
        options: further options of every command, such as data.root=..., trainer=gpu.
        folder: where the commands run; their store stays there.
        whence: commit, date and machine.

    Raises:
        MriadError: if a command fails.
    """
    for label in rows:
        row = definition.rows[label]
        first = _run(row.before, options, folder)[0][0].run_id if row.before else None
        for variant, command in definition.commands(label).items():
            runs, store = _run(command.replace("RUN_ID", first) if first else command, options, folder)
            if row.recalibrated is not None:
                yield _recalibrated(label, command, runs[0].run_id, row.recalibrated, options, folder, whence)
                continue

            def line(variant: str, runs: list[ScoredRun], command: str, label: str = label, store: str = store) -> Line:
                return Line(
                    row=label,
                    variant=variant,
                    values=_values(runs, definition, definition.rows[label], variant, store),
                    seeds=str(len(runs)),
                    command=command,
                    **whence,
                )

            whole = f"{command}, where RUN_ID is of: {row.before}" if row.before else command
            yield line(variant, runs, _told(whole, options))
            for elsewhere, words in definition.evaluations.items():
                asked = [f"python evaluate.py run={run.run_id} {words}" for run in runs]
                tested = [run for one in asked for run in _run(one, options, folder, kind="evaluation")[0]]
                yield line(elsewhere, tested, _told(f"python evaluate.py run=RUN_ID {words}", options))


def _recalibrated(
    label: str, command: str, run_id: str, words: str, options: Sequence[str], folder: Path, whence: dict[str, str]
) -> Line:
    """The line of a row whose scores on other data are recalibrated."""
    from benchmarks.recalibration import recalibrated

    (tested,), _ = _run(f"python evaluate.py run={run_id} {words}", options, folder, kind="evaluation")
    return Line(
        row=label,
        values={
            name: str(value) if isinstance(value, int) else _rounded(value, 3)
            for name, value in recalibrated(tested.scores).items()
        },
        seeds="1",
        command=_told(f"{command}, and then: python evaluate.py run=RUN_ID {words}", options),
        **whence,
    )


def _run(command: str, options: Sequence[str], folder: Path, *, kind: str = "training") -> tuple[list[ScoredRun], str]:
    """Run a command of a table in a store, and give the runs of a kind that it made."""
    folder.mkdir(parents=True, exist_ok=True)
    store = f"sqlite:///{folder.absolute() / 'mlflow.db'}"
    before = _stored(store, kind)
    words = [word for word in shlex.split(command)[2:] if word != "data.root=DATA"]
    if any("=DATA/" in word for word in words):  # of several data sets, each in its folder
        roots = [word.removeprefix("data.root=") for word in options if word.startswith("data.root=")]
        if not roots:
            raise MriadError("Give the folder that holds the data sets: data.root=<folder>.")
        words = [word.replace("=DATA/", f"={roots[-1]}/") for word in words]
    if any(word.startswith("data.root=") for word in words) or "data=synthetic" in words:
        options = [word for word in options if not word.startswith("data.root=")]
    script = ROOT / shlex.split(command)[1]
    done = subprocess.run(
        [sys.executable, str(script), *words, *options],
        cwd=folder,
        env=os.environ | {"PYTHONPATH": str(ROOT), "MLFLOW_TRACKING_URI": store},
    )
    if done.returncode:
        raise MriadError(f"'{command}' ended with exit code {done.returncode}; what it printed says why.")
    return read_runs(sorted(_stored(store, kind) - before), store), store


def _stored(store: str, kind: str) -> set[str]:
    if not Path(store.removeprefix("sqlite:///")).exists():
        return set()
    client = connect(store)
    experiments = [experiment.experiment_id for experiment in client.search_experiments()]
    return {run.info.run_id for run in client.search_runs(experiments, f"tags.kind = '{kind}'", max_results=5000)}


def _values(runs: Sequence[ScoredRun], definition: Definition, row: Row, variant: str, store: str) -> dict[str, str]:
    """The values of the columns of a variant, with their companions, as they are printed."""
    wanted = definition.wanted(variant)
    if row.audit:
        return _audit(runs[0], wanted[0], store)
    methods, _ = pool(runs)
    if len(methods) != 1:
        raise MriadError(f"Row of {', '.join(run.run_id for run in runs)}: its runs differ by more than their seed.")
    label = methods[0].name
    found = logged_metrics(methods).iloc[0].drop("method")
    if runs[0].scores["label"].nunique() > 1:
        compared = compare({label: {run.run_id: run.scores for run in runs}}).methods.iloc[0]
        found = pd.concat([found, compared])
    for name, count in zip(COUNTS, confusion(runs[0].scores).ravel(), strict=True):
        found[name] = count
    values: dict[str, str] = {}
    for metric in wanted:
        if metric == AUDIT:
            values |= _audit(runs[0], metric, store)
            continue
        values[metric] = str(found[metric]) if metric in COUNTS else _rounded(found.get(metric), 3)
        values[f"{metric}_sd"] = _rounded(found.get(f"{metric}_sd"), 3)
        for end in ("low", "high"):
            values[f"{metric}_{end}"] = _rounded(found.get(f"{metric}_{end}"), 2)
    return {name: value for name, value in values.items() if value}


def _audit(run: ScoredRun, metric: str, store: str) -> dict[str, str]:
    """The best AUROC without a model, and the feature that it comes from."""
    client = connect(store)
    stored = Run(client=client, stored=client.get_run(run.run_id), uri=store)
    with tempfile.TemporaryDirectory() as folder:
        best = json.loads(stored.download("audit.json", Path(folder)).read_text())["features"][0]
    return {
        metric: _rounded(best["auroc"], 3),
        f"{metric}_note": f"{FEATURES[best['feature']]}, {_STAGES[best['stage']]}",
    }


def _rounded(value: float | None, digits: int) -> str:
    return "" if value is None or np.isnan(value) else f"{value:.{digits}f}"


def _told(command: str, options: Sequence[str]) -> str:
    """The command with its further options, without the place of the data."""
    return " ".join([command, *(shlex.quote(word) for word in options if not re.match(r"data\.root=", word))])


def postprocessing(definition: Definition, checkpoints: Sequence[Path], *, whence: dict[str, str]) -> list[Line]:
    """Measure the table of post-processing steps on the val scans of trained detectors."""
    from benchmarks.postprocessing import STEPS, measured
    from mriad.checkpoints.checkpoint import Checkpoint

    loaded = [Checkpoint.load(file) for file in checkpoints]
    lines = []
    for variant, options in definition.variants.items():
        found = [measured(checkpoint, options.split()) for checkpoint in loaded]
        for label, step in zip(definition.rows, STEPS, strict=True):
            means = {name: np.mean([metrics[step][name] for metrics in found]) for name in definition.metrics}
            lines.append(
                Line(
                    row=label,
                    variant=variant,
                    values={name: f"{mean:.3f}" for name, mean in means.items()},
                    seeds=str(len(loaded)),
                    command=" ".join([definition.command, options]).strip(),
                    **whence,
                )
            )
    order = list(definition.rows)
    return sorted(lines, key=lambda line: order.index(line.row))
