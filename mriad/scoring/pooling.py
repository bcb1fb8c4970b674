"""From an anomaly map to one anomaly score per scan."""

from __future__ import annotations

from collections.abc import Callable

import torch
from torch import Tensor

Pooling = Callable[[Tensor, Tensor, float], Tensor]


def mean(anomaly_map: Tensor, mask: Tensor, fraction: float) -> Tensor:
    """Mean over the pixels of ``mask``; (B, 1, *spatial) to (B,), 0 where the mask is empty."""
    inside = mask.flatten(1)
    total = (anomaly_map.flatten(1) * inside).sum(dim=1)
    return total / inside.sum(dim=1).clamp(min=1)


def top_fraction(anomaly_map: Tensor, mask: Tensor, fraction: float) -> Tensor:
    """Mean over the strangest ``fraction`` of the pixels of ``mask``, at least one; (B, 1, *spatial) to (B,)."""
    count = (mask.flatten(1).sum(dim=1) * fraction).ceil().long().clamp(min=1)
    values = torch.where(mask, anomaly_map, -torch.inf).flatten(1)
    if torch.compiler.is_exporting():  # a graph cannot wait for a number of its own
        values = values.sort(dim=1, descending=True).values
    else:
        values = values.topk(int(count.max()), dim=1).values
    ranks = torch.arange(values.shape[1], device=values.device)
    chosen = (ranks < count[:, None]) & ~values.isneginf()  # not isfinite: a broken map must not score 0
    return torch.where(chosen, values, 0.0).sum(dim=1) / chosen.sum(dim=1).clamp(min=1)


def maximum(anomaly_map: Tensor, mask: Tensor, fraction: float) -> Tensor:
    """Largest value inside ``mask``; (B, 1, *spatial) to (B,), 0 where the mask is empty."""
    values = torch.where(mask, anomaly_map, -torch.inf).flatten(1).amax(dim=1)
    return torch.where(values.isneginf(), 0.0, values)


POOLINGS: dict[str, Pooling] = {"mean": mean, "top_fraction": top_fraction, "max": maximum}
