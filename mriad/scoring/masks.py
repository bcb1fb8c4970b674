"""Which pixels of a scan count: the others are no part of its map or its score."""

from __future__ import annotations

from collections.abc import Callable

import numpy as np
import torch
from torch import Tensor
from torch.nn import functional as F

from mriad.anatomy import brain_mask

Mask = Callable[[Tensor, float], Tensor]


def everywhere(x: Tensor, level: float) -> Tensor:
    """All pixels of x (B, 1, H, W) count."""
    return torch.ones_like(x, dtype=torch.bool)


def foreground(x: Tensor, level: float) -> Tensor:
    """The pixels of x (B, 1, H, W) that are brighter than ``level`` count."""
    return x > level


def brain(x: Tensor, level: float) -> Tensor:
    """The pixels of x (B, 1, H, W) inside the skull count; see ``mriad.anatomy.brain_mask``."""
    masks = [brain_mask(scan) for scan in x.squeeze(1).cpu().numpy()]
    return torch.from_numpy(np.stack(masks)).unsqueeze(1).to(x.device)


def erode(mask: Tensor, pixels: int) -> Tensor:
    """Take ``pixels`` off the edge of a boolean mask (B, 1, H, W), but not where the image cuts it off."""
    if pixels == 0:
        return mask
    outside = F.max_pool2d((~mask).float(), kernel_size=2 * pixels + 1, stride=1, padding=pixels)
    return outside == 0


MASKS: dict[str, Mask] = {"none": everywhere, "foreground": foreground, "brain": brain}
