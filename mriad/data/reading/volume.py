"""What every volume must be, whatever file it comes from: one, of real numbers, with a place in space."""

from __future__ import annotations

import logging
import math
from collections.abc import Sequence
from dataclasses import replace
from pathlib import Path
from typing import Any

import numpy as np
from numpy.typing import NDArray

from mriad.data.reading.content import unreadable
from mriad.data.reading.scan import Facts, Scan
from mriad.errors import MriadError
from mriad.geometry import Grid

log = logging.getLogger(__name__)

MOST_SHEAR = 2.0
"""Degrees by which two axes may miss a right angle: more than rounding, less than any tilt of a gantry."""

_SMALLEST, _LARGEST = 0.01, 100.0  # mm of a voxel that no scan of a head lies beyond
_KEPT = (np.uint8, np.uint16, np.int16)
_FEWEST = 0.01  # share of voxels that must be finite: those outside of a mask often are not


def volume_scan(
    file: Path,
    values: NDArray[Any],
    affine: NDArray[np.float64],
    facts: Facts,
    *,
    slope: float = 1.0,
    intercept: float = 0.0,
) -> Scan:
    """The scan of an array and its place.

    Args:
        file: where it comes from, for errors.
        values: of any real type and byte order; one axis (a single row), two (a slice) and trailing ones of length 1
            are fine.
        affine: (4, 4) to RAS+ mm.
        facts: what the file says besides; the count of voxels that are not finite is added.
        slope, intercept: levels are ``values * slope + intercept``.

    Raises:
        MriadError: if it is no single volume of real numbers, or has no usable place.
    """
    shape = one_volume(file, values.shape)
    require_real(file, values.dtype)
    grid = placed(file, shape, affine)
    levels, not_finite = _levels(file, values.reshape(shape, order="A"), slope, intercept)
    if not_finite:
        log.warning(
            "%s holds %d voxels (%.2g %%) that are no finite numbers; they get its least level.",
            *(file, not_finite, 100 * not_finite / levels.size),
        )
        facts = replace(facts, not_finite=not_finite)
    return Scan(levels=levels, grid=grid, facts=facts)


def one_volume(file: Path, shape: Sequence[int]) -> tuple[int, int, int]:
    """The three sizes of a shape.

    Raises:
        MriadError: if it has more than one volume, or none.
    """
    sizes = [int(size) for size in shape]
    whole = " x ".join(map(str, sizes))
    if not sizes or min(sizes) < 1:
        raise MriadError(f"{file} holds no voxels ({whole or 'no axes'}); export it again or leave it out.")
    if (volumes := math.prod(sizes[3:])) > 1:
        raise MriadError(
            f"{file} holds {volumes} volumes ({whole}), such as time points or directions, and mriad reads one; "
            "save the one that is meant, or their mean, as a file of its own."
        )
    first, second, third = [*sizes[:3], 1, 1][:3]
    return first, second, third


def require_real(file: Path, kind: np.dtype[Any]) -> None:
    """See that voxels are real numbers.

    Raises:
        MriadError: if they are colours or complex numbers.
    """
    if kind.names:
        raise MriadError(
            f"{file} is in colour ({', '.join(kind.names)}), as maps and labels are shown and scans are not; "
            "name the scan that it was made of."
        )
    if kind.kind == "c":
        raise MriadError(f"{file} holds complex numbers; save their magnitude as a file of its own.")
    if kind.kind not in "buif":
        raise MriadError(f"{file} holds voxels of the type {kind}, which are no real numbers; convert it.")


def placed(file: Path, shape: tuple[int, int, int], affine: NDArray[np.float64]) -> Grid:
    """The grid of a file.

    Raises:
        MriadError: if its affine is none, sheared, or of voxels of no likely size.
    """
    try:
        grid = Grid(shape=shape, affine=affine)
    except ValueError:
        rows = "; ".join(" ".join(f"{value:g}" for value in row) for row in np.asarray(affine)[:3])
        raise MriadError(
            f"{file} has an affine that leads nowhere ({rows}); write its place in space again or leave it out."
        ) from None
    if not _SMALLEST <= min(grid.spacing) <= max(grid.spacing) <= _LARGEST:
        sizes = " x ".join(f"{size:.3g}" for size in grid.spacing)
        raise MriadError(f"{file} has voxels of {sizes} mm, which no scan of a head has; mend its header.")
    if grid.shear > MOST_SHEAR:
        raise MriadError(
            f"{file} has axes that miss a right angle by {grid.shear:.1f} degrees, as from a tilted gantry that was "
            "not corrected for; resample it onto axes at right angles."
        )
    return grid


def _levels(file: Path, values: NDArray[Any], slope: float, intercept: float) -> tuple[NDArray[Any], int]:
    """Finite levels, and the number of voxels that were not."""
    values = values.view(np.uint8) if values.dtype == bool else values
    values = values.astype(values.dtype.newbyteorder("="), copy=False)
    scaled = (slope, intercept) != (1.0, 0.0)
    try:
        if values.dtype in _KEPT and not scaled:
            return values, 0
        if values.dtype == np.int8 and not scaled:
            return values.astype(np.int16), 0
        # wide numbers lose nothing before they are scaled
        wide = np.dtype(np.float64 if scaled and values.dtype.itemsize > 2 else np.float32)
        with np.errstate(over="ignore", invalid="ignore"):
            levels: NDArray[Any] = values.astype(wide, copy=False)
            if scaled:  # in place: a scan of 0.5 mm has 200 MB
                levels = np.multiply(levels, slope, dtype=wide)
                levels += intercept
            levels = levels.astype(np.float32, copy=False)
        finite = np.isfinite(levels)
        not_finite = levels.size - int(np.count_nonzero(finite))
        if not_finite > (1 - _FEWEST) * levels.size:
            raise MriadError(
                f"{file} holds {not_finite} voxels of {levels.size} that are no finite numbers; export it again or "
                "leave it out."
            )
        if not_finite:
            levels = np.where(finite, levels, levels[finite].min())
    except MemoryError as error:
        raise unreadable(file, error) from error
    return levels, not_finite
