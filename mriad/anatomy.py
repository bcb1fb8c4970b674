"""Head and brain masks from pixels alone, for scans without a segmentation."""

from __future__ import annotations

from collections.abc import Callable

import cv2
import numpy as np
from numpy.typing import NDArray
from PIL import Image

cv2.setNumThreads(1)  # scans are prepared side by side, and one of them is too small to be shared out

_LONGEST_SIDE = 128  # the mask is found on a small copy: speed, and thin text disappears
_FAINT = 0.1  # share of the contrast that is no structure yet: above JPEG noise, below dark grey matter
_STRAY = 0.02  # share of a line's pixels, at either end of the range, that may stray and leave it uniform
_GAP = 2  # half the widest break in the scalp that is bridged, in pixels of the small copy
_WILD = 2  # times the range of all others: what lies further off is a fault of the file

# Shares of the radius of the largest circle inside the head:
_RING = 0.02  # width of the rings at one depth that are looked at from the outside inwards
_SCALP = 0.08  # scalp and skull are at least this thick,
_SKULL = 0.18  # and at most this
_BRIDGE = 0.08  # half the width of what may tie brain to scalp
_SULCUS = 0.15  # half the width of the widest dark cleft that still belongs to the brain
_CORE = 0.5  # deeper than this lies brain and nothing else
# Shares of the median intensity of that core.
_DARK = 0.5  # bone, air and fluid are darker; so may be a lesion, but then tissue surrounds it
_BRIGHT = 1.4  # fat is brighter
_FALL = 1.15  # an outer ring this much brighter than a deeper one shows that there is a scalp

Box = tuple[int, int, int, int]  # top, left, bottom, right, end exclusive


def head_mask(image: NDArray[np.uint8 | np.uint16 | np.float32]) -> NDArray[np.bool_]:
    """Pixels of the head: the largest component that differs from the background, holes filled.

    Margins, white frames and bars around the head are peeled off; the background is what lies next to the head,
    so bright backgrounds work too. The scalp counts as head also where dark skull parts it from the brain.

    Args:
        image: (H, W) intensities, any range.

    Returns:
        (H, W) boolean mask; all True where no head stands out from the background.
    """
    return _on_small_copy(image, lambda small: _small_head_mask(np.clip(small, *reach(small))))


def bounding_box(mask: NDArray[np.bool_]) -> Box:
    """The least box around the true pixels of a mask (H, W) that has some."""
    left, top, width, height = cv2.boundingRect(mask.view(np.uint8))
    return top, left, top + height, left + width


def reach(values: NDArray[np.floating]) -> tuple[float, float]:
    """Smallest and largest value, wild ones left out.

    Up to a thousandth of the values at either end, at least one, is wild where it lies further off the others than
    twice their range: a dead detector element, a marker, a number that means nothing.

    Args:
        values: of any shape, at least one, all finite.
    """
    stray = min(max(1, values.size // 1000), (values.size - 1) // 2)
    ordered = np.sort(values, axis=None)  # faster than NumPy's partition
    low, lower, upper, high = (float(ordered[place]) for place in (0, stray, -1 - stray, -1))
    allowed = _WILD * (upper - lower) if upper > lower else float("inf")
    return low if lower - low <= allowed else lower, high if high - upper <= allowed else upper


def brain_mask(image: NDArray[np.float32]) -> NDArray[np.bool_]:
    """Pixels inside the skull, as far as classical morphology finds them: brain, its lesions and its fluid.

    Scalp and skull are peeled off to the depth at which whole rings of the head are no longer much brighter or darker
    than its middle; a scan without a scalp, such as a skull-stripped one, keeps its edge. What is left is cut from
    thin bridges, the central piece is kept, clefts are closed and holes are filled. Where that leaves too little, the
    mask is the head without its outer rings. Neck and face are not told from brain.

    Args:
        image: (H, W) intensities in [0, 1], of a scan cropped to the head.

    Returns:
        (H, W) boolean mask.
    """
    return _on_small_copy(image, _small_brain_mask)


def _on_small_copy(
    image: NDArray[np.uint8 | np.uint16 | np.float32],
    find: Callable[[NDArray[np.float32]], NDArray[np.bool_]],
) -> NDArray[np.bool_]:
    height, width = image.shape
    scale = min(1.0, _LONGEST_SIDE / max(height, width))
    small = image.astype(np.float32, copy=False)  # the mean of integers would be rounded
    if scale < 1:
        size = (max(1, round(width * scale)), max(1, round(height * scale)))
        small = np.asarray(Image.fromarray(small).resize(size, Image.Resampling.BOX))
    mask = find(small)
    if mask.shape != image.shape:
        mask = cv2.resize(mask.view(np.uint8), (width, height), interpolation=cv2.INTER_NEAREST_EXACT).view(np.bool_)
    return mask


def _small_brain_mask(image: NDArray[np.float32]) -> NDArray[np.bool_]:
    depth = _depth(_small_head_mask(image))
    radius = float(depth.max())
    core = depth > _CORE * radius
    brightness = _median(image[core])
    inside = depth > _peel(image, depth, brightness)
    tissue = _filled(inside & (image > _DARK * brightness))
    pieces, count = _pieces(_depth(tissue) > _BRIDGE * radius)
    if count == 0:
        return inside
    central = pieces == np.bincount(pieces[core], minlength=count + 1)[1:].argmax() + 1
    reach = _SULCUS * radius
    grown = _distance(~central) <= _BRIDGE * radius + reach
    closed = _distance(grown) > reach
    brain = _filled(closed) & inside
    return brain if brain.sum() > 0.4 * inside.sum() else inside


def _peel(image: NDArray[np.float32], depth: NDArray[np.float64], brightness: float) -> float:
    """Depth in pixels down to which scalp and skull reach; one ring where there are none.

    A ring is judged by its median: a lesion at the edge of the brain is no ring.
    """
    radius = float(depth.max())
    width = max(_RING * radius, 1.0)
    rings = np.ceil(depth / width).astype(int)
    numbers = np.arange(1, max(int(_SKULL * radius / width), 1) + 1)
    medians = np.array([_median(image[rings == number]) for number in numbers])
    if not (np.maximum.accumulate(medians) > _FALL * medians).any():
        return width
    foreign = (medians > _BRIGHT * brightness) | (medians < _DARK * brightness)
    return max(_SCALP * radius, width * float(numbers[foreign].max(initial=0)))


def _depth(mask: NDArray[np.bool_]) -> NDArray[np.float64]:
    """Distance in pixels of each pixel of the mask from what is outside, as the image's surroundings are."""
    return _distance(np.pad(mask, 1))[1:-1, 1:-1]


def _distance(mask: NDArray[np.bool_]) -> NDArray[np.float64]:
    """Euclidean distance in pixels of each pixel of the mask from the nearest outside it."""
    distance = np.asarray(cv2.distanceTransform(mask.astype(np.uint8), cv2.DIST_L2, cv2.DIST_MASK_PRECISE))
    return np.sqrt(np.rint(np.square(distance, dtype=np.float64)))  # OpenCV is off by a millionth, which moves rings


def _pieces(mask: NDArray[np.bool_]) -> tuple[NDArray[np.int32], int]:
    """The connected components of a mask, numbered from 1, and how many there are."""
    count, pieces = cv2.connectedComponents(mask.astype(np.uint8), connectivity=4)
    return np.asarray(pieces, dtype=np.int32), count - 1


def _filled(mask: NDArray[np.bool_]) -> NDArray[np.bool_]:
    """The mask with its holes: all that a flood from outside does not reach."""
    flooded = np.pad(mask, 1).astype(np.uint8)
    cv2.floodFill(flooded, None, (0, 0), (2,))
    return flooded[1:-1, 1:-1] != 2


def _small_head_mask(image: NDArray[np.float32]) -> NDArray[np.bool_]:
    everything = np.ones(image.shape, dtype=bool)
    faint = _FAINT * float(np.ptp(image))
    box = _without_margins(image, faint)
    outside = _outside(image, box)
    background = _background([*outside, *_corners(image, box)], faint)
    whole = (0, 0, *image.shape)
    # the line beside a bar is blended with it
    bar = [abs(_median(line) - background) > faint for line in outside]
    top, left, bottom, right = (
        edge + step * (is_bar and edge != end)
        for edge, end, is_bar, step in zip(box, whole, bar, (1, 1, -1, -1), strict=True)
    )
    inside = image[top:bottom, left:right]
    if inside.size == 0:
        return everything
    contrast = np.abs(inside - background)
    foreground = contrast > _FAINT * float(np.percentile(contrast, 99))
    cross = cv2.getStructuringElement(cv2.MORPH_CROSS, (3, 3))
    opened = cv2.dilate(
        cv2.erode(foreground.astype(np.uint8), cross, borderType=cv2.BORDER_CONSTANT, borderValue=(0,)), cross
    )
    bridged = cv2.erode(cv2.dilate(opened, cross, iterations=_GAP), cross, iterations=_GAP)
    pieces, count = _pieces(_filled(bridged > 0))
    if count == 0:
        return everything
    largest = int(np.bincount(pieces.ravel())[1:].argmax()) + 1
    head = pieces == largest
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
    votes = np.array([_median(place) for place in places])
    agreement = (np.abs(votes[:, None] - votes) <= faint).sum(axis=1)
    return float(votes[agreement.argmax()])


def _median(values: NDArray[np.float32]) -> float:
    """NaN of none; NumPy's own is ten times slower on so few values."""
    if values.size == 0:
        return float("nan")
    ordered = np.sort(values, axis=None)
    return float(ordered[(ordered.size - 1) // 2] + ordered[ordered.size // 2]) / 2
