"""Give a trained detector a name in MLflow's registry."""

from __future__ import annotations

from hydra.utils import instantiate
from omegaconf import DictConfig
from rich.console import Console

from mriad.errors import MriadError
from mriad.experiment.commands import next_commands
from mriad.terminal import say
from mriad.tracking.registry import register as put_into_registry
from mriad.tracking.tracker import Tracker


def register(cfg: DictConfig) -> None:
    """Register the model of a run, and say how the detector is called from now on.

    Args:
        cfg: the composed ``conf/register.yaml``.

    Raises:
        MriadError: on bad input, or if the run has no model.
    """
    if cfg.run is None:
        raise MriadError("Say which detector: run=<MLflow run id of a training>.")
    tracker: Tracker = instantiate(cfg.logger)
    run = tracker.find(str(cfg.run))
    if run.tags.get("kind") == "evaluation":
        raise MriadError(
            f"Run '{run.run_id}' is an evaluation; register the training it tests, "
            f"run={run.tags.get('source_run', '<id>')}."
        )
    version = put_into_registry(tracker.client, run, name=cfg.name, alias=cfg.alias)
    called = f"models:/{cfg.name}@{cfg.alias}" if cfg.alias else f"models:/{cfg.name}/{version}"
    console = Console()
    say(console, "Registered", f"version {version} of '{cfg.name}': run {run.run_id} ('{run.name}')")
    for what, command in next_commands(f"run={called}"):
        say(console, what, command)
