"""Lesion masks and brain masks of volumes."""

from __future__ import annotations

from collections.abc import Collection
from pathlib import Path

import numpy as np
from numpy.typing import NDArray

from mriad.geometry import Grid


def read_volume_mask(path: Path, *, labels: Collection[int] | None = None) -> tuple[NDArray[np.bool_], Grid]:
    """Read a mask on its own grid.

    Args:
        path: a volume as ``read_scan`` reads it.
        labels: values that count; None counts all above 0.

    Returns:
        (D, H, W) bool, and the grid that it lies on.

    Raises:
        ReadError, MriadError: as ``read_scan`` does.
    """
    raise NotImplementedError


def read_mask_on(path: Path, grid: Grid, *, labels: Collection[int] | None = None) -> NDArray[np.bool_]:
    """Read a mask and bring it onto its scan's grid.

    On another grid it is resampled in space: each of its lesions that reaches into the scan keeps a voxel.

    Args:
        path, labels: as in ``read_volume_mask``.
        grid: that of the scan.

    Returns:
        Bool array of the shape of ``grid``.

    Raises:
        ReadError, MriadError: as ``read_scan`` does.
        MriadError: if the two share no space.
    """
    raise NotImplementedError
