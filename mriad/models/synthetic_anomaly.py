"""The segmenter of synthetic anomalies."""

from __future__ import annotations

from typing import Any

import torch
from torch import Tensor, nn
from torch.nn import functional as F

from mriad.models.detector import TrainedDetector


class SyntheticAnomaly(TrainedDetector):
    """Learns to outline anomalies that were put into healthy scans, and outlines real ones.

    The idea of foreign patch interpolation (Tan et al. 2022, MELBA), with the anomalies of ``mriad.data.anomalies``.
    Batches must have masks: ``data.anomalies``, ``data.labelled_train``, or both.

    Args:
        network: maps (B, 1, H, W) to logits of the same shape.
        flip: whether the map is the mean over a scan and its mirror image.
        dice_weight: weight of the soft Dice loss (Milletari et al. 2016, over all pixels of a batch) beside the
            cross-entropy.
        **detector: see ``Detector``.
    """

    learns_masks = True

    def __init__(self, *, network: nn.Module, flip: bool = True, dice_weight: float = 0.0, **detector: Any) -> None:
        super().__init__(**detector)
        self.network = network
        self._flip, self._dice_weight = flip, dice_weight

    def anomaly_map(self, x: Tensor) -> Tensor:
        """Probability of an anomaly, (B, 1, H, W)."""
        probability = self.network(x).float().sigmoid()
        if not self._flip:
            return probability
        return (probability + self.network(x.flip(-1)).float().sigmoid().flip(-1)) / 2

    def losses(self, x: Tensor) -> dict[str, Tensor]:
        """Cross-entropy and soft Dice loss of healthy scans: how much they are taken for anomalous."""
        return self._losses(x, torch.zeros_like(x))

    def training_losses(self, batch: dict[str, Tensor]) -> dict[str, Tensor]:
        """Cross-entropy and soft Dice loss against the masks of a batch."""
        return self._losses(batch["image"], batch["mask"])

    def _losses(self, x: Tensor, mask: Tensor) -> dict[str, Tensor]:
        logits = self.network(x).float()
        cross_entropy = F.binary_cross_entropy_with_logits(logits, mask)
        probability = logits.sigmoid()
        dice = 1 - (2 * (probability * mask).sum() + 1) / (probability.sum() + mask.sum() + 1)
        return {"loss": cross_entropy + self._dice_weight * dice, "cross_entropy": cross_entropy, "dice_loss": dice}
