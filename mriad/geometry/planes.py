"""The slices of a volume in the three planes, as pictures are: upright and square."""

from __future__ import annotations

from collections.abc import Sequence
from typing import Any

import numpy as np
from numpy.typing import NDArray

from mriad.errors import MriadError, unknown

AXES = {"axial": 0, "coronal": 1, "sagittal": 2}
"""The axis of a volume (D, H, W), which run up, backwards and to the left, that leads through the slices of a plane."""


def require_planes(planes: Sequence[str]) -> tuple[str, ...]:
    """The planes, each once.

    Raises:
        MriadError: if there is none, or one is unknown.
    """
    planes = (planes,) if isinstance(planes, str) else tuple(planes)
    if not planes:
        raise MriadError("data.planes=[] leaves nothing to look at; give axial, coronal or sagittal.")
    for plane in planes:
        if plane not in AXES:
            raise unknown("data.planes", plane, AXES)
    return tuple(dict.fromkeys(planes))


def slice_of(volume: NDArray[Any], plane: str, place: int) -> NDArray[Any]:
    """(S, S) slice of a volume (D, S, S), S >= D; above and below what a coronal or sagittal one shows it is 0."""
    slice_ = np.moveaxis(volume, AXES[plane], 0)[place]  # a view: take would copy the volume first
    return slice_ if plane == "axial" else np.pad(slice_[::-1], (margins(*volume.shape[:2]), (0, 0)))


def slab_of(volume: NDArray[Any], plane: str, place: int, neighbours: int) -> NDArray[Any]:
    """(2 k + 1, S, S) slice of a volume (D, S, S) in the middle of its k neighbours on each side, in their order.

    Beyond the ends of the volume there is nothing: 0.
    """
    last = volume.shape[AXES[plane]] - 1
    places = range(place - neighbours, place + neighbours + 1)
    slab = np.stack([slice_of(volume, plane, min(max(near, 0), last)) for near in places])
    slab[[not 0 <= near <= last for near in places]] = 0
    return slab


def window_about(shown: NDArray[np.bool_], side: int) -> tuple[slice, slice]:
    """Rows and columns of a window of ``side`` by ``side`` about the middle of what is shown of (S, S)."""
    windows = []
    for axis, length in enumerate(shown.shape):
        there = np.flatnonzero(shown.any(axis=1 - axis))
        middle = (int(there[0]) + int(there[-1]) + 1) // 2 if len(there) else length // 2
        start = min(max(0, middle - side // 2), max(0, length - side))
        windows.append(slice(start, start + side))
    return windows[0], windows[1]


def views_through(volumes: Sequence[NDArray[Any]], values: NDArray[Any]) -> list[NDArray[Any]]:
    """Square pictures (2 S, 2 S) of volumes (D, S, S): the three planes through the peak of some values, and a fourth.

    Axial and coronal stand above sagittal and the axial slice with the highest value of those at least an eighth of the
    volume away from the first.

    Args:
        volumes: what to show, all of the same place.
        values: (D, S, S), such as the anomaly map.
    """
    depth, row, column = np.unravel_index(np.argmax(values), values.shape)
    by_slice = values.max(axis=(1, 2)).astype(float)
    by_slice[max(0, depth - len(values) // 8) : depth + len(values) // 8 + 1] = -np.inf
    places = (("axial", depth), ("coronal", row), ("sagittal", column), ("axial", int(by_slice.argmax())))
    return [
        np.block([[views[0], views[1]], [views[2], views[3]]])
        for views in ([slice_of(volume, plane, int(place)) for plane, place in places] for volume in volumes)
    ]


def margins(depth: int, side: int) -> tuple[int, int]:
    """Rows above and below an upright slice of ``depth`` rows that make it ``side`` rows high."""
    return (side - depth) // 2, side - depth - (side - depth) // 2
