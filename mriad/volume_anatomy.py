"""Head and brain of a volume, from voxels and their size alone."""

from __future__ import annotations

from functools import cache
from importlib.resources import files
from typing import Any

import numpy as np
from numpy.typing import NDArray
from scipy import ndimage

_COARSE = 4.0  # mm per voxel of the copy on which masks are found: speed, and noise is averaged
_FAINT = 0.1  # share of the contrast that is no structure yet
_STRIPPED = 2100.0  # ml: intracranial volumes are smaller, heads with scalp and face are larger
_FINE = 3.0  # mm per voxel of the copy on which a brain is found
_CORE = 15.0  # mm below the brain's surface there is brain and nothing else
_DARK = 0.4  # share of the core's median below which is bone, air or dark fluid
_BRIDGE = 6.0  # mm; half the width of what may tie brain to scalp
_SULCUS = 6.0  # mm; half the width of the widest dark cleft that still belongs to the brain
# Where a brain lies in a head, mm; of the heads of ten people between 20 and 80, all within 10 mm of these.
_UPPER = 70.0  # this much of a head from its top down shows its length and width
_HEIGHT = (13.0, 150.0)  # top and bottom of the brain below the top of the head
_FRONT, _BACK, _SIDE = 15.0, 9.0, 10.0  # from the head's surface
_DEEP = 8.0  # below the surface of the brain no scalp is met, wherever it was expected
_MARGIN = 7.0  # by which a brain may reach further
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
    # a dark skull parts the scalp from the brain, which lies within it all the same
    bridged = _filled(ndimage.binary_closing(np.pad(there, 3), _BALL, iterations=2))
    head = _largest(ndimage.binary_opening(bridged, _BALL)[3:-3, 3:-3, 3:-3])
    return np.ones(volume.shape, dtype=bool) if head is None else _enlarged(head, volume, factors)


def is_stripped(head: NDArray[np.bool_], spacing: tuple[float, float, float]) -> bool:
    """Whether a head is a brain without skull: it is too small for any other.

    Args:
        head: (D, H, W) of ``head_mask_of_volume``.
        spacing: mm between voxels along each axis.
    """
    return float(np.count_nonzero(head)) * float(np.prod(spacing)) / 1000 < _STRIPPED


def deep_brain(head: NDArray[np.bool_], spacing: tuple[float, float, float]) -> NDArray[np.bool_]:
    """What lies well below the surface of the brain of a head, by the size of the head alone.

    Args:
        head: (D, H, W) of ``head_mask_of_volume``, axes towards superior, posterior, left.
        spacing: mm between voxels along each axis.
    """
    small, factors = _coarse(head, spacing)
    mm = tuple(factor * side for factor, side in zip(factors, spacing, strict=True))
    brain = small > 0.5 if is_stripped(head, spacing) else _expected_brain(small > 0.5, mm)
    depth = ndimage.distance_transform_edt(np.pad(brain, 1), sampling=mm)[1:-1, 1:-1, 1:-1]
    deep = _enlarged(depth > min(_DEEP, depth.max() / 2), head, factors) & head
    return deep if deep.any() else head


def brain_mask_of_volume(volume: NDArray[np.float32], spacing: float = 2.0) -> NDArray[np.bool_]:
    """Voxels inside the skull, as far as classical morphology finds them: brain, its lesions and its fluid.

    Around where a brain lies in a head of this size, tissue is thresholded at a share of its median, worn off by what
    may tie brain to scalp, and the piece in the middle is grown back and filled. Of a brain that was stripped all
    voxels count.

    Args:
        volume: (D, H, W) in [0, 1], 0 outside the head.
        spacing: mm between voxels, the same along each axis.
    """
    shown = _filled(volume > 0)
    if is_stripped(shown, (spacing,) * 3):
        return shown
    small, factors = _coarse(volume, (spacing / _FINE * _COARSE,) * 3)
    mm = spacing * factors[0]
    head = _filled(small > _FAINT * np.percentile(small, 99))
    expected = _expected_brain(head, (mm, mm, mm))
    within = ndimage.distance_transform_edt(~expected, sampling=mm) <= _MARGIN
    core = expected & (ndimage.distance_transform_edt(expected, sampling=mm) > _CORE)
    tissue = within & (small > _DARK * np.median(small[core]))
    inner = ndimage.distance_transform_edt(np.pad(tissue, 1), sampling=mm)[1:-1, 1:-1, 1:-1] > _BRIDGE
    pieces, count = ndimage.label(inner)
    if count == 0:
        return _enlarged(expected, volume, factors) & shown
    middle = pieces == np.bincount(pieces[core], minlength=count + 1)[1:].argmax() + 1
    grown = ndimage.distance_transform_edt(~middle, sampling=mm) <= _BRIDGE + _SULCUS
    closed = ndimage.distance_transform_edt(np.pad(grown, 1, mode="edge"), sampling=mm)[1:-1, 1:-1, 1:-1] > _SULCUS
    return _enlarged(_filled(closed) & within, volume, factors) & shown


def _expected_brain(head: NDArray[np.bool_], mm: tuple[float, ...]) -> NDArray[np.bool_]:
    """Where a brain lies in a head, by the head's size alone.

    The MNI152 brain is put into the head with the usual distances from its surface, which hardly differ from one
    person to the next; length and width of the head are those of its upper part, without nose and jaw.
    """
    top = int(np.flatnonzero(head.any(axis=(1, 2)))[-1]) + 1
    upper = head[max(0, top - round(_UPPER / mm[0])) : top].any(axis=0)
    rows, columns = (np.flatnonzero(np.any(upper, axis=axis)) for axis in (1, 0))
    box = (
        (top - _HEIGHT[1] / mm[0], top - _HEIGHT[0] / mm[0]),
        (rows[0] + _FRONT / mm[1], rows[-1] + 1 - _BACK / mm[1]),
        (columns[0] + _SIDE / mm[2], columns[-1] + 1 - _SIDE / mm[2]),
    )
    template = _template()
    lines = [
        np.floor((np.arange(size) + 0.5 - start) / (stop - start) * count).astype(int)
        for size, (start, stop), count in zip(head.shape, box, template.shape, strict=True)
    ]
    there = [(line >= 0) & (line < count) for line, count in zip(lines, template.shape, strict=True)]
    expected = template[np.ix_(*(np.clip(line, 0, n - 1) for line, n in zip(lines, template.shape, strict=True)))]
    return expected & there[0][:, None, None] & there[1][None, :, None] & there[2][None, None, :]


@cache
def _template() -> NDArray[np.bool_]:
    """The MNI152 brain mask of 2 mm that nilearn carries, its axes turned to the house's, cut to its box."""
    with files("mriad").joinpath("mni152_brain.npz").open("rb") as stream, np.load(stream) as kept:
        shape = kept["shape"]
        return np.unpackbits(kept["brain"], count=shape.prod()).reshape(shape).astype(bool)


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
    for axis in (2, 1, 0):  # the last axis first: what is repeated then are whole rows and slices
        mask = np.repeat(mask, factors[axis], axis=axis)
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
