"""Steps that an anomaly map goes through before it is pooled; an option file lists them in ``score.postprocess``."""

from __future__ import annotations

import math
from typing import Protocol

import numpy as np
import torch
from scipy import ndimage
from torch import Tensor
from torch.nn import functional as F

from mriad.errors import MriadError
from mriad.scoring.masks import dilate
from mriad.scoring.residuals import gaussian_blur


class Step(Protocol):
    """Changes anomaly maps."""

    def __call__(self, maps: Tensor, masks: Tensor, pixel_area: Tensor) -> Tensor:
        """Change each map by itself.

        Args:
            maps: (B, 1, *spatial) float, 0 outside the masks.
            masks: (B, 1, *spatial) boolean, the pixels that count.
            pixel_area: (B,) mm2 that a pixel covers, or mm3 that a voxel fills, NaN where unknown.

        Returns:
            (B, 1, *spatial); what it holds outside the masks is dropped.
        """
        ...


class Median:
    """Each pixel becomes the median of the square around it; specks and thin edges vanish, Baur et al. 2021.

    Beyond the image its border is repeated; what does not count is 0, so the rim of the mask gets calmer.

    Args:
        size: side of the square in pixels, odd.

    Raises:
        MriadError: if ``size`` is no odd number.
    """

    def __init__(self, *, size: int = 5) -> None:
        self._size = _odd("Median", size)

    def __call__(self, maps: Tensor, masks: Tensor, pixel_area: Tensor) -> Tensor:
        """Filter each map."""
        if torch.compiler.is_exporting():
            return self._filter(maps) if maps.ndim == 4 else self._in_a_graph(maps)
        # one by one: what fits the processor's cache is filtered thrice as fast
        return torch.cat([self._filter(one) for one in maps.split(1)])

    def _filter(self, maps: Tensor) -> Tensor:
        if maps.ndim == 5:
            volume = ndimage.median_filter(maps[0, 0].cpu().numpy(), size=self._size, mode="nearest")
            return torch.from_numpy(volume).to(maps.device)[None, None]
        height, width = maps.shape[-2:]
        padded = F.pad(maps, [self._size // 2] * 4, mode="replicate")
        offsets = range(self._size)
        return _median([padded[..., i : i + height, j : j + width] for i in offsets for j in offsets])

    def _in_a_graph(self, volumes: Tensor) -> Tensor:
        """The same of volumes, where scipy is out of reach: the middle of all values around a voxel, slice by slice."""
        depth, height, width = volumes.shape[2:]
        padded = F.pad(volumes, [self._size // 2] * 6, mode="replicate").squeeze(1)
        filtered = []
        for first in range(depth):
            around = F.unfold(padded[:, first : first + self._size], self._size)
            middle = around.topk(self._size**3 // 2 + 1, dim=1, largest=False).values[:, -1]
            filtered.append(middle.view(-1, height, width))
        return torch.stack(filtered, dim=1).unsqueeze(1)


class Gaussian:
    """Each pixel becomes the mean of those around it that count, weighted by their distance.

    Args:
        sigma: standard deviation of the Gaussian weights in pixels, above 0.

    Raises:
        MriadError: if ``sigma`` is not above 0.
    """

    def __init__(self, *, sigma: float = 1.0) -> None:
        if not 0 < sigma < np.inf:
            raise MriadError(f"Gaussian in score.postprocess has sigma={sigma}; give pixels, above 0.")
        self._sigma = sigma

    def __call__(self, maps: Tensor, masks: Tensor, pixel_area: Tensor) -> Tensor:
        """Filter each map."""
        weight = gaussian_blur(masks.to(maps), self._sigma)
        return gaussian_blur(maps, self._sigma) / weight.clamp(min=torch.finfo(maps.dtype).tiny)


class Opening:
    """Grey opening: bright spots that a square does not fit into are brought down to what surrounds them.

    Args:
        size: side of the square in pixels, odd.

    Raises:
        MriadError: if ``size`` is no odd number.
    """

    def __init__(self, *, size: int = 3) -> None:
        self._size = _odd("Opening", size)

    def __call__(self, maps: Tensor, masks: Tensor, pixel_area: Tensor) -> Tensor:
        """Open each map."""
        return dilate(-dilate(-maps, self._size), self._size)


class SmallestComponent:
    """Connected regions above a threshold that are too small for a lesion are brought down to the threshold.

    Pixels that touch at a corner are connected. Regions are kept as they are from ``area`` on; those of a volume from
    the volume of a ball on whose largest cross-section ``area`` lies.

    Args:
        area: area of the smallest region that is kept: in mm2 for a scan whose pixels have a known size, in pixels of
            the map for any other.
        threshold: map value above which a pixel belongs to a region.

    Raises:
        MriadError: if ``area`` is negative.
    """

    def __init__(self, *, area: float, threshold: float) -> None:
        if not 0 <= area < np.inf:
            raise MriadError(f"SmallestComponent in score.postprocess has area={area}; give mm2 or pixels, 0 or more.")
        self._area, self._threshold = area, threshold

    def __call__(self, maps: Tensor, masks: Tensor, pixel_area: Tensor) -> Tensor:
        """Lower the small regions of each map."""
        spatial = maps.ndim - 2
        within_a_map = np.zeros((3,) * (1 + spatial), dtype=bool)
        within_a_map[1] = True
        regions, _ = ndimage.label((maps > self._threshold).squeeze(1).cpu().numpy(), structure=within_a_map)
        pixels = torch.from_numpy(np.bincount(regions.ravel())[regions]).unsqueeze(1).to(maps.device)
        size = pixels * pixel_area.nan_to_num(nan=1.0).to(maps).view(-1, *[1] * (1 + spatial))
        least = self._area if spatial == 2 else 4 / 3 * self._area**1.5 / math.pi**0.5  # r from area, 4/3 pi r^3
        small = (maps > self._threshold) & (size < least)
        return torch.where(small, self._threshold, maps)


def _odd(step: str, size: int) -> int:
    if not isinstance(size, int) or size < 1 or size % 2 == 0:
        raise MriadError(f"{step} in score.postprocess has size={size}; give an odd number of pixels such as 3 or 5.")
    return size


def _median(images: list[Tensor]) -> Tensor:
    """Pixelwise median of an odd number of images; NaN where one is. Forgetful selection, Paeth 1990 (Graphics Gems).

    Of more than half of the values, neither the smallest nor the largest is the median: both are forgotten, and one
    more value is looked at.
    """
    held, coming = images[: len(images) // 2 + 2], images[len(images) // 2 + 2 :]
    while len(held) > 1:
        for i in range(len(held) - 1):  # the largest to the end
            held[i], held[i + 1] = torch.minimum(held[i], held[i + 1]), torch.maximum(held[i], held[i + 1])
        for i in range(len(held) - 2, 0, -1):  # the smallest to the front
            held[i - 1], held[i] = torch.minimum(held[i - 1], held[i]), torch.maximum(held[i - 1], held[i])
        held = held[1:-1] + coming[:1]
        coming = coming[1:]
    return held[0]
