"""What a run leaves in MLflow so that it can be found, read and repeated."""

from __future__ import annotations

import shlex
from collections.abc import Mapping
from pathlib import Path
from typing import Any

import torch
from hydra.core.hydra_config import HydraConfig
from hydra.core.override_parser.overrides_parser import OverridesParser
from omegaconf import DictConfig, OmegaConf

from mriad.checkpoints.checkpoint import Checkpoint, is_published
from mriad.data.datamodule import MRIDataModule
from mriad.data.roles.identity import new_key
from mriad.experiment.data_sets import data_sets
from mriad.invocation import typed
from mriad.models import Detector
from mriad.prediction.serving import log_model
from mriad.tracking.registry import SCHEME
from mriad.tracking.run import OUTPUT_TAG, Run, Tracker
from mriad.tracking.sweep import job_options, parent_run, this_job

# what a person looks for first stands first on the run's page
_FIRST = ("model", "data", "threshold", "seed", "score", "split", "augment", "anomalies")
# said elsewhere, or the same in every run
_UNTOLD = (
    "callbacks.best",
    "callbacks.calibration.rule",
    "callbacks.early_stopping.mode",
    "callbacks.last",
    "data.cache_dir",
    "data.preprocess.image_size",
    "logger",
    "model.members",
    "model.network.image_size",
    "model.optimizer.fused",
    "model.score",
    "resume",
    "sweep",
    "trainer.enable",
    "trainer.log_every",
    "trainer.num_sanity",
)
_NOT_NAMED = ("data.root", "run", "checkpoint")  # options of a job that say nothing a person could read


def describe(
    choices: Mapping[str, str | None], seed: int, labelled_train: int, varied: Mapping[str, str] | None = None
) -> str:
    """Name of a run, such as 'vae nickparvar youden seed 0', with 'labelled 20' where so many scans trained.

    In a sweep what varies stands first, as in 'beta=0.01 seed 0 vae nickparvar youden': MLflow shows few letters.

    Args:
        choices: names of the option files.
        seed: of the training.
        labelled_train: number of anomalous scans that trained with their masks.
        varied: options in which the jobs of its sweep differ.
    """
    varied = {name: value for name, value in (varied or {}).items() if name not in _NOT_NAMED}
    words = {name: str(choices[name]) for name in ("model", "data", "threshold")}
    words |= {"data.labelled_train": f"labelled {labelled_train}"} if labelled_train else {}
    words |= {name: f"{name.rpartition('.')[2]}={_short(value)}" for name, value in varied.items() if name not in words}
    words["seed"] = f"seed {seed}"
    return " ".join(words[name] for name in sorted(words, key=lambda name: name not in varied))[:250]


def varied_here(tracker: Tracker) -> dict[str, str]:
    """The options of this job in which the jobs of its sweep differ; none outside of a sweep."""
    if (parent := parent_run()) is None:
        return {}
    given = OverridesParser.create().parse_overrides(shlex.split(tracker.find(parent).tags["overrides"]))
    shared = {option.key_or_group for option in given if not option.is_sweep_override()}
    return {name: value for name, value in job_options(this_job() or "").items() if name not in shared}


def tags(choices: Mapping[str, str | None], data: DictConfig, folder: Path) -> dict[str, str]:
    """Tags of a training run; ``data`` are the options of that name."""
    place = {OUTPUT_TAG: str(folder.absolute())}
    return {"kind": "training", **place, **protocol(choices, data), **labelled(data.get("labelled_train", 0))}


def labelled(labelled_train: int) -> dict[str, str]:
    """The tag of a detector that has seen anomalous scans with their masks; none for any other."""
    return {"labelled_train": str(labelled_train)} if labelled_train else {}


def protocol(choices: Mapping[str, str | None], data: DictConfig) -> dict[str, str]:
    """The tag that a published, flawed protocol carries; see ``is_published``."""
    return {"protocol": f"{choices.get('split')}: flawed on purpose"} if is_published(choices, data) else {}


def record_options(run: Run, cfg: DictConfig, choices: Mapping[str, str | None]) -> dict[str, Any]:
    """Log the resolved config, flat parameters and the environment.

    Returns:
        The record that checkpoints carry: config, choices and run id as plain values.
    """
    config = OmegaConf.to_container(cfg, resolve=True)
    assert isinstance(config, dict)
    run.log_text(OmegaConf.to_yaml(config), "config.yaml")
    named = {name: choice for name, choice in choices.items() if choice is not None}
    told = {name: value for name, value in (named | _flat(config)).items() if not name.startswith(_UNTOLD)}
    told["threads"] = torch.get_num_threads()
    run.log_params({name: told[name] for name in _FIRST if name in told} | told)
    run.log_environment()
    return {"config": config, "choices": dict(choices), "run_id": run.run_id}


def rule_options(cfg: DictConfig) -> dict[str, Any]:
    """The values of a threshold rule that an evaluation names, such as ``threshold.q``."""
    rule = OmegaConf.to_container(cfg.threshold, resolve=True) if cfg.get("threshold") else {}
    return _flat(rule, "threshold") if rule else {}


def record_scans(run: Run, datamodule: MRIDataModule, earlier: Checkpoint | None = None) -> dict[str, Any]:
    """Log the split, and the data sets by their roles.

    Args:
        run: where to.
        datamodule: the scans in their roles.
        earlier: the checkpoint that a training goes on from, which knows scans that may have gone since.

    Returns:
        The record that checkpoints carry besides: who stood in which role, and what the seen scans look like, all of
        it in marks under a key of its own.
    """
    run.log_table(datamodule.split_as_csv(), "split.csv")
    run.log_data_sets(data_sets(datamodule))
    if earlier is not None:
        key, split, seen = earlier.key, earlier.split, earlier.seen
    else:
        key = new_key()
        split, seen = datamodule.roles(key), datamodule.seen(key)
    return {"key": key, "split": split.to_dict(orient="list"), "seen": seen.to_dict(orient="list")}


def keep_checkpoint(run: Run, tracker: Tracker, cfg: DictConfig, detector: Detector, checkpoint: Path) -> None:
    """Put the calibrated checkpoint and the model made of it into the store."""
    run.log_file(checkpoint, "checkpoint")
    if tracker.log_model:
        log_model(run, detector, checkpoint, copy=tracker.model_copy)
    if not cfg.callbacks.get("last"):  # a network too big to be kept twice
        checkpoint.unlink()


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


def places(run: Run, name: str, checkpoint: Path | None = None) -> list[tuple[str, str]]:
    """Where to look, for the end of the terminal output; with a new checkpoint also what can be done with it."""
    where = [("MLflow", f"run {run.run_id} ('{name}') {run.page}")]
    if (report := run.local_path("report.html")) is not None:
        where.append(("Report", str(report)))
    if checkpoint is None:
        return where
    if checkpoint.exists():
        where.append(("Checkpoint", str(checkpoint)))
    return [*where, *next_commands(f"run={run.run_id}")]


def _short(value: str) -> str:
    """A number without the digits that a search draws beyond reading."""
    try:
        return f"{float(value):.4g}" if len(value) > 6 else value
    except ValueError:
        return value


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
