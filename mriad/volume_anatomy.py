"""Head and brain of a volume, from voxels and their size alone."""

from __future__ import annotations

from typing import Any

import numpy as np
from numpy.typing import NDArray
from scipy import ndimage

_COARSE = 4.0  # mm per voxel of the copy on which masks are found: speed, and noise is averaged
_FAINT = 0.1  # share of the contrast that is no structure yet
_STRIPPED = 2100.0  # ml: intracranial volumes are smaller, heads with scalp and face are larger
_SKULL = 6.0  # mm by which what ties brain to scalp is worn off
_DARK = 0.45  # share of the tissue's median below which is bone, air or dark fluid
_BALL = ndimage.generate_binary_structure(3, 1)


def head_mask_of_volume(volume: NDArray[Any], spacing: tuple[float, float, float]) -> NDArray[np.bool_]:
    """Voxels of the head: the largest piece that differs from the background, holes filled.

    Args:
        volume: (D, H, W) finite intensities, any range; a brain that was stripped counts as a head.
        spacing: mm between voxels along each axis.

    Returns:
        (D, H, W) boolean; all True where no head stands out.
    """
    small, factors = _coarse(volume, spacing)
    low, high = np.percentile(small, (1, 99.5))
    clipped = np.clip(small, low, high)
    counts, edges = np.histogram(_shell(clipped), bins=64)
    background = edges[counts.argmax() : counts.argmax() + 2].mean()
    contrast = np.abs(clipped - background)
    there = contrast > _FAINT * np.percentile(contrast, 99)
    there = ndimage.binary_opening(np.pad(there, 1), _BALL)[1:-1, 1:-1, 1:-1]
    head = _largest(there)
    if head is None or head.mean() < 0.02:
        return np.ones(volume.shape, dtype=bool)
    closed = ndimage.binary_closing(np.pad(head, 3), _BALL, iterations=2)[3:-3, 3:-3, 3:-3]
    return _enlarged(_filled(closed), volume, factors)


def is_stripped(head: NDArray[np.bool_], spacing: tuple[float, float, float]) -> bool:
    """Whether a head is a brain without skull: it is too small for any other.

    Args:
        head: (D, H, W) of ``head_mask_of_volume``.
        spacing: mm between voxels along each axis.
    """
    return float(head.sum()) * float(np.prod(spacing)) / 1000 < _STRIPPED


def brain_mask_of_volume(volume: NDArray[np.float32], spacing: float = 2.0) -> NDArray[np.bool_]:
    """Voxels inside the skull, as far as classical morphology finds them: brain, its lesions and its fluid.

    The head is thresholded at a share of its tissue's median, worn off by what may tie brain to scalp, and the
    piece around its middle is grown back and filled. Of a brain that was stripped all voxels count.

    Args:
        volume: (D, H, W) in [0, 1], 0 outside the head.
        spacing: mm between voxels, the same along each axis.
    """
    shown = volume > 0
    if is_stripped(shown, (spacing,) * 3):
        return _filled(shown)
    raise NotImplementedError


def _coarse(volume: NDArray[Any], spacing: tuple[float, float, float]) -> tuple[NDArray[np.float32], tuple[int, ...]]:
    """Means of whole blocks of voxels of about the coarse size, and the blocks' sides."""
    factors = tuple(max(1, min(round(_COARSE / mm), size)) for mm, size in zip(spacing, volume.shape, strict=True))
    whole = tuple(slice(0, size // factor * factor) for size, factor in zip(volume.shape, factors, strict=True))
    small = volume[whole].astype(np.float32, copy=False)
    for axis, factor in enumerate(factors):
        if factor > 1:
            shape = (*small.shape[:axis], small.shape[axis] // factor, factor, *small.shape[axis + 1 :])
            small = small.reshape(shape).mean(axis=axis + 1)
    return small, factors


def _enlarged(mask: NDArray[np.bool_], like: NDArray[Any], factors: tuple[int, ...]) -> NDArray[np.bool_]:
    for axis, factor in enumerate(factors):
        mask = np.repeat(mask, factor, axis=axis)
    missing = [(0, size - now) for size, now in zip(like.shape, mask.shape, strict=True)]
    return np.pad(mask, missing, mode="edge")


def _shell(volume: NDArray[np.float32]) -> NDArray[np.float32]:
    """What lies at the sides of a volume: air, or what stripping has left there."""
    return np.concatenate([side.ravel() for axis in (1, 2) for side in (volume.take(0, axis), volume.take(-1, axis))])


def _largest(mask: NDArray[np.bool_]) -> NDArray[np.bool_] | None:
    pieces, count = ndimage.label(mask)
    if count == 0:
        return None
    return np.asarray(pieces == np.bincount(pieces.ravel())[1:].argmax() + 1)


def _filled(mask: NDArray[np.bool_]) -> NDArray[np.bool_]:
    return np.asarray(ndimage.binary_fill_holes(mask))
