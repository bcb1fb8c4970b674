"""Which pixels of a scan count: the others are no part of its map or its score."""

from __future__ import annotations

from collections.abc import Callable

import numpy as np
import torch
from torch import Tensor
from torch.nn import functional as F

from mriad.anatomy import brain_mask
from mriad.volume_anatomy import brain_mask_of_volume

Mask = Callable[[Tensor, float], Tensor]


def everywhere(x: Tensor, level: float) -> Tensor:
    """All pixels of x (B, 1, *spatial) count."""
    return torch.ones_like(x, dtype=torch.bool)


def foreground(x: Tensor, level: float) -> Tensor:
    """The pixels of x (B, 1, *spatial) that are brighter than ``level`` count."""
    return x > level


def brain(x: Tensor, level: float) -> Tensor:
    """The pixels of x (B, 1, *spatial) inside the skull count; see ``mriad.anatomy``."""
    find = brain_mask if x.ndim == 4 else brain_mask_of_volume
    masks = [find(scan) for scan in x.squeeze(1).cpu().numpy()]
    return torch.from_numpy(np.stack(masks)).unsqueeze(1).to(x.device)


def erode(mask: Tensor, pixels: int) -> Tensor:
    """Take ``pixels`` off the edge of a boolean mask (B, 1, *spatial), but not where the image cuts it off."""
    if pixels == 0:
        return mask
    return dilate((~mask).float(), 2 * pixels + 1) == 0


def dilate(maps: Tensor, size: int) -> Tensor:
    """Largest value in the square or cube of ``size`` (odd) pixels around each pixel; (B, 1, *spatial)."""
    pool = F.max_pool2d if maps.ndim == 4 else F.max_pool3d
    return pool(maps, kernel_size=size, stride=1, padding=size // 2)


MASKS: dict[str, Mask] = {"none": everywhere, "foreground": foreground, "brain": brain}
