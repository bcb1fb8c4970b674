"""Go on with a training where its last checkpoint left it."""

from __future__ import annotations

import os
from dataclasses import replace
from pathlib import Path

from hydra.core.hydra_config import HydraConfig
from hydra.core.override_parser.overrides_parser import OverridesParser
from omegaconf import DictConfig, OmegaConf, open_dict

from mriad.checkpoints.checkpoint import Checkpoint
from mriad.errors import MriadError
from mriad.experiment.training import Training
from mriad.tracking.sweep import parent_run, slurm_job
from mriad.tracking.tags import OUTPUT_TAG, PARENT_TAG, SLURM_TAG
from mriad.tracking.tracker import Tracker

_FIXED = ("data", "split", "augment", "anomalies", "score", "model", "experiment")
_FIXED_VALUES = ("data.", "model.network.")
_OF_MACHINE = ("compile", "data.on_device", "data.num_workers")  # what this command leaves open is chosen anew
_FREE_VALUES = ("data.root", "data.cache_dir", "data.batch_size", *_OF_MACHINE)


def starting_point(cfg: DictConfig, *, tracker: Tracker, folder: Path) -> Training:
    """A new training, or with ``resume=`` the stored one: its own config, with this command's changes on top.

    A job of a sweep that its cluster has requeued goes on in the run that it has opened before.

    Raises:
        MriadError: if there is nothing to resume, or the command asks for another model or other data.
    """
    choices = {k: v for k, v in HydraConfig.get().runtime.choices.items() if not k.startswith("hydra")}
    if cfg.resume is None:
        new = Training(config=cfg, choices=choices, folder=folder, tracker=tracker, run_id=requeued_run(tracker))
        return _where_it_stopped(new)
    path = _last_checkpoint(str(cfg.resume), tracker)
    stored = Checkpoint.load(path)
    if not stored.resumable:
        raise MriadError(
            f"{path} holds weights only, and a training goes on from its last.ckpt; give that one, or the run's id "
            "(a model that is fitted in one pass cannot be resumed)."
        )
    config = _with_changes(stored, cfg, choices)
    most = config.trainer.get("max_epochs")
    if most is not None and most < stored.epochs:
        raise MriadError(
            f"{path} has {stored.epochs} epochs behind it, more than trainer.max_epochs={most}; give "
            f"{stored.epochs} to calibrate and test what there is, more to go on, or start a new run without resume."
        )
    for callback in config.callbacks.values():
        if callback and "dirpath" in callback:
            callback.dirpath = str(path.parent.absolute())
    run_id = stored.run_id
    if run_id is not None:
        try:
            tracker.find(run_id)
        except MriadError:  # the checkpoint has travelled away from its store
            run_id = None
    return Training(
        config=config, choices=stored.choices, folder=folder, tracker=tracker, run_id=run_id, earlier=stored
    )


def requeued_run(tracker: Tracker) -> str | None:
    """Id of the run that this job of a sweep opened before its cluster requeued it; None if there is none."""
    if "SLURM_RESTART_COUNT" not in os.environ or (parent := parent_run()) is None:
        return None
    this_job = f"tags.`{PARENT_TAG}` = '{parent}' and tags.`{SLURM_TAG}` = '{slurm_job()}'"
    found = tracker.client.search_runs([tracker.experiment_id], this_job, max_results=1)
    return found[0].info.run_id if found else None


def _where_it_stopped(training: Training) -> Training:
    """The same training, from the last checkpoint of its run if that has come far enough to have one."""
    if training.run_id is None:
        return training
    folder = training.tracker.find(training.run_id).tags[OUTPUT_TAG]
    if not (path := Path(folder) / "last.ckpt").exists():  # stopped before its first step, or fitted in one pass
        return training
    return replace(training, earlier=Checkpoint.load(path))


def _last_checkpoint(resume: str, tracker: Tracker) -> Path:
    path = Path(resume).expanduser()
    if path.is_dir():
        path = path / "last.ckpt"
    if path.suffix == ".ckpt" or path.exists():
        return path
    folder = tracker.find(resume).tags.get(OUTPUT_TAG)
    path = Path(folder or ".") / "last.ckpt"
    if folder is not None and not path.parent.exists():
        raise MriadError(
            f"Run '{resume}' cannot be resumed by its id: its folder {folder} is not there, so it was moved or "
            "deleted; give the checkpoint where it lies now, with resume=<folder>/last.ckpt."
        )
    if not path.exists():
        raise MriadError(
            f"Run '{resume}' cannot be resumed: there is no last.ckpt in {folder} (a model that is fitted in one pass "
            "has none); give the checkpoint's path with resume=<path>, or start a new run."
        )
    return path


def _with_changes(stored: Checkpoint, cfg: DictConfig, choices: dict[str, str | None]) -> DictConfig:
    """The stored config, with the values and groups that this command line names."""
    config = stored.config
    for override in OverridesParser.create().parse_overrides(list(HydraConfig.get().overrides.task)):
        name = override.key_or_group
        if name == "resume":
            continue
        if name == "init":
            raise MriadError(
                f"init={cfg.init} cannot be given where a training goes on: it has its weights; drop it, or start a "
                "new run without resume."
            )
        if name in choices:
            if choices[name] == stored.choices.get(name):
                continue
            if name in _FIXED:
                raise MriadError(
                    f"{stored.path} was made with {name}={stored.choices.get(name)}, not {name}={choices[name]}; "
                    f"drop {name}={choices[name]}, or start a new run without resume."
                )
            stored.choices[name] = choices[name]
        elif name.startswith(_FIXED_VALUES) and name not in _FREE_VALUES:
            raise MriadError(
                f"{name} cannot change when a training goes on: it would draw other roles or build another network; "
                f"drop it, or start a new run without resume."
            )
        with open_dict(config):
            OmegaConf.update(config, name, OmegaConf.select(cfg, name), merge=False)
    with open_dict(config):
        for name in _OF_MACHINE:
            OmegaConf.update(config, name, OmegaConf.select(cfg, name))
        config.logger = cfg.logger
        config.callbacks.calibration.rule = config.threshold  # copies in a stored config, which is resolved
        config.model.score = config.score
    return config
