"""Fits the threshold on the val scores of the chosen checkpoint."""

from __future__ import annotations

from collections.abc import Iterable, Iterator, Mapping
from typing import Any, cast

import numpy as np
import torch
from lightning import LightningModule, Trainer
from lightning.pytorch.trainer.states import TrainerFn
from torch import Tensor

from mriad.callbacks.picture_scores import picture_scores
from mriad.callbacks.scan_scores import ScanScores
from mriad.data.preparing.cache import ScanCache
from mriad.errors import MriadError, unknown
from mriad.metrics.lesions import HealthyComponents
from mriad.metrics.pixel import best_dice_threshold, upper_quantile
from mriad.ranks import is_first
from mriad.thresholds import Calibration, Threshold
from mriad.thresholds.calibration import VAL

_PIXEL_RULES = ("quantile", "dice", "components")


class ThresholdCalibration(ScanScores):
    """Calibrates at the end of ``trainer.validate`` and puts the result into the detector's record.

    The pixel threshold is a quantile of the healthy val maps, all pixels together, which needs no label of a pixel; or
    the one with the best Dice over the val scans that have a lesion mask; or the level for lesions. This is the one
    that leaves healthy val scans on average at most one component; how many each other level leaves is kept as well,
    see ``HealthyComponents``.
    A detector of volumes that takes pictures gets a threshold for these as well, of slices of the val scans.
    What maps are compared with, a healthy atlas or the ranks of an ensemble, is fitted first, in passes of its own over
    the healthy val scans (``Detector.fit_scale``): scores and maps that are calibrated on are then those that a test or
    a prediction gives. Where several processes share val, each fits those on all of it, and rank 0 alone calibrates.

    Args:
        rule: fitted on the val scores.
        pixel_rule: 'quantile'; 'dice', which falls back to the quantile where no val scan has a mask; or 'components',
            the level for lesions.
        pixel_quantile: the quantile, in (0, 1).
        fitted_on: what the scans are called that stand in val, where they are of other data than the training's: a
            detector is then left as it is, and what its maps are compared with is not fitted anew.
    """

    def __init__(
        self, *, rule: Threshold, pixel_rule: str = "quantile", pixel_quantile: float = 0.995, fitted_on: str = VAL
    ) -> None:
        super().__init__()
        if pixel_rule not in _PIXEL_RULES:
            raise unknown("callbacks.calibration.pixel_rule", pixel_rule, _PIXEL_RULES)
        if not 0 < pixel_quantile < 1:
            raise MriadError(f"pixel_quantile={pixel_quantile} is no quantile; choose one in (0, 1).")
        self._rule = rule
        self._pixel_rule = pixel_rule
        self._pixel_quantile = pixel_quantile
        self._fitted_on = fitted_on

    def on_validation_start(self, trainer: Trainer, pl_module: LightningModule) -> None:
        """Let the detector learn from the healthy scans what its maps are compared with."""
        if trainer.state.fn == TrainerFn.VALIDATING and self._fitted_on == VAL:
            val = cast(Any, trainer).datamodule.whole("val")
            cast(Any, pl_module).fit_scale(_HealthyScans(val, pl_module.device))

    def on_validation_end(self, trainer: Trainer, pl_module: LightningModule) -> None:
        """Fit the rule and the pixel threshold."""
        super().on_validation_end(trainer, pl_module)
        if trainer.state.fn != TrainerFn.VALIDATING or not is_first():
            return
        datamodule, detector = cast(Any, trainer).datamodule, cast(Any, pl_module)
        table = self.table(datamodule.scans("val"))
        healthy = np.flatnonzero(table["label"] == 0)
        self._rule.require(table["label"].to_numpy(), table["group"].to_numpy())
        found = HealthyComponents.of(self.maps, scans=healthy)
        pixel_threshold = found.level if self._pixel_rule == "components" else None
        if self._pixel_rule == "dice":
            pixel_threshold = self._best_dice(datamodule.cache)
        if pixel_threshold is None:
            pixel_threshold = upper_quantile(self.maps, self._pixel_quantile, scans=healthy)
        of_pictures = None
        if self.maps.ndim == 4 and detector.takes_pictures:
            of_pictures = picture_scores(detector, datamodule, datamodule.scans("val"))
        calibration = Calibration.fit(
            self._rule,
            table,
            pixel_threshold=pixel_threshold,
            lesion_level=found.level,
            healthy_components=tuple(zip(found.levels.tolist(), found.per_scan.tolist(), strict=True)),
            fitted_on=self._fitted_on,
            picture_scores=of_pictures,
        )
        detector.record["calibration"] = calibration.as_record()

    def _best_dice(self, cache: ScanCache) -> float | None:
        """The pixel threshold that suits the masks of val; None where no mask holds a lesion."""
        masked = cache.has_mask(self.rows)
        masks = cache.masks_of(self.rows[masked])
        return best_dice_threshold(self.maps[masked], masks) if masks.any() else None


class _HealthyScans:
    """The healthy scans of batches, on a device; they can be gone through more than once."""

    def __init__(self, batches: Iterable[Mapping[str, Tensor]], device: torch.device) -> None:
        self._batches, self._device = batches, device

    def __iter__(self) -> Iterator[dict[str, Tensor]]:
        for batch in self._batches:
            healthy = batch["label"] == 0
            if healthy.any():
                yield {name: values[healthy].to(self._device) for name, values in batch.items()}
