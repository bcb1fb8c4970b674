"""The choices between a detector's output and a scan's anomaly score."""

from __future__ import annotations

from collections.abc import Mapping
from typing import TypeVar

from torch import Tensor
from torch.nn import functional as F

from mriad.errors import MriadError
from mriad.scoring.pooling import POOLINGS
from mriad.scoring.postprocess import MASKS
from mriad.scoring.residuals import RESIDUALS

T = TypeVar("T")


class Score:
    """Residual, smoothing, mask and pooling, each chosen by name.

    Args:
        residual: how a reconstruction is compared with its scan: 'mse', 'l1' or 'ssim'.
        smooth: side in pixels (odd) of the mean filter over the map; 1 leaves it as it is.
        mask: pixels that count: 'none' (all) or 'foreground' (brighter than ``foreground_level``);
            the map is 0 elsewhere.
        pooling: 'mean', 'top_fraction' or 'max' of the map over those pixels.
        foreground_level: brightness in [0, 1] above which a pixel is foreground.
        fraction: share of the pixels that 'top_fraction' averages, in (0, 1].

    Raises:
        MriadError: on an unknown name or a number out of range.
    """

    def __init__(
        self,
        *,
        residual: str = "mse",
        smooth: int = 1,
        mask: str = "none",
        pooling: str = "mean",
        foreground_level: float = 0.05,
        fraction: float = 0.02,
    ) -> None:
        self.residual = _choose("residual", residual, RESIDUALS)
        self._mask = _choose("mask", mask, MASKS)
        self._pooling = _choose("pooling", pooling, POOLINGS)
        if not 0 < fraction <= 1:
            raise MriadError(f"score.fraction={fraction} is no share of pixels; choose one in (0, 1].")
        if smooth < 1 or smooth % 2 == 0:
            raise MriadError(f"score.smooth={smooth} is no odd number of pixels; choose 1, 3, 5, ...")
        self._smooth = smooth
        self._foreground_level = foreground_level
        self._fraction = fraction

    def postprocess(self, anomaly_map: Tensor, x: Tensor) -> Tensor:
        """Smooth a raw map and set it to 0 outside the mask of x; all (B, 1, H, W)."""
        if self._smooth > 1:
            pad = self._smooth // 2
            anomaly_map = F.avg_pool2d(F.pad(anomaly_map, [pad] * 4, mode="replicate"), self._smooth, stride=1)
        return anomaly_map * self._mask(x, self._foreground_level)

    def pool(self, anomaly_map: Tensor, x: Tensor) -> Tensor:
        """Anomaly score of each scan, (B,), from its post-processed map; both (B, 1, H, W)."""
        return self._pooling(anomaly_map, self._mask(x, self._foreground_level), self._fraction)


def _choose(option: str, name: str, choices: Mapping[str, T]) -> T:
    if name not in choices:
        raise MriadError(f"score.{option}={name} is unknown; choose one of {', '.join(choices)}.")
    return choices[name]
