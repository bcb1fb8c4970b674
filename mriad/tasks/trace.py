"""What a run leaves in MLflow so that it can be found, read and repeated."""

from __future__ import annotations

import shlex
from collections.abc import Mapping
from pathlib import Path
from typing import Any

from hydra.core.hydra_config import HydraConfig
from omegaconf import DictConfig, OmegaConf

from mriad.data import MRIDataModule
from mriad.models import Detector
from mriad.tasks.resume import OUTPUT_TAG
from mriad.tasks.serving import log_model
from mriad.tracking.run import Run, Tracker

# said elsewhere, or the same in every run
_UNTOLD = (
    "callbacks.best",
    "callbacks.calibration.rule",
    "callbacks.last",
    "logger",
    "model.members",
    "model.score",
    "resume",
    "sweep",
    "trainer.enable",
    "trainer.log_every",
    "trainer.num_sanity",
)


def describe(choices: Mapping[str, str | None], seed: int, labelled_train: int) -> str:
    """Name of a run, such as 'vae nickparvar youden seed 0', with 'labelled 20' where so many scans trained."""
    named = f"{choices['model']} {choices['data']} {choices['threshold']}"
    return f"{named} labelled {labelled_train} seed {seed}" if labelled_train else f"{named} seed {seed}"


def tags(choices: Mapping[str, str | None], folder: Path, labelled_train: int) -> dict[str, str]:
    """Tags of a training run."""
    place = {OUTPUT_TAG: str(folder.absolute())}
    return {"kind": "training", **place, **protocol(choices), **labelled(labelled_train)}


def labelled(labelled_train: int) -> dict[str, str]:
    """The tag of a detector that has seen anomalous scans with their masks; none for any other."""
    return {"labelled_train": str(labelled_train)} if labelled_train else {}


def protocol(choices: Mapping[str, str | None]) -> dict[str, str]:
    """The tag that a published, flawed protocol carries."""
    split = choices.get("split") or ""
    return {"protocol": f"{split}: flawed on purpose"} if split.startswith("published") else {}


def record_options(run: Run, cfg: DictConfig, choices: Mapping[str, str | None]) -> dict[str, Any]:
    """Log the resolved config, flat parameters and the environment.

    Returns:
        The record that checkpoints carry: config, choices and run id as plain values.
    """
    config = OmegaConf.to_container(cfg, resolve=True)
    assert isinstance(config, dict)
    run.log_text(OmegaConf.to_yaml(cfg, resolve=True), "config.yaml")
    named = {name: choice for name, choice in choices.items() if choice is not None}
    flat = {name: value for name, value in _flat(config).items() if not name.startswith(_UNTOLD)}
    run.log_params(named | flat)
    run.log_environment()
    return {"config": config, "choices": dict(choices), "run_id": run.run_id}


def rule_options(cfg: DictConfig) -> dict[str, Any]:
    """The values of a threshold rule that an evaluation names, such as ``threshold.q``."""
    rule = OmegaConf.to_container(cfg.threshold, resolve=True) if cfg.get("threshold") else {}
    return _flat(rule, "threshold") if rule else {}


def record_scans(run: Run, datamodule: MRIDataModule) -> dict[str, Any]:
    """Log the split.

    Returns:
        The record that checkpoints carry besides: who stood in which role, and what the seen scans look like.
    """
    split = datamodule.split_as_csv()
    run.log_table(split, "split.csv")
    return {
        "split": split[["path", "role", "group"]].to_dict(orient="list"),
        "seen": datamodule.seen().to_dict(orient="list"),
    }


def keep_checkpoint(run: Run, tracker: Tracker, cfg: DictConfig, detector: Detector, checkpoint: Path) -> None:
    """Put the calibrated checkpoint and the model made of it into the store."""
    run.log_file(checkpoint, "checkpoint")
    if tracker.log_model:
        log_model(run, detector, checkpoint, copy=tracker.model_copy)
    if not cfg.callbacks.get("last"):  # a network too big to be kept twice
        checkpoint.unlink()


def this_command() -> tuple[str, str]:
    """What this job was asked to do, as it is typed."""
    hydra = HydraConfig.get()
    return f"{hydra.job.name} again".capitalize(), shlex.join(["python", f"{hydra.job.name}.py", *hydra.overrides.task])


def next_commands(detector: str) -> list[tuple[str, str]]:
    """What can be done with a trained detector, and how it is typed.

    Args:
        detector: which one, as in ``run=<id>`` or ``checkpoint=<path>``.
    """
    return [
        ("Test again", f"python evaluate.py {detector}"),
        ("Predict", f"python predict.py {detector} input=<folder>"),
    ]


def places(run: Run, name: str, checkpoint: Path | None = None) -> list[tuple[str, str]]:
    """Where to look, for the end of the terminal output; with a new checkpoint also what can be done with it."""
    where = [("MLflow", f"run {run.run_id} ('{name}') in {run.uri}; open it with: make ui")]
    if (report := run.local_path("report.html")) is not None:
        where.append(("Report", str(report)))
    if checkpoint is None:
        return where
    if checkpoint.exists():
        where.append(("Checkpoint", str(checkpoint)))
    return [*where, *next_commands(f"run={run.run_id}")]


def _flat(node: Any, prefix: str = "") -> dict[str, Any]:
    """Leaves by dotted name, without the class names that are the same in every run of an option."""
    if isinstance(node, dict):
        inner = [
            _flat(value, f"{prefix}.{key}" if prefix else str(key))
            for key, value in node.items()
            if key not in ("_target_", "_partial_")
        ]
        return {name: value for part in inner for name, value in part.items()}
    return {prefix: node} if prefix else {}
