"""The one step that settles what a run is: its options, what it goes on from, its store and its devices."""

from __future__ import annotations

from dataclasses import replace
from pathlib import Path
from typing import get_args

from hydra.core.hydra_config import HydraConfig
from hydra.utils import instantiate
from omegaconf import DictConfig, open_dict

from mriad.checkpoints.checkpoint import Checkpoint
from mriad.checkpoints.named import named_checkpoint
from mriad.data.roles.grouping import Patients
from mriad.errors import MriadError
from mriad.experiment.evaluation import Evaluation
from mriad.experiment.initial import Initial
from mriad.experiment.job import prepare
from mriad.experiment.members import Members
from mriad.experiment.recalibration import Recalibration
from mriad.experiment.resume import starting_point
from mriad.experiment.training import Training
from mriad.processes.devices import processes_to_start
from mriad.processes.hardware import choose_open_options
from mriad.tracking.tracker import Tracker


def settle_training(cfg: DictConfig) -> Training:
    """The training that a command asks for; where it needs ``processes``, each of them settles the rest.

    Args:
        cfg: the composed ``conf/train.yaml``.

    Raises:
        MriadError: if the options cannot be used, the store is away, or what it goes on from is not there.
    """
    folder = prepare(cfg)
    training = starting_point(cfg, tracker=instantiate(cfg.logger), folder=folder)
    if processes := processes_to_start(training.config.trainer):
        return replace(training, processes=processes)
    members = Members.find(training.config, training.tracker, folder)
    training = replace(training, members=members, choices=members.join(training.config, training.choices))
    if training.earlier is None and training.config.get("init") is not None:
        if members.checkpoints:
            raise MriadError("init goes with a model that is trained: the members of an ensemble are; drop it.")
        initial = Initial.find(training.config, training.tracker, folder)
        training = replace(training, initial=initial, choices=initial.join(training.config, training.choices))
    elif training.earlier is not None and (started := training.earlier.choices.get("started_from")):
        training = replace(training, choices=training.choices | {"started_from": started})
    choose_open_options(training.config)
    return training


def settle_evaluation(cfg: DictConfig, folder: Path) -> Evaluation:
    """The evaluation that a command asks for.

    Args:
        cfg: the composed ``conf/evaluate.yaml``.
        folder: of the job.

    Raises:
        MriadError: if there is no such detector, or the options do not fit it.
    """
    tracker: Tracker = instantiate(cfg.logger)
    checkpoint, source = named_checkpoint(cfg, tracker, folder)
    calibration = checkpoint.require_calibration()
    recalibration = Recalibration.asked(cfg, checkpoint)
    if "threshold" in cfg and cfg.threshold is not None and recalibration is None:
        calibration = calibration.refit(instantiate(cfg.threshold))
    return Evaluation(
        folder=folder,
        tracker=tracker,
        checkpoint=checkpoint,
        source=source,
        calibration=calibration,
        data=_data(cfg, checkpoint),
        elsewhere="_target_" in cfg.data,
        patients=cfg.patients,
        recalibration=recalibration,
    )


def _data(cfg: DictConfig, checkpoint: Checkpoint) -> DictConfig:
    """The data to test on, always prepared the way the detector was trained.

    Raises:
        MriadError: if the preprocessing is to be changed, other data comes without a split, or a split without, or it
            is not known what ``patients`` means.
    """
    if cfg.patients not in get_args(Patients):
        raise MriadError(
            f"patients={cfg.patients} is unknown; choose same, or unrelated where the patient ids of the training's "
            "data and of the other data set have nothing to do with each other."
        )
    stored = checkpoint.config.data
    for override in HydraConfig.get().overrides.task:
        if override.lstrip("+~").startswith(("data.preprocess", "data.image_size")):
            raise MriadError(f"{override} cannot be set here: scans are prepared the way the detector was trained.")
    if "_target_" in cfg.data:
        data = cfg.data
        if "split" not in data:
            raise MriadError("Say which scans of the other data set to test: split=all_test, or split=grouped.")
        if data.preprocess._target_ != stored.preprocess._target_:
            kinds = ("volumes", "pictures") if "depth" in stored.preprocess else ("pictures", "volumes")
            raise MriadError(
                f"The detector was trained on {kinds[0]}, and data={data.name} are {kinds[1]}; choose other data, or a "
                "detector that was trained on such."
            )
        with open_dict(data):
            data.image_size = stored.image_size
            data.preprocess = stored.preprocess
        return data
    if "split" in cfg.data:
        raise MriadError(
            "split= goes with data=<another data set>: another split of the training's own data would test scans "
            "that have trained."
        )
    if cfg.patients != "same":
        raise MriadError(
            f"patients={cfg.patients} goes with data=<another data set>: the training's own data know one patient by "
            "an id."
        )
    stored.cache_dir = cfg.data.cache_dir
    if cfg.data.root is not None:
        stored.root = cfg.data.root
    return stored
