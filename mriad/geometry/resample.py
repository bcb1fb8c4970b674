"""Values carried from one grid to another, in world space."""

from __future__ import annotations

from typing import Any, Literal

import numpy as np
from numpy.typing import NDArray

from mriad.geometry.grid import Grid

Kind = Literal["linear", "nearest", "share"]

_EPSILON = 1e-4  # voxels; what rounding does to an index
_FWHM = 2 * np.sqrt(2 * np.log(2))  # of a Gaussian, in standard deviations
_TOUCHING = np.ones((3, 3, 3))  # 26 neighbours


def resample(
    values: NDArray[Any], here: Grid, there: Grid, *, kind: Kind = "linear", fill: float = 0.0
) -> NDArray[Any]:
    """Carry values between two grids of one space.

    Where the axes of both run along each other, as they do between a scan and its working grid, each axis is weighted
    by itself: the linear interpolant is averaged over what a coarser voxel spans more, a mask over all of the voxel
    ('share'). Else values are interpolated linearly, after a Gaussian of the width that Cardoso et al. (2015, "Scale
    factor point spread function matching") give for coarsening.

    Args:
        values: array of the shape of ``here``.
        kind: 'linear' for levels and maps, antialiased where ``there`` is coarser; 'nearest' for labels; 'share' for
            masks, the share of each voxel that the mask covers.
        fill: value of voxels whose centre lies outside of the field of view of ``here``; 'share' takes 0.

    Returns:
        Array of the shape of ``there``: float32, but of the type of ``values`` for 'nearest'. It may be ``values``
        itself, or a view of them, where nothing changes.

    Raises:
        ValueError: if the values do not fit ``here``, or the two grids lie in different kinds of space.
    """
    if values.shape != here.shape:
        raise ValueError(f"values of the shape {values.shape} do not lie on a grid of {here.shape}")
    outside = 0.0 if kind == "share" else fill
    index_map = here.index_map(there)
    sources = _axes_along(index_map, there.shape)
    if kind != "nearest":
        values = values.astype(np.float32, copy=False)
    if sources is None:
        return _in_general(values, index_map, there.shape, kind=kind, fill=outside)
    lines = [
        index_map[source, axis] * np.arange(size) + index_map[source, 3]
        for axis, (source, size) in enumerate(zip(sources, there.shape, strict=True))
    ]
    values = values.transpose(sources)
    within = [_within(line, size) for line, size in zip(lines, values.shape, strict=True)]
    if kind == "nearest":
        nearest = [
            np.clip(np.rint(line), 0, size - 1).astype(int) for line, size in zip(lines, values.shape, strict=True)
        ]
        carried = values[np.ix_(*nearest)]
    else:
        carried = values
        for axis in sorted(range(3), key=lambda axis: there.shape[axis] / values.shape[axis]):
            step = abs(float(index_map[sources[axis], axis]))
            carried = _along(carried, axis, _weights(lines[axis], step, values.shape[axis], box=kind == "share"))
    for axis, inside in enumerate(within):
        if kind != "share" and not inside.all():
            np.moveaxis(carried, axis, 0)[~inside] = outside
    return carried


def resample_mask(mask: NDArray[np.bool_], here: Grid, there: Grid) -> NDArray[np.bool_]:
    """Carry a mask between two grids; each lesion that reaches into ``there`` keeps a voxel.

    A voxel is lesion where at least half of it is, around a lesion that fills no voxel so far where it has at least
    half of its own largest share. Where no voxel under a small lesion beside a large one is lesion, the one that holds
    most of it becomes so. Lesions are 26-connected.

    Args:
        mask: bool array of the shape of ``here``.

    Returns:
        Bool array of the shape of ``there``.
    """
    from scipy import ndimage  # a picture does without

    share = resample(mask, here, there, kind="share")
    share[share < _EPSILON] = 0
    regions, count = ndimage.label(share > 0, structure=_TOUCHING)
    peaks = np.asarray(ndimage.maximum(share, regions, range(count + 1)))
    inside: NDArray[np.bool_] = (share > 0) & (share >= np.where(peaks >= 0.5, 0.5 - _EPSILON, peaks / 2)[regions])
    lesions, count = ndimage.label(mask, structure=_TOUCHING)
    voxels = np.argwhere(mask)
    to_there = there.index_map(here)
    places = np.rint(voxels @ to_there[:3, :3].T + to_there[:3, 3]).astype(int)
    seen = ((places >= 0) & (places < there.shape)).all(axis=1)
    lesion = lesions[tuple(voxels[seen].T)]
    place = np.ravel_multi_index(tuple(places[seen].T), there.shape)
    found = np.bincount(lesion, weights=inside.ravel()[place], minlength=count + 1)
    lost = found[lesion] == 0
    inside.ravel()[fullest(lesion[lost], place[lost])] = True
    return inside


def _axes_along(index_map: NDArray[np.float64], shape: tuple[int, int, int]) -> tuple[int, int, int] | None:
    """For each axis there the axis here that runs along it; None where one runs between several."""
    reach = np.abs(index_map[:3, :3]) * (np.array(shape) - 1)
    first, second, third = (int(axis) for axis in np.abs(index_map[:3, :3]).argmax(axis=0))
    aside = reach.copy()
    aside[[first, second, third], range(3)] = 0
    if sorted((first, second, third)) != [0, 1, 2] or aside.max() > 0.01:
        return None
    return first, second, third


def _within(line: NDArray[np.float64], size: int) -> NDArray[np.bool_]:
    return (line >= -0.5 - _EPSILON) & (line <= size - 0.5 + _EPSILON)


def _weights(line: NDArray[np.float64], step: float, size: int, *, box: bool) -> NDArray[np.float32] | None:
    """(n, size) weights of the voxels of an axis for n points on it, a step apart; None where they change nothing."""
    distance = np.abs(line[:, None] - np.arange(size))
    if len(line) == size and distance.diagonal().max() < _EPSILON and abs(step - 1) < _EPSILON:
        return None
    if box:
        overlap = np.minimum(distance + step / 2, 0.5) - np.maximum(distance - step / 2, -0.5)
        return (np.maximum(overlap, 0) / step).astype(np.float32)
    away = line[:, None] - np.arange(size)
    width = np.sqrt(max(step**2 - 1, 0))
    if width < _EPSILON:
        weights = np.maximum(1 - distance, 0)
    else:
        weights = (_below(away + width / 2) - _below(away - width / 2)) / width
    return (weights / np.maximum(weights.sum(axis=1, keepdims=True), 1e-12)).astype(np.float32)


def _below(x: NDArray[np.float64]) -> NDArray[np.float64]:
    """Integral up to x of the hat ``max(1 - |x|, 0)``."""
    x = np.clip(x, -1, 1)
    return np.where(x < 0, (1 + x) ** 2 / 2, 1 - (1 - x) ** 2 / 2)


def _along(values: NDArray[np.float32], axis: int, weights: NDArray[np.float32] | None) -> NDArray[np.float32]:
    if weights is None:
        return values
    return np.moveaxis(np.tensordot(weights, values, axes=(1, axis)), 0, axis)


def _in_general(
    values: NDArray[Any], index_map: NDArray[np.float64], shape: tuple[int, int, int], *, kind: Kind, fill: float
) -> NDArray[Any]:
    from scipy import ndimage  # a picture does without

    matrix, offset = index_map[:3, :3], index_map[:3, 3]
    if kind != "nearest":
        coarser = np.maximum(np.linalg.norm(matrix, axis=1), 1)
        values = ndimage.gaussian_filter(values, np.sqrt(coarser**2 - 1) / _FWHM, mode="nearest", truncate=3)
    as_bytes = values.view(np.uint8) if values.dtype == bool else values
    order = 0 if kind == "nearest" else 1
    carried = ndimage.affine_transform(
        as_bytes, matrix, offset, output_shape=shape, order=order, mode="nearest", prefilter=False
    ).astype(values.dtype, copy=False)
    i, j, k = np.ogrid[: shape[0], : shape[1], : shape[2]]
    for axis, size in enumerate(values.shape):
        line = matrix[axis, 0] * i + matrix[axis, 1] * j + matrix[axis, 2] * k + offset[axis]
        carried[~_within(line, size)] = fill
    return carried


def fullest(lesion: NDArray[np.int64], place: NDArray[np.int64]) -> NDArray[np.int64]:
    """For each lesion among (n,) numbers, rising, the place that holds most of its voxels."""
    pairs, counts = np.unique(np.stack([lesion, place]), axis=1, return_counts=True)
    order = np.lexsort((-counts, pairs[0]))
    _, first = np.unique(pairs[0, order], return_index=True)
    return pairs[1, order][first]
