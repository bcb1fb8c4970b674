"""What happens to an anomaly map before it is pooled: which of its pixels count."""

from __future__ import annotations

from collections.abc import Callable

import numpy as np
import torch
from torch import Tensor

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


MASKS: dict[str, Mask] = {"none": everywhere, "foreground": foreground, "brain": brain}
