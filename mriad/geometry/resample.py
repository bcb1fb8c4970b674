"""Values carried from one grid to another, in world space."""

from __future__ import annotations

from typing import Any, Literal

import numpy as np
from numpy.typing import NDArray

from mriad.geometry.grid import Grid

Kind = Literal["linear", "nearest", "share"]

_FWHM = 2 * np.sqrt(2 * np.log(2))  # of a Gaussian, in standard deviations


def resample(
    values: NDArray[Any], here: Grid, there: Grid, *, kind: Kind = "linear", fill: float = 0.0
) -> NDArray[Any]:
    """Carry values between two grids of one space.

    Args:
        values: array of the shape of ``here``.
        kind: 'linear' for levels and maps, antialiased where ``there`` is coarser; 'nearest' for labels; 'share' for
            masks, the share of each voxel that the mask covers.
        fill: value of voxels whose centre lies outside of the field of view of ``here``; 'share' has none and takes 0.

    Returns:
        Array of the shape of ``there``: float32, but of the type of ``values`` for 'nearest'.

    Raises:
        ValueError: if the values do not fit ``here``, or the two grids lie in different kinds of space.
    """
    raise NotImplementedError
