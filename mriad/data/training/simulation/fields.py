"""Smooth random fields on small grids."""

from __future__ import annotations

import math
from collections.abc import Sequence
from functools import lru_cache

import numpy as np
from numpy.typing import NDArray

Floats = NDArray[np.float32]

_STEP = 0.05  # of the logarithm of the grain, to which it is rounded: weights that were made are kept
_SQUARED_WEIGHT = 151 / 315  # mean sum of squared cubic B-spline weights along an axis, as in data.synthetic.fields


def smooth_field(shape: Sequence[int], grain: float, rng: np.random.Generator) -> Floats:
    """A field of mean 0 and standard deviation about 1: cubic B-splines with normal coefficients.

    Args:
        shape: of the grid, (D, H, W).
        grain: voxels from one knot to the next; the size of the field's bumps.
        rng: draws it.
    """
    step = round(math.log(grain) / _STEP)
    weights = [
        _weights(size, step, offset) for size, offset in zip(shape, rng.integers(8, size=len(shape)), strict=True)
    ]
    values = rng.standard_normal([weight.shape[1] for weight in weights], dtype=np.float32)
    deep, high, wide = weights
    values = high @ (values @ wide.T)
    field = (deep @ values.reshape(len(values), -1)).reshape(shape)
    return field / np.float32(_SQUARED_WEIGHT ** (len(weights) / 2))


@lru_cache(maxsize=2048)
def _weights(size: int, step: int, eighths: int) -> Floats:
    """(size, knots) what each knot adds at each voxel, of a lattice that begins some eighths of its grain before."""
    place = (np.arange(size) / math.exp(_STEP * step) + eighths / 8).astype(np.float32)
    away = np.abs(place[:, None] + 1 - np.arange(int(place[-1]) + 4, dtype=np.float32))
    near, far = 2 / 3 - away**2 + away**3 / 2, np.clip(2 - away, 0, None) ** 3 / 6
    return np.where(away < 1, near, far).astype(np.float32)
