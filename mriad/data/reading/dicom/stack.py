"""Slices in order along their normal, and the place of the whole."""

from __future__ import annotations

import logging
import math
from collections import Counter
from collections.abc import Sequence
from pathlib import Path

import numpy as np
from numpy.typing import NDArray

from mriad.data.reading.dicom.frames import Frame
from mriad.data.reading.volume import MOST_SHEAR
from mriad.errors import MriadError

log = logging.getLogger(__name__)

_TURNED = 0.5  # degrees by which slices of one stack may be turned
_UNEVEN = 0.05  # share of the mean gap by which a gap may differ
_MISSING = 1.5  # gaps from which on a slice is missing
_ASIDE = 0.5  # pixels by which a slice may lie beside the line of the others
_ROUNDED = 0.01  # mm that rounding in text may make
_LPS_TO_RAS = np.diag([-1.0, -1.0, 1.0, 1.0])


def stack(path: Path, frames: Sequence[Frame]) -> tuple[list[Frame], NDArray[np.float64]]:
    """Frames sorted by their position along the normal, and the affine of their array (slice, row, column).

    Gaps that differ by less than 5 % count as their mean.

    Args:
        path: where they come from, for errors.
        frames: at least one.

    Returns:
        The frames in order, and (4, 4) to RAS+ mm.

    Raises:
        MriadError: if they are no stack: no place, several sizes or orientations, several images in one place, missing
            slices, uneven gaps, a tilted gantry.
    """
    positions, across, down, spacing = _plane(path, frames)
    normal = np.cross(across, down)
    heights = positions @ normal
    order = np.argsort(heights, kind="stable")
    positions, heights = positions[order], heights[order]
    if len(frames) > 1:
        step = _even_step(path, positions, heights, normal, min(spacing))
    else:
        thickness = frames[0].thickness
        if math.isnan(thickness):
            thickness = 1.0
            log.warning("%s is a single slice that does not say how thick it is; 1 mm is taken.", path)
        step = normal * thickness
    affine = np.eye(4)
    affine[:3, :3] = np.column_stack([step, down * spacing[0], across * spacing[1]])
    affine[:3, 3] = positions[0]
    return [frames[place] for place in order], _LPS_TO_RAS @ affine


def _plane(
    path: Path, frames: Sequence[Frame]
) -> tuple[NDArray[np.float64], NDArray[np.float64], NDArray[np.float64], tuple[float, float]]:
    """Positions (n, 3), the two directions and two spacings that all frames share."""
    if any(frame.tiles for frame in frames):
        raise MriadError(
            f"{path} is a Siemens mosaic (several slices as tiles of one image), which mriad does not take apart; "
            "convert it with dcm2niix and name the NIfTI file."
        )
    if len(shapes := Counter(frame.shape for frame in frames)) > 1:
        sizes = ", ".join(f"{count} of {rows} x {columns}" for (rows, columns), count in shapes.most_common())
        raise MriadError(f"{path} holds images of several sizes ({sizes}) in one series; keep those of one stack.")
    homeless = sum(not (frame.position and frame.directions and frame.spacing) for frame in frames)
    if homeless:
        raise MriadError(
            f"{path} holds {homeless} of {len(frames)} images that do not say where they lie (position, orientation or "
            "pixel spacing is missing), such as screen shots; choose the series of the scan itself."
        )
    positions = np.array([frame.position for frame in frames])
    directions = np.array([frame.directions for frame in frames]).reshape(-1, 2, 3)
    spacings = np.array([frame.spacing for frame in frames])
    lengths = np.linalg.norm(directions, axis=2, keepdims=True)
    if not (np.abs(lengths - 1) < 0.01).all() or not (spacings > 0).all():
        raise MriadError(f"{path} has directions or pixel spacings that make no sense; export it again.")
    directions = directions / lengths
    turned = np.degrees(np.arccos(np.clip((directions * directions[0]).sum(axis=2), -1, 1))).max(axis=1)
    if turned.max() > _TURNED:
        several = int((turned > _TURNED).sum())
        raise MriadError(
            f"{path} holds images of several orientations ({several} of {len(frames)} are turned by up to "
            f"{turned.max():.1f} degrees), such as a localizer's; choose the series of the scan itself."
        )
    if np.ptp(spacings, axis=0).max() > 0.01 * spacings.min():
        low, high = spacings.min(), spacings.max()
        raise MriadError(f"{path} holds images of several pixel spacings ({low:g} to {high:g} mm); keep one stack.")
    across, down = directions[0]
    if abs(across @ down) > math.sin(math.radians(MOST_SHEAR)):
        raise MriadError(f"{path} has rows and columns that are not at right angles; export it again.")
    return positions, across, down, (float(spacings[0, 0]), float(spacings[0, 1]))


def _even_step(
    path: Path, positions: NDArray[np.float64], heights: NDArray[np.float64], normal: NDArray[np.float64], pixel: float
) -> NDArray[np.float64]:
    """The step (3,) from a slice to the next."""
    gaps = np.diff(heights)
    places = 1 + int((gaps > _ROUNDED).sum())
    if places < len(heights):
        raise MriadError(
            f"{path} holds {len(heights)} images at {places} places, such as time points, directions or a repeated "
            "scan, and nothing that mriad knows tells them apart; keep the images of one volume."
        )
    usual = float(np.median(gaps))
    if gaps.max() > _MISSING * usual:
        widest = int(gaps.argmax())
        missing = int(sum(round(gap / usual) - 1 for gap in gaps if gap > _MISSING * usual))
        raise MriadError(
            f"{path} lacks about {missing} slices: after slice {widest + 1} of {len(heights)} there is a gap of "
            f"{gaps.max():.2f} mm where others are {usual:.2f}; export the whole series again."
        )
    mean = float(gaps.mean())
    if np.abs(gaps - mean).max() > max(_UNEVEN * mean, _ROUNDED):
        raise MriadError(
            f"{path} has slices at uneven gaps ({gaps.min():.2f} to {gaps.max():.2f} mm), which no grid describes; "
            "resample it to even ones."
        )
    step = (positions[-1] - positions[0]) / (len(positions) - 1)
    tilt = math.degrees(math.acos(min(1.0, float(step @ normal) / float(np.linalg.norm(step)))))
    if tilt > MOST_SHEAR:
        raise MriadError(
            f"{path} was scanned with a gantry tilted by {tilt:.1f} degrees, so that its slices are shifted against "
            "each other; correct for the tilt, as dcm2niix does, and name the NIfTI file."
        )
    line = positions[0] + np.arange(len(positions))[:, None] * step
    aside = positions - line
    aside -= (aside @ normal)[:, None] * normal
    if (furthest := np.linalg.norm(aside, axis=1).max()) > max(_ASIDE * pixel, _ROUNDED):
        raise MriadError(
            f"{path} has slices up to {furthest:.2f} mm beside the line of the others, as of two stacks; keep the "
            "images of one."
        )
    return step
