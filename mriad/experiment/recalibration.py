"""A threshold that travels: fitted anew on healthy scans of the data that a detector is tested on."""

from __future__ import annotations

import logging
from dataclasses import dataclass
from pathlib import Path
from typing import Any, Self

import numpy as np
from hydra.core.hydra_config import HydraConfig
from hydra.utils import instantiate
from omegaconf import DictConfig, OmegaConf

from mriad.checkpoints.checkpoint import Checkpoint
from mriad.checkpoints.named import RECALIBRATED
from mriad.data.datamodule import MRIDataModule
from mriad.errors import MriadError, unknown
from mriad.thresholds import Calibration, Conformal, Threshold
from mriad.tracking.run import Run

log = logging.getLogger(__name__)

HEALTHY = "healthy"
_PIXEL_QUANTILE = 0.995  # where the training's options say none


@dataclass(frozen=True, kw_only=True)
class Recalibration:
    """How threshold and pixel threshold are fitted anew.

    Args:
        rule: fitted on the scores.
        scans: number of healthy scans, none related to another.
        seed: draws them.
        pixel_quantile: quantile of their maps that becomes the pixel threshold.
    """

    rule: Threshold
    scans: int
    seed: int
    pixel_quantile: float

    @classmethod
    def asked(cls, cfg: DictConfig, checkpoint: Checkpoint) -> Self | None:
        """What the command asks for; None if for nothing.

        Args:
            cfg: the composed ``conf/evaluate.yaml``.
            checkpoint: the detector.

        Raises:
            MriadError: if the options do not go together.
        """
        if cfg.calibrate is None:
            for override in HydraConfig.get().overrides.task:
                if override.lstrip("+~").startswith(("calibrate_scans", "calibrate_seed")):
                    raise MriadError(f"{override} goes with calibrate=healthy; add that, or drop it.")
            return None
        if cfg.calibrate != HEALTHY:
            raise unknown("calibrate", cfg.calibrate, (HEALTHY, "null"))
        if "_target_" not in cfg.data:
            raise MriadError(
                "calibrate=healthy goes with data=<another data set>: on the training's own data the threshold was "
                "fitted on val."
            )
        given = cfg.get("threshold") is not None
        rule: Threshold = instantiate(cfg.threshold) if given else Conformal()
        if rule.needs_labels:
            raise MriadError(
                f"threshold={rule.name} needs anomalous scans, and calibrate=healthy fits it on healthy ones alone; "
                "choose threshold=conformal, evt, quantile or mean_std."
            )
        how = "" if given else " (a rate is set as in threshold=conformal threshold.alpha=0.1)"
        rule.told_of("the calibration", f"raise calibrate_scans={cfg.calibrate_scans}{how}")
        rule.require(np.zeros(cfg.calibrate_scans, dtype=np.int64))  # scans need not be read to know this
        stored = OmegaConf.select(checkpoint.config, "callbacks.calibration.pixel_quantile")
        return cls(
            rule=rule,
            scans=cfg.calibrate_scans,
            seed=cfg.calibrate_seed,
            pixel_quantile=_PIXEL_QUANTILE if stored is None else stored,
        )

    @property
    def options(self) -> dict[str, Any]:
        """What the command is told, by the names of its options."""
        return {"calibrate": HEALTHY, "calibrate_scans": self.scans, "calibrate_seed": self.seed}

    def fitted_on(self, data: str) -> str:
        """What the scans are called."""
        return f"{self.scans} healthy scan{'s' if self.scans > 1 else ''} of {data}"

    def set_aside(self, datamodule: MRIDataModule, run: Run) -> None:
        """Let the scans stand in val, and leave out the others of their patients and groups.

        Raises:
            MriadError: if there are too few of them, or nothing is left to be tested.
        """
        beside = datamodule.set_aside_healthy(self.scans, seed=self.seed)
        run.log_metrics({"calibration/scans": self.scans, "calibration/dropped": beside})
        if beside:
            log.warning(
                "%d test scans are of the same patients or groups as the %s that calibrate, and are left out.",
                beside,
                self.fitted_on(str(datamodule.name)),
            )


def keep_recalibrated(
    run: Run, checkpoint: Checkpoint, datamodule: MRIDataModule, calibration: Calibration, folder: Path
) -> Path:
    """Put the detector with its new calibration into the store: ``run=<id>`` of the evaluation predicts with it.

    Args:
        run: of the evaluation.
        checkpoint: the detector with its old calibration.
        datamodule: whose val scans have calibrated; the detector must not be tested with them any more.
        calibration: the new one.
        folder: of the job.

    Returns:
        Path of the new checkpoint.

    Raises:
        MriadError: if the disk is full.
    """
    path = folder / RECALIBRATED
    seen = datamodule.seen(checkpoint.key)
    checkpoint.write_recalibrated(path, calibration, seen=seen, run_id=run.run_id)
    run.log_file(path, "checkpoint")
    return path
