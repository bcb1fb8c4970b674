"""What happens to an anomaly map before it is pooled: which of its pixels count."""

from __future__ import annotations

from collections.abc import Callable

import torch
from torch import Tensor

Mask = Callable[[Tensor, float], Tensor]


def everywhere(x: Tensor, level: float) -> Tensor:
    """All pixels of x (B, 1, H, W) count."""
    return torch.ones_like(x, dtype=torch.bool)


def foreground(x: Tensor, level: float) -> Tensor:
    """The pixels of x (B, 1, H, W) that are brighter than ``level`` count."""
    return x > level


MASKS: dict[str, Mask] = {"none": everywhere, "foreground": foreground}
