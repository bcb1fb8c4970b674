"""The commands that a run was asked with, and that go on from it, as they are typed."""

from __future__ import annotations

import shlex
from pathlib import Path

from hydra.core.hydra_config import HydraConfig

from mriad.invocation import typed
from mriad.tracking.registry import SCHEME
from mriad.tracking.run import Run


def this_command(run_id: str | None = None) -> tuple[str, str]:
    """What this job was asked to do, as it is typed.

    Args:
        run_id: the run whose detector it took, where it was called by an alias that may point at another later.
    """
    hydra = HydraConfig.get()
    named = run_id and f"run={SCHEME}"
    options = [f"run={run_id}" if named and option.startswith(named) else option for option in hydra.overrides.task]
    sources = {source.provider: source.path for source in hydra.runtime.config_sources}
    own = ["--config-dir", sources["main"]] if "command-line" in sources else []
    return f"{hydra.job.name} again".capitalize(), f"{typed(hydra.job.name)} {shlex.join([*own, *options])}".strip()


def next_commands(detector: str) -> list[tuple[str, str]]:
    """What can be done with a trained detector, and how it is typed.

    Args:
        detector: which one, as in ``run=<id>`` or ``checkpoint=<path>``.
    """
    return [
        ("Test again", f"{typed('evaluate')} {detector}"),
        ("Predict", f"{typed('predict')} {detector} input=<folder>"),
    ]


def places(run: Run, checkpoint: Path | None = None) -> list[tuple[str, str]]:
    """Where to look, for the end of the terminal output; with a new checkpoint also what can be done with it."""
    where = [("MLflow", f"run {run.run_id} ('{run.name}') {run.page}")]
    if (report := run.local_path("report.html")) is not None:
        where.append(("Report", str(report)))
    if checkpoint is None:
        return where
    if checkpoint.exists():
        where.append(("Checkpoint", str(checkpoint)))
    return [*where, *next_commands(f"run={run.run_id}")]
