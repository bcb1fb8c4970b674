"""Lesion masks and brain masks of volumes: a file in, a bool array on the scan's grid out."""

from __future__ import annotations

from collections.abc import Collection
from pathlib import Path

import numpy as np
from numpy.typing import NDArray

from mriad.data.reading.masks import of_mask
from mriad.data.reading.read import read_scan
from mriad.errors import MriadError
from mriad.geometry import Grid, resample_mask

_NO_SHIFT = 0.01  # voxels; what a place written in text or float32 may differ by


def read_volume_mask(path: Path, *, labels: Collection[int] | None = None) -> tuple[NDArray[np.bool_], Grid]:
    """Read a mask on its own grid.

    Args:
        path: a volume as ``mriad.data.reading.read.read_scan`` reads it.
        labels: the values that count; None counts all above 0.

    Returns:
        (D, H, W) bool, and the grid that it lies on.

    Raises:
        ReadError: if it cannot be read now, or is missing.
        MriadError: if it is no volume that mriad reads.
    """
    try:
        scan = read_scan(path, labels=True)
    except MriadError as error:
        raise of_mask(path, error) from error
    if not scan.is_volume:
        raise MriadError(f"The mask {path} is a picture without a place in space; give one in the format of its scan.")
    mask = scan.levels > 0 if labels is None else np.isin(np.rint(scan.levels), list(labels))
    return mask, scan.grid


def read_mask_on(path: Path, grid: Grid, *, labels: Collection[int] | None = None) -> NDArray[np.bool_]:
    """Read a mask and bring it onto the grid of its scan.

    On another grid it is resampled in space, so that each lesion that reaches into the scan keeps a voxel, see
    ``mriad.geometry.resample_mask``.

    Args:
        path, labels: as in ``read_volume_mask``.
        grid: the scan's, a volume's.

    Returns:
        Bool array of the shape of ``grid``.

    Raises:
        ReadError: if the mask cannot be read now, or is missing.
        MriadError: if it is no volume that mriad reads, or lies elsewhere than the scan.
    """
    mask, own = read_volume_mask(path, labels=labels)
    return mask_on(mask, own, grid, called=str(path))


def mask_on(mask: NDArray[np.bool_], own: Grid, grid: Grid, *, called: str) -> NDArray[np.bool_]:
    """Bring a mask onto the grid of its scan, see ``read_mask_on``.

    Args:
        mask: bool array of the shape of ``own``.
        own: the grid that it lies on.
        grid: the scan's.
        called: what it is called in errors.

    Raises:
        MriadError: if it lies elsewhere than the scan.
    """
    if own.agrees(grid, within=_NO_SHIFT):
        return mask
    if not (grid.overlap(own) or own.overlap(grid)):
        raise MriadError(
            f"The mask {called} lies elsewhere than its scan: it reaches over {_extent(own)}, the scan over "
            f"{_extent(grid)}; give the mask of this scan, or resample it onto the scan."
        )
    carried = resample_mask(mask, own, grid)
    if mask.any() and not carried.any():
        raise MriadError(
            f"The mask {called} marks nothing inside of its scan: it reaches over {_extent(own)}, the scan over "
            f"{_extent(grid)}; give the mask of this scan, or resample it onto the scan."
        )
    return carried


def _extent(grid: Grid) -> str:
    return ", ".join(f"{low:.0f} to {high:.0f}" for low, high in grid.bounds.T) + " mm (right, anterior, superior)"
