"""The two passes that follow a training: calibration on val, measurement on test."""

from __future__ import annotations

from pathlib import Path

from hydra.utils import instantiate
from lightning import Trainer, seed_everything
from lightning.pytorch.callbacks import Callback
from omegaconf import DictConfig

from mriad.callbacks import ScanScores, ThresholdCalibration
from mriad.checkpoints.whole_files import WholeFiles
from mriad.data.datamodule import MRIDataModule
from mriad.models import Detector
from mriad.ranks import is_first
from mriad.report import Result
from mriad.thresholds import Calibration, Threshold


def calibrate(detector: Detector, datamodule: MRIDataModule, cfg: DictConfig, checkpoint: Path) -> dict[str, float]:
    """Fit the threshold on val, and write weights and calibration to ``checkpoint``.

    What is drawn hangs on the seed alone, and not on how long the detector has trained here.

    Returns:
        The val metrics of these weights.
    """
    seed_everything(cfg.seed, workers=True, verbose=False)
    calibration: ThresholdCalibration = instantiate(cfg.callbacks.calibration)
    trainer = _one_pass(cfg.trainer, calibration)
    trainer.strategy.checkpoint_io = WholeFiles()
    trainer.validate(detector, datamodule, verbose=False)
    trainer.save_checkpoint(checkpoint, weights_only=True)
    return {name: float(value) for name, value in trainer.callback_metrics.items()}


def recalibrate(
    detector: Detector,
    datamodule: MRIDataModule,
    trainer: DictConfig,
    *,
    rule: Threshold,
    pixel_quantile: float,
    fitted_on: str,
) -> None:
    """Fit threshold, pixel threshold and level for lesions on healthy scans of other data, which stand in val.

    The detector stays as it is, and so does what its maps are compared with.

    Args:
        detector: its record gets the calibration; in a process other than rank 0 it keeps the old one.
        datamodule: the scans.
        trainer: the options ``trainer``.
        rule: fitted on the scores.
        pixel_quantile: see ``ThresholdCalibration``.
        fitted_on: what the scans are called.
    """
    callback = ThresholdCalibration(rule=rule, pixel_quantile=pixel_quantile, fitted_on=fitted_on)
    _one_pass(trainer, callback).validate(detector, datamodule, verbose=False)


def measure(
    detector: Detector,
    datamodule: MRIDataModule,
    trainer: DictConfig,
    *,
    labelled_train: int = 0,
    elsewhere: bool = False,
) -> Result | None:
    """Score the test scans with a calibrated detector, which is left in evaluation mode, and measure the result.

    Args:
        detector: the detector.
        datamodule: its scans.
        trainer: the options ``trainer``.
        labelled_train: number of anomalous scans that trained with their masks.
        elsewhere: whether the scans are of other data than those that the threshold was fitted on.

    Returns:
        The result; None in a process other than rank 0, which has it for all of them.
    """
    scores = ScanScores()
    _one_pass(trainer, scores).test(detector, datamodule, verbose=False)
    detector.eval()  # Lightning gives back the mode it found; figures are drawn as scans are scored
    if not is_first():
        return None
    calibration = Calibration.from_record(detector.record["calibration"])
    return Result.measure(
        table=scores.table(datamodule.scans("test")),
        rows=scores.rows,
        maps=scores.maps,
        datamodule=datamodule,
        calibration=calibration,
        labelled_train=labelled_train,
        scaled_on_val=detector.fits_scale and not calibration.recalibrated,
        elsewhere=elsewhere,
        slice_scores=scores.slice_scores,
        voxel_volume=datamodule.cache.pixel_area(scores.rows),
    )


def _one_pass(trainer: DictConfig, callback: Callback) -> Trainer:
    """A trainer that logs and saves nothing by itself.

    It computes in float32 whatever the training did, as ``predict`` does: a threshold fitted on rounded scores would
    decide otherwise there.
    """
    return instantiate(
        trainer,
        callbacks=[callback],
        precision="32-true",
        logger=False,
        profiler=None,
        enable_checkpointing=False,
        enable_progress_bar=False,
    )
