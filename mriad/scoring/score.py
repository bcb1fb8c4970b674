"""The choices between a detector's output and a scan's anomaly score."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from typing import Any, TypeVar

import torch
from torch import Tensor, nn

from mriad.errors import MriadError, unknown
from mriad.scoring.atlas import HealthyAtlas
from mriad.scoring.masks import MASKS, erode
from mriad.scoring.pooling import POOLINGS
from mriad.scoring.postprocess import Step
from mriad.scoring.residuals import RESIDUALS, equalize, gaussian_blur

T = TypeVar("T")


class Score(nn.Module):
    """Residual, mask and pooling, each chosen by name, and what happens to scan, reconstruction and map in between.

    Scan and reconstruction are equalised, blurred and compared; the map that this gives, or any other a detector makes,
    is masked, goes through the steps of post-processing and is compared with the healthy atlas; then it is pooled.

    Args:
        residual: how a reconstruction is compared with its scan: 'mse', 'l1', 'ssim', 'gradient', 'positive' (what is
            brighter than healthy) or 'negative' (what is darker).
        equalize: histogram-equalise scan and reconstruction before they are compared, both by the histogram of the
            scan's foreground: contrast then means the same in a pale scan and in a crisp one, and is the larger the
            more pixels have values in between.
        blur: standard deviation in pixels of a Gaussian filter over scan and reconstruction before they are compared;
            0 for none. A blurry reconstruction misses every fine edge, healthy or not: after the blur a fold that is
            a little displaced costs nothing, while a lesion still does.
        mask: pixels that count: 'none' (all), 'foreground' (brighter than ``foreground_level``) or 'brain' (inside the
            skull, as far as the scan shows it); elsewhere the map is 0, or with an atlas no more than inside.
        erosion: pixels that are taken off the edge of the mask, by a square; the image's border is no edge.
        postprocess: what a masked map goes through, one step after the other, see ``mriad.scoring.postprocess``.
        atlas: give maps in standard deviations of the healthy val maps at the same pixel, see
            ``mriad.scoring.atlas.HealthyAtlas``, which calibration fits; scores and pixel threshold are of those maps.
        pooling: 'mean', 'top_fraction' or 'max' of the map over those pixels.
        foreground_level: brightness in [0, 1] above which a pixel is foreground.
        fraction: share of the pixels that 'top_fraction' averages, in (0, 1].

    Attributes:
        atlas: the healthy atlas; None where there is none.
        mask_options: mask, erosion and foreground level; scores in which they are equal have the same mask.

    Raises:
        MriadError: on an unknown name, a number out of range, or a step that is none.
    """

    def __init__(
        self,
        *,
        residual: str = "mse",
        equalize: bool = False,
        blur: float = 0.0,
        mask: str = "none",
        erosion: int = 0,
        postprocess: Sequence[Step] = (),
        atlas: bool = False,
        pooling: str = "mean",
        foreground_level: float = 0.05,
        fraction: float = 0.02,
    ) -> None:
        super().__init__()
        self._residual = _choose("residual", residual, RESIDUALS)
        self._mask = _choose("mask", mask, MASKS)
        self._pooling = _choose("pooling", pooling, POOLINGS)
        if not 0 < fraction <= 1:
            raise MriadError(f"score.fraction={fraction} is no share of pixels; choose one in (0, 1].")
        if blur < 0:
            raise MriadError(f"score.blur={blur} is no standard deviation in pixels; choose 0 or more.")
        if not isinstance(erosion, int) or erosion < 0:
            raise MriadError(f"score.erosion={erosion} is no number of pixels; choose 0 or more.")
        self._equalize = equalize
        self._blur = blur
        self._erosion = erosion
        self._steps = _steps(postprocess)
        self.atlas = HealthyAtlas() if atlas else None
        self._foreground_level = foreground_level
        self._fraction = fraction
        self.mask_options = (mask, erosion, foreground_level)

    def residual(self, x: Tensor, reconstruction: Tensor) -> Tensor:
        """Difference of a scan and its reconstruction, pixel by pixel; all (B, 1, *spatial), inputs in [0, 1]."""
        if self._equalize:
            level = self._foreground_level
            x, reconstruction = equalize(x, x, level), equalize(reconstruction, x, level)
        if self._blur > 0:
            x, reconstruction = gaussian_blur(x, self._blur), gaussian_blur(reconstruction, self._blur)
        return self._residual(x, reconstruction)

    def mask(self, x: Tensor) -> Tensor:
        """The pixels of x (B, 1, *spatial) that count, likewise, boolean."""
        return erode(self._mask(x, self._foreground_level), self._erosion)

    def postprocess(self, anomaly_map: Tensor, mask: Tensor, pixel_area: Tensor) -> Tensor:
        """Set maps to 0 where no pixel counts, take all steps, and compare with the healthy atlas once it is fitted.

        Compared with the atlas, half of the healthy pixels are below 0. So that the air is not stranger than they are,
        it then gets what a map of 0 is worth where that is least, or the scan's smallest value if that is less still.

        Args:
            anomaly_map: (B, 1, *spatial).
            mask: (B, 1, *spatial) boolean, the pixels that count.
            pixel_area: (B,) mm2 that a pixel covers, or mm3 that a voxel fills, NaN where unknown.

        Returns:
            (B, 1, *spatial); outside the mask 0, or with a fitted atlas no more than anywhere inside.
        """
        anomaly_map = anomaly_map * mask
        for step in self._steps:
            anomaly_map = step(anomaly_map, mask, pixel_area) * mask
        if self.atlas is None or not self.atlas.is_fitted:
            return anomaly_map
        deviations = self.atlas(anomaly_map)
        smallest = torch.where(mask, deviations, torch.inf).amin(dim=tuple(range(1, mask.ndim)), keepdim=True)
        return torch.where(mask, deviations, smallest.minimum(self.atlas.floor))

    def pool(self, anomaly_map: Tensor, mask: Tensor) -> Tensor:
        """Anomaly score of each scan, (B,), from its post-processed map and the pixels that count, (B, 1, *spatial)."""
        return self._pooling(anomaly_map, mask, self._fraction)


def _choose(option: str, name: str, choices: Mapping[str, T]) -> T:
    if name not in choices:
        raise unknown(f"score.{option}", name, choices)
    return choices[name]


def _steps(postprocess: Sequence[Step]) -> tuple[Step, ...]:
    listed = isinstance(postprocess, Sequence) and not isinstance(postprocess, str)
    steps: tuple[Any, ...] = tuple(postprocess) if listed else (postprocess,)
    for step in steps:
        if not callable(step):
            raise MriadError(
                f"score.postprocess={step} is no step; give a list such as "
                "[{_target_: mriad.scoring.postprocess.Median, size: 5}], or [] for none."
            )
    return steps
