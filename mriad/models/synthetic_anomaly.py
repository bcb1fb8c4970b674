"""The segmenter of synthetic anomalies."""

from __future__ import annotations

import math
from collections.abc import Sequence
from typing import Any

import torch
from lightning.pytorch.trainer.states import TrainerFn
from torch import Tensor, nn
from torch.nn import functional as F

from mriad.errors import MriadError
from mriad.models.trained import TrainedDetector

_NO_SMALLER = 20  # pixels; anomalies below this weigh about the same


class SyntheticAnomaly(TrainedDetector):
    """Learns to outline anomalies that were put into healthy scans, and outlines real ones.

    The idea of foreign patch interpolation (Tan et al. 2022, MELBA), with the
    anomalies of ``mriad.data.training.anomalies``.
    Batches must have masks: ``data.anomalies``, ``data.labelled_train``, or both.

    Args:
        network: maps (B, C, H, W) to logits (B, 1, H, W); its ``neighbours`` say what C is.
        flip: whether the map is the mean over a scan and its mirror image.
        turns: angles in radians; the map is the mean over the scan turned by each of them. While a training goes on,
            val scans are looked at as they are, which is faster.
        dice_weight: weight of the soft Dice loss (Milletari et al. 2016) beside the cross-entropy: half of it over all
            pixels of a batch, half of each sample by itself, where small anomalies count as much as large ones.
        small_weight: a, where a pixel of an anomaly weighs a / (n + 20) more in the cross-entropy than others, with n
            the anomalous pixels of its sample: small anomalies count nearly as much as large ones (after Shirokikh et
            al. 2020, universal loss reweighting). 0: no more.
        **detector: see ``Detector``.
    """

    learns_masks = True

    def __init__(
        self,
        *,
        network: nn.Module,
        flip: bool = True,
        turns: Sequence[float] = (0.0,),
        dice_weight: float = 0.0,
        small_weight: float = 0.0,
        **detector: Any,
    ) -> None:
        super().__init__(**detector)
        if not turns:
            raise MriadError("model.turns=[] leaves nothing to look at; give angles in radians, such as [0].")
        self.network = network
        self.neighbours = getattr(network, "neighbours", 0)
        self._flip, self._turns = flip, tuple(turns)
        self._dice_weight, self._small_weight = dice_weight, small_weight

    def anomaly_map(self, x: Tensor) -> Tensor:
        """Probability of an anomaly, (B, 1, H, W)."""
        trainer = self._trainer
        turns = (0.0,) if trainer is not None and trainer.state.fn == TrainerFn.FITTING else self._turns
        views = [turned(self._probability(turned(x, angle)), -angle) for angle in turns]
        return torch.stack(views).mean(dim=0)

    def losses(self, x: Tensor) -> dict[str, Tensor]:
        """Cross-entropy and soft Dice loss of healthy scans: how much they are taken for anomalous."""
        return self._losses(x, torch.zeros_like(self.judged(x)))

    def training_losses(self, batch: dict[str, Tensor]) -> dict[str, Tensor]:
        """Cross-entropy and soft Dice loss against the masks of a batch."""
        return self._losses(batch["image"], batch["mask"])

    def _probability(self, x: Tensor) -> Tensor:
        probability = self.network(x).float().sigmoid()
        if not self._flip:
            return probability
        return (probability + self.network(x.flip(-1)).float().sigmoid().flip(-1)) / 2

    def _losses(self, x: Tensor, mask: Tensor) -> dict[str, Tensor]:
        logits = self.network(x).float()
        size = mask.flatten(1).sum(dim=1).view(-1, 1, 1, 1)
        weight = 1 + self._small_weight * mask / (size + _NO_SMALLER) if self._small_weight else None
        cross_entropy = F.binary_cross_entropy_with_logits(logits, mask, weight=weight)
        probability = logits.sigmoid()
        both, either = (probability * mask).flatten(1).sum(dim=1), (probability + mask).flatten(1).sum(dim=1)
        dice = (_dice_loss(both, either).mean() + _dice_loss(both.sum(), either.sum())) / 2
        return {"loss": cross_entropy + self._dice_weight * dice, "cross_entropy": cross_entropy, "dice_loss": dice}


def _dice_loss(both: Tensor, either: Tensor) -> Tensor:
    return 1 - (2 * both + 1) / (either + 1)


def turned(images: Tensor, angle: float) -> Tensor:
    """Images (B, C, S, S) turned about their middle by ``angle`` radians, bilinear, 0 where there was nothing."""
    if angle == 0:
        return images
    cosine, sine = math.cos(angle), math.sin(angle)
    rotation = images.new_tensor([[cosine, -sine, 0.0], [sine, cosine, 0.0]]).expand(images.shape[0], 2, 3)
    grid = F.affine_grid(rotation, list(images.shape), align_corners=False)
    return F.grid_sample(images, grid, align_corners=False)
