"""The choices between a detector's output and a scan's anomaly score."""

from __future__ import annotations

from collections.abc import Mapping
from typing import TypeVar

from torch import Tensor

from mriad.errors import MriadError
from mriad.scoring.pooling import POOLINGS
from mriad.scoring.postprocess import MASKS
from mriad.scoring.residuals import RESIDUALS, gaussian_blur

T = TypeVar("T")


class Score:
    """Residual, mask and pooling, each chosen by name, and the scale at which scan and reconstruction are compared.

    Args:
        residual: how a reconstruction is compared with its scan: 'mse', 'l1' or 'ssim'.
        blur: standard deviation in pixels of a Gaussian filter over scan and reconstruction before they are compared;
            0 for none. A blurry reconstruction misses every fine edge, healthy or not: after the blur a fold that is
            a little displaced costs nothing, while a lesion still does.
        mask: pixels that count: 'none' (all), 'foreground' (brighter than ``foreground_level``) or 'brain' (inside the
            skull, as far as the scan shows it); the map is 0 elsewhere.
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
        blur: float = 0.0,
        mask: str = "none",
        pooling: str = "mean",
        foreground_level: float = 0.05,
        fraction: float = 0.02,
    ) -> None:
        self._residual = _choose("residual", residual, RESIDUALS)
        self._mask = _choose("mask", mask, MASKS)
        self._pooling = _choose("pooling", pooling, POOLINGS)
        if not 0 < fraction <= 1:
            raise MriadError(f"score.fraction={fraction} is no share of pixels; choose one in (0, 1].")
        if blur < 0:
            raise MriadError(f"score.blur={blur} is no standard deviation in pixels; choose 0 or more.")
        self._blur = blur
        self._foreground_level = foreground_level
        self._fraction = fraction

    def residual(self, x: Tensor, reconstruction: Tensor) -> Tensor:
        """Difference of a scan and its reconstruction, pixel by pixel; all (B, 1, H, W), inputs in [0, 1]."""
        if self._blur > 0:
            x, reconstruction = gaussian_blur(x, self._blur), gaussian_blur(reconstruction, self._blur)
        return self._residual(x, reconstruction)

    def mask(self, x: Tensor) -> Tensor:
        """The pixels of x (B, 1, H, W) that count, likewise, boolean."""
        return self._mask(x, self._foreground_level)

    def postprocess(self, anomaly_map: Tensor, mask: Tensor) -> Tensor:
        """Set a map to 0 where no pixel counts; both (B, 1, H, W)."""
        return anomaly_map * mask

    def pool(self, anomaly_map: Tensor, mask: Tensor) -> Tensor:
        """Anomaly score of each scan, (B,), from its post-processed map and the pixels that count, (B, 1, H, W)."""
        return self._pooling(anomaly_map, mask, self._fraction)


def _choose(option: str, name: str, choices: Mapping[str, T]) -> T:
    if name not in choices:
        raise MriadError(f"score.{option}={name} is unknown; choose one of {', '.join(choices)}.")
    return choices[name]
