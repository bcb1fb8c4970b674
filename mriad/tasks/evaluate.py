"""Test a trained detector again: as it was, under another threshold rule, or on other data."""

from __future__ import annotations

import logging

import pandas as pd
from hydra.core.hydra_config import HydraConfig
from hydra.utils import instantiate
from omegaconf import DictConfig, OmegaConf, open_dict

from mriad.errors import MriadError
from mriad.report import print_result, record_result
from mriad.tasks.checkpoint import Checkpoint, require_trusted
from mriad.tasks.session import connect, load_data, prepare, trained
from mriad.tasks.testing import measure
from mriad.tasks.trace import describe, protocol
from mriad.tracking.run import Run
from mriad.tracking.sweep import parent_run

log = logging.getLogger(__name__)


def evaluate(cfg: DictConfig) -> float | None:
    """Run one evaluation, in a new MLflow run linked to the training.

    Args:
        cfg: the composed ``conf/evaluate.yaml``.

    Returns:
        Test AUROC, None where test holds one label only.

    Raises:
        MriadError: on bad input.
    """
    folder = prepare(cfg)
    tracker = connect(cfg)
    checkpoint, source = trained(cfg, tracker, folder)
    calibration = checkpoint.require_calibration()
    if "threshold" in cfg and cfg.threshold is not None:
        calibration = calibration.refit(instantiate(cfg.threshold))
    data = _data(cfg, checkpoint)
    options = {"model": checkpoint.choices["model"], "data": data.name, "threshold": calibration.rule}
    name = f"evaluate {describe(options, checkpoint.config.seed)}"
    with tracker.run(name=name, tags=_tags(checkpoint), parent=_parent(source)) as run:
        run.log_text(OmegaConf.to_yaml(data, resolve=True), "data.yaml")
        run.log_params(options)
        run.log_environment()
        datamodule = load_data(data, roles=("test",))
        if "_target_" in cfg.data:
            _warn_of_overlap(run, datamodule.scans("test"), checkpoint)
        run.log_table(datamodule.split_as_csv(), "split.csv")
        detector = checkpoint.detector()
        detector.record = {"calibration": calibration.as_record()}
        result = measure(detector, datamodule, cfg.trainer)
        record_result(run, result, detector)
    print_result(result, places=[("MLflow", f"run {run.run_id} in {run.uri}; open it with: make ui")])
    return result.metrics.get("auroc")


def _data(cfg: DictConfig, checkpoint: Checkpoint) -> DictConfig:
    """The data to test on, always prepared the way the detector was trained.

    Raises:
        MriadError: if the preprocessing is to be changed, other data comes without a split, or a split without.
    """
    stored = checkpoint.config.data
    stored.augment = None
    require_trusted(stored)
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
            data.augment = None
        return data
    if "split" in cfg.data:
        raise MriadError(
            "split= goes with data=<another data set>: another split of the training's own data would test scans "
            "that have trained."
        )
    stored.cache_dir = cfg.data.cache_dir
    if cfg.data.root is not None:
        stored.root = cfg.data.root
    return stored


def _warn_of_overlap(run: Run, scans: pd.DataFrame, checkpoint: Checkpoint) -> None:
    """Say how many scans of the other data set the detector was trained on, byte for byte."""
    known = int(scans["content"].isin(checkpoint.trained_on).sum())
    if known:
        run.set_tags({"trained_on": f"{known} of {len(scans)} test scans"})
        log.warning(
            "The detector was trained on %d of these %d test scans: the numbers are too good.", known, len(scans)
        )


def _tags(checkpoint: Checkpoint) -> dict[str, str]:
    source = {"source_run": checkpoint.run_id} if checkpoint.run_id else {}
    return {"kind": "evaluation", **source, **protocol(checkpoint.choices)}


def _parent(source: Run | None) -> str | None:
    return parent_run() or (source.run_id if source else None)
