"""Test a trained detector again: as it was, under another threshold rule, or on other data."""

from __future__ import annotations

import copy
import logging
from pathlib import Path
from typing import get_args

from hydra.core.hydra_config import HydraConfig
from hydra.utils import instantiate
from omegaconf import DictConfig, OmegaConf, open_dict

from mriad.audit.audit import Audit
from mriad.audit.record import record_audit
from mriad.checkpoints.checkpoint import Checkpoint
from mriad.data.datamodule import MRIDataModule
from mriad.data.roles.grouping import Patients
from mriad.errors import MriadError
from mriad.experiment.data_sets import data_sets
from mriad.experiment.provenance import (
    describe,
    labelled,
    next_commands,
    places,
    protocol,
    rule_options,
    this_command,
    varied_here,
)
from mriad.experiment.resume import requeued_run
from mriad.experiment.session import connect, load_data, opened, prepare, trained
from mriad.processes.devices import processes_to_start, run_on_devices
from mriad.report import print_result, record_result
from mriad.tasks.testing import measure
from mriad.tracking.run import OUTPUT_TAG, Run
from mriad.tracking.sweep import parent_run

log = logging.getLogger(__name__)

_SEEN_BY = {
    "content": "are files that it has seen",
    "patient": "are of patients that it has seen",
    "near duplicate": "resemble scans that it has seen, or hang together with such",
}

_OF_TRAINING = {  # options of data, and their absence
    "augment": None,
    "anomalies": None,
    "labelled_train": 0,
    "on_device": None,
    "num_workers": None,
}


def evaluate(cfg: DictConfig) -> float | None:
    """Run one evaluation, in a new MLflow run linked to the training.

    Args:
        cfg: the composed ``conf/evaluate.yaml``.

    Returns:
        Test AUROC, None where test holds one label only, and in a process that shares the test but for rank 0.

    Raises:
        MriadError: on bad input.
    """
    folder = prepare(cfg)
    if processes := processes_to_start(cfg.trainer):
        return run_on_devices(processes, evaluate, cfg)
    tracker = connect(cfg)
    checkpoint, source = trained(cfg, tracker, folder)
    calibration = checkpoint.require_calibration()
    if "threshold" in cfg and cfg.threshold is not None:
        calibration = calibration.refit(instantiate(cfg.threshold))
    data = _data(cfg, checkpoint)
    options = {"model": checkpoint.choices["model"], "data": data.name, "threshold": calibration.rule}
    told = describe(options, checkpoint.config.seed, checkpoint.labelled_train, varied_here(tracker))
    name = f"evaluate {told}"[:250]
    elsewhere = "_target_" in cfg.data
    tags, stopped = _tags(checkpoint, folder, cfg.data if elsewhere else None), requeued_run(tracker)
    with opened(tracker, name=name, tags=tags, parent=_parent(source), resume=stopped) as run:
        run.log_text(OmegaConf.to_yaml(data, resolve=True), "data.yaml")
        run.log_params(options | rule_options(cfg))
        run.log_environment()
        roles = None if elsewhere else checkpoint.roles()
        datamodule = load_data(_without_training(data), roles=("test",), split=roles)
        if elsewhere:
            _drop_seen(run, datamodule, checkpoint, cfg.patients)
        run.log_table(datamodule.split_as_csv(), "split.csv")
        run.log_data_sets(data_sets(datamodule, roles=("test",)))
        audit = Audit.of(datamodule)
        record_audit(run, audit)
        detector = checkpoint.detector()
        detector.record = {"calibration": calibration.as_record()}
        result = measure(detector, datamodule, cfg.trainer, labelled_train=checkpoint.labelled_train)
        if result is None:
            return None
        record_result(
            run,
            result,
            detector,
            audit=audit,
            split=datamodule.split_as_csv(),
            config_yaml=OmegaConf.to_yaml(_config(checkpoint, data), resolve=True),
            commands=[
                this_command(source.run_id if source else None),
                *next_commands(f"run={source.run_id}" if source else f"checkpoint={checkpoint.path}"),
            ],
        )
    print_result(result, places=places(run, name))
    return result.metrics.get("auroc")


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


def _without_training(data: DictConfig) -> DictConfig:
    """A copy in which the options are cleared that matter for train scans alone."""
    bare = copy.deepcopy(data)
    with open_dict(bare):
        bare.update(_OF_TRAINING)
    return bare


def _drop_seen(run: Run, datamodule: MRIDataModule, checkpoint: Checkpoint, patients: Patients) -> None:
    """Leave out what the detector was trained or calibrated on, their patients, and what resembles them.

    Raises:
        MriadError: if nothing is left to be tested.
    """
    total = len(datamodule.rows("test"))
    by_reason = datamodule.drop_seen(checkpoint.seen, key=checkpoint.key, patients=patients)
    dropped = sum(by_reason.values())
    told = ", ".join(f"{by_reason[reason]} {words}" for reason, words in _SEEN_BY.items() if by_reason.get(reason))
    unrelated = (
        ", or set patients=unrelated if the patient ids of the two data sets have nothing to do with each other"
        if by_reason.get("patient")
        else ""
    )
    if dropped == total:
        raise MriadError(
            f"All {total} test scans of '{datamodule.name}' are known from what the detector was trained or calibrated "
            f"on ({told}), so nothing is left to test it with; choose another data set{unrelated}."
        )
    run.set_tags({"overlap": f"{dropped} of {total} test scans dropped{f': {told}' if told else ''}"})
    counts = {f"test/overlap_dropped_{reason.replace(' ', '_')}": by_reason.get(reason, 0) for reason in _SEEN_BY}
    run.log_metrics({"test/overlap_dropped": dropped} | counts)
    if dropped:
        log.warning(
            "%d of %d test scans are known from what the detector was trained or calibrated on and are left out: %s%s.",
            dropped,
            total,
            told,
            unrelated.replace(", or", ";"),
        )


def _config(checkpoint: Checkpoint, data: DictConfig) -> DictConfig:
    """The options of the training, with the data that is tested here."""
    config = checkpoint.config.copy()
    config.data = data
    with open_dict(config):
        for option in _OF_TRAINING:
            config.data[option] = checkpoint.config.data.get(option)
    return config


def _tags(checkpoint: Checkpoint, folder: Path, other_data: DictConfig | None) -> dict[str, str]:
    """Tags of an evaluation; the protocol is that of the split that is tested."""
    source = {"source_run": checkpoint.run_id} if checkpoint.run_id else {}
    tested = (
        protocol(checkpoint.choices, checkpoint.config.data)
        if other_data is None
        else protocol(HydraConfig.get().runtime.choices, other_data)
    )
    place = {OUTPUT_TAG: str(folder.absolute())}
    return {"kind": "evaluation", **place, **source, **tested, **labelled(checkpoint.labelled_train)}


def _parent(source: Run | None) -> str | None:
    return parent_run() or (source.run_id if source else None)
