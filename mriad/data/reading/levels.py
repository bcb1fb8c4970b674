"""Intensities as a file keeps them: counted and scaled without a copy of the scan in floating point."""

from __future__ import annotations

from collections.abc import Sequence
from typing import TypeAlias

import cv2
import numpy as np
from numpy.typing import NDArray

Levels: TypeAlias = NDArray[np.uint8 | np.uint16 | np.float32]
"""(H, W) intensities: the full range of an integer type means [0, 1], float32 lies in [0, 1] itself."""


def full_scale(levels: Levels) -> float:
    """The level that means 1."""
    return 2.0 ** (8 * levels.dtype.itemsize) - 1 if levels.dtype.kind == "u" else 1.0


def as_pixels(levels: Levels) -> NDArray[np.float32]:
    """(H, W) float32 in [0, 1]."""
    return levels.astype(np.float32, copy=False) / np.float32(full_scale(levels))


def rescaled(levels: Levels, low: float, high: float) -> NDArray[np.uint8]:
    """(H, W) uint8 of ``clip((x - low) / (high - low), 0, 1)``, with x, ``low`` and ``high`` meant in [0, 1]."""
    if levels.dtype.kind == "f":
        return _to_bytes(levels, low, high)
    full = full_scale(levels)
    table = _to_bytes(np.arange(full + 1) / full, low, high)
    return np.asarray(cv2.LUT(levels, table)) if levels.dtype == np.uint8 else table[levels]


def percentiles(levels: Levels, percent: Sequence[float], *, where: NDArray[np.bool_] | None = None) -> list[float]:
    """Percentiles as ``numpy.percentile`` interpolates them, meant in [0, 1].

    Args:
        where: (H, W) which pixels count, at least one; None for all.
    """
    if levels.dtype.kind == "f":
        return [float(value) for value in np.percentile(levels if where is None else levels[where], percent)]
    bins = int(full_scale(levels)) + 1
    counts = cv2.calcHist([levels], [0], None if where is None else where.view(np.uint8), [bins], [0, bins])
    up_to = np.cumsum(counts.ravel().astype(np.int64))
    rank = np.asarray(percent) / 100 * (up_to[-1] - 1)
    below, above = (np.searchsorted(up_to, whole(rank), side="right") for whole in (np.floor, np.ceil))
    return [float(value) for value in (below + (above - below) * (rank % 1)) / full_scale(levels)]


def _to_bytes(pixels: NDArray[np.number], low: float, high: float) -> NDArray[np.uint8]:
    return np.round(np.clip((pixels - low) / max(high - low, 1e-6), 0.0, 1.0) * 255.0).astype(np.uint8)
