"""What a run leaves in MLflow so that it can be found, read and repeated."""

from __future__ import annotations

from collections.abc import Mapping
from pathlib import Path
from typing import Any

import pandas as pd
import torch
from omegaconf import DictConfig, OmegaConf

from mriad.checkpoints.checkpoint import Checkpoint
from mriad.data.datamodule import MRIDataModule
from mriad.data.roles.identity import new_key
from mriad.experiment.data import data_sets
from mriad.experiment.method import log_method
from mriad.models import Detector
from mriad.prediction.serving import log_model
from mriad.tracking.run import Run
from mriad.tracking.tracker import Tracker

# what a person looks for first stands first on the run's page
_FIRST = ("model", "data", "threshold", "seed", "score", "split", "augment", "anomalies")
# said elsewhere, or the same in every run
_NOT_LOGGED = (
    "callbacks.best",
    "callbacks.calibration.rule",
    "callbacks.early_stopping.mode",
    "callbacks.last",
    "data.cache_dir",
    "data.preprocess.image_size",
    "logger",
    "model.members",
    "model.network.image_size",
    "model.network.neighbours",
    "model.optimizer.fused",
    "model.score",
    "resume",
    "sweep",
    "threads",
    "trainer.enable",
    "trainer.log_every",
    "trainer.num_sanity",
)


def record_options(run: Run, cfg: DictConfig, choices: Mapping[str, str | None]) -> dict[str, Any]:
    """Log the resolved config, flat parameters and the environment.

    Returns:
        The record that checkpoints carry: config, choices and run id as plain values.
    """
    config = OmegaConf.to_container(cfg, resolve=True)
    assert isinstance(config, dict)
    run.log_text(OmegaConf.to_yaml(config), "config.yaml")
    params = logged_options(config, choices)
    first = {name: params[name] for name in _FIRST if name in params}
    run.log_params(first | params | {"threads": torch.get_num_threads()})
    log_method(run, params)
    run.log_environment()
    return {"config": config, "choices": dict(choices), "run_id": run.run_id}


def logged_options(config: dict[Any, Any], choices: Mapping[str, str | None]) -> dict[str, Any]:
    """The parameters of a training: its choices of option files and its values, by dotted name.

    Args:
        config: the options as plain values.
        choices: the option file of each config group.
    """
    named = {name: choice for name, choice in choices.items() if choice is not None}
    if config.get("init") is None:  # as in runs from before there was such an option
        config = {name: value for name, value in config.items() if name != "init"}
    return {name: value for name, value in (named | _flat(config)).items() if not name.startswith(_NOT_LOGGED)}


def rule_options(cfg: DictConfig) -> dict[str, Any]:
    """The values of a threshold rule that an evaluation names, such as ``threshold.q``."""
    rule = OmegaConf.to_container(cfg.threshold, resolve=True) if cfg.get("threshold") else {}
    return _flat(rule, "threshold") if rule else {}


def record_scans(
    run: Run, datamodule: MRIDataModule, earlier: Checkpoint | None = None, initial: Checkpoint | None = None
) -> dict[str, Any]:
    """Log the split, and the data sets by their roles.

    Args:
        run: where to.
        datamodule: the scans in their roles.
        earlier: the checkpoint that a training goes on from, which knows scans that may have gone since.
        initial: the checkpoint that a new training has its first weights from: what that has seen stays known, by its
            key.

    Returns:
        The record that checkpoints carry besides: who stood in which role, and what the seen scans look like, all of
        it in marks under a key of its own.
    """
    run.log_table(datamodule.split_as_csv(), "split.csv")
    run.log_data_sets(data_sets(datamodule))
    if earlier is not None:
        key, split, seen = earlier.key, earlier.split, earlier.seen
        elsewhere, labelled = earlier.seen_elsewhere, earlier.labelled_before
    else:
        key = new_key() if initial is None else initial.key
        split, seen = datamodule.roles(key), datamodule.seen(key)
        elsewhere = pd.DataFrame() if initial is None else initial.known
        labelled = 0 if initial is None else initial.labelled_train
    trained = earlier.trained if earlier is not None else datamodule.training_set.trained_on()
    return {
        "key": key,
        "split": split.to_dict(orient="list"),
        "seen": seen.to_dict(orient="list"),
        "seen_elsewhere": elsewhere.to_dict(orient="list"),
        "labelled_before": labelled,
        "trained": trained,
    }


def keep_checkpoint(run: Run, tracker: Tracker, cfg: DictConfig, detector: Detector, checkpoint: Path) -> None:
    """Put the calibrated checkpoint and the model made of it into the store."""
    run.log_file(checkpoint, "checkpoint")
    if tracker.log_model:
        log_model(run, detector, checkpoint, copy=tracker.model_copy)
    if not cfg.callbacks.get("last"):  # a network too big to be kept twice
        checkpoint.unlink()


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
