"""Head masks from pixels alone, for scans without a segmentation."""

from __future__ import annotations

import numpy as np
from numpy.typing import NDArray
from PIL import Image
from scipy import ndimage

_LONGEST_SIDE = 128  # the mask is found on a small copy: speed, and thin text disappears
_FAINT = 0.1  # share of the contrast that is no structure yet: above JPEG noise, below dark grey matter
_STRAY = 0.02  # share of a line's pixels, at either end of the range, that may stray and leave it uniform
_GAP = 2  # half the widest break in the scalp that is bridged, in pixels of the small copy

Box = tuple[int, int, int, int]  # top, left, bottom, right, end exclusive


def head_mask(image: NDArray[np.float32]) -> NDArray[np.bool_]:
    """Pixels of the head: the largest component that differs from the background, holes filled.

    Margins, white frames and bars around the head are peeled off; the background is what lies next to the head,
    so bright backgrounds work too. The scalp counts as head also where dark skull parts it from the brain.

    Args:
        image: (H, W) intensities, any range.

    Returns:
        (H, W) boolean mask; all True where no head stands out from the background.
    """
    height, width = image.shape
    scale = min(1.0, _LONGEST_SIDE / max(height, width))
    small = image
    if scale < 1:
        size = (max(1, round(width * scale)), max(1, round(height * scale)))
        small = np.asarray(Image.fromarray(image).resize(size, Image.Resampling.BOX))
    mask = _small_head_mask(small)
    if mask.shape != image.shape:
        mask = np.asarray(Image.fromarray(mask).resize((width, height), Image.Resampling.NEAREST))
    return mask


def _small_head_mask(image: NDArray[np.float32]) -> NDArray[np.bool_]:
    everything = np.ones(image.shape, dtype=bool)
    faint = _FAINT * float(np.ptp(image))
    box = _without_margins(image, faint)
    outside = _outside(image, box)
    background = _background([*outside, *_corners(image, box)], faint)
    whole = (0, 0, *image.shape)
    # the line beside a bar is blended with it
    bar = [abs(float(np.median(line)) - background) > faint for line in outside]
    top, left, bottom, right = (
        edge + step * (is_bar and edge != end)
        for edge, end, is_bar, step in zip(box, whole, bar, (1, 1, -1, -1), strict=True)
    )
    inside = image[top:bottom, left:right]
    if inside.size == 0:
        return everything
    contrast = np.abs(inside - background)
    foreground = contrast > _FAINT * float(np.percentile(contrast, 99))
    foreground = ndimage.binary_opening(foreground)
    bridged = ndimage.binary_dilation(foreground, iterations=_GAP)
    bridged = ndimage.binary_erosion(bridged, iterations=_GAP, border_value=1)
    labels, count = ndimage.label(ndimage.binary_fill_holes(bridged))
    if count == 0:
        return everything
    largest = int(np.bincount(labels.ravel())[1:].argmax()) + 1
    head = labels == largest
    if head.mean() < 0.05:
        return everything
    mask = np.zeros(image.shape, dtype=bool)
    mask[top:bottom, left:right] = head
    return mask


def _without_margins(image: NDArray[np.float32], faint: float) -> Box:
    """What is left when uniform lines are peeled off all four sides."""
    top, left, bottom, right = 0, 0, *image.shape
    while True:
        box = top, left, bottom, right
        inside = image[top:bottom, left:right]
        rows, columns = _busy(inside, faint), _busy(inside.T, faint)
        if rows.size == 0 or columns.size == 0:
            return box
        top, bottom = top + int(rows[0]), top + int(rows[-1]) + 1
        left, right = left + int(columns[0]), left + int(columns[-1]) + 1
        if (top, left, bottom, right) == box:
            return box


def _busy(image: NDArray[np.float32], faint: float) -> NDArray[np.intp]:
    """Rows that are not uniform."""
    ordered = np.sort(image, axis=1)
    stray = int(_STRAY * image.shape[1])
    return np.flatnonzero(ordered[:, -1 - stray] - ordered[:, stray] > faint)


def _outside(image: NDArray[np.float32], box: Box) -> list[NDArray[np.float32]]:
    """Lines next to the box, in its order; where the box reaches the image's end, its own last line."""
    top, left, bottom, right = box
    height, width = image.shape
    return [
        image[max(top - 1, 0), left:right],
        image[top:bottom, max(left - 1, 0)],
        image[min(bottom, height - 1), left:right],
        image[top:bottom, min(right, width - 1)],
    ]


def _corners(image: NDArray[np.float32], box: Box) -> list[NDArray[np.float32]]:
    """The four corners of the box: heads are round, so they show background even where the head fills the box."""
    top, left, bottom, right = box
    height, width = max(1, (bottom - top) // 16), max(1, (right - left) // 16)
    rows = slice(top, top + height), slice(bottom - height, bottom)
    columns = slice(left, left + width), slice(right - width, right)
    return [image[row, column] for row in rows for column in columns]


def _background(places: list[NDArray[np.float32]], faint: float) -> float:
    """The value that most places show, give or take ``faint``; the earlier one where two tie."""
    votes = np.array([np.median(place) for place in places])
    agreement = (np.abs(votes[:, None] - votes) <= faint).sum(axis=1)
    return float(votes[agreement.argmax()])
