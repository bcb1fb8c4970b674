"""From a decoded scan to the slice a network sees."""

from __future__ import annotations

from dataclasses import dataclass
from typing import Literal, get_args

import cv2
import numpy as np
from numpy.typing import NDArray

from mriad.anatomy import bounding_box, head_mask
from mriad.data.reading.levels import Levels, full_scale, percentiles, rescaled
from mriad.errors import MriadError, unknown
from mriad.geometry import ScanGeometry

Crop = Literal["head", "none"]
Region = Literal["head", "all"]
Shape = Literal["pad", "stretch"]

# A scan that has less is blank. The faintest of 5637 public scans differ in 39 % of the slice and by 100 of 256 levels,
# the smallest of their heads is 79 pixels wide.
_SIDE = 8  # pixels of the head's box
_WINDOW = 4  # levels of an integer type between the two percentiles
_FLOAT_WINDOW = 1e-5  # the same of a float scan, as a share of its largest value
_DIFFERENT = 0.02  # share of the scaled pixels that are off the commonest level and its two neighbours


class BlankScanError(MriadError):
    """A scan in which nothing is to be seen."""


@dataclass(frozen=True, kw_only=True)
class Preprocess:
    """Crop, scale, pad and resize; the same for training, testing and prediction.

    Intensities become ``clip((x - p_low) / (p_high - p_low), 0, 1)``, with percentiles of the pixels in
    ``over``, and are kept as uint8.

    Args:
        image_size: side of the square slice in pixels.
        crop: 'head' cuts to the bounding box of the head, 'none' keeps the whole image.
        low, high: percentiles that become 0 and 1; both None keeps the file's own range.
        over: pixels that the percentiles are taken over: the 'head' or 'all' of the crop.
        shape: 'pad' to a square before resizing, or 'stretch'.
        filled: share of the slice's side that the longer side of the head takes, in (0, 1].

    Raises:
        MriadError: on an unknown choice or percentiles out of order.
    """

    image_size: int = 128
    crop: Crop = "head"
    low: float | None = 0.5
    high: float | None = 99.5
    over: Region = "head"
    shape: Shape = "pad"
    filled: float = 1.0

    def __post_init__(self) -> None:
        for option, legal in (("crop", Crop), ("over", Region), ("shape", Shape)):
            if getattr(self, option) not in get_args(legal):
                raise unknown(f"data.preprocess.{option}", getattr(self, option), get_args(legal))
        if (self.low is None) != (self.high is None):
            raise MriadError("data.preprocess.low and high go together: set both percentiles, or both to null.")
        if self.low is not None:
            require_percentiles(self.low, self.high)
        if not isinstance(self.image_size, int) or self.image_size < 1:
            raise MriadError(f"data.image_size={self.image_size} is no size in pixels; give a positive number.")

    @property
    def wants_brain(self) -> bool:
        """Whether it has a use for the brain mask of a scan: never."""
        return False

    @property
    def finds_brain(self) -> bool:
        """Whether it finds the brain of a scan by itself: never."""
        return False

    @property
    def libraries(self) -> tuple[str, ...]:
        """Libraries, with their versions, whose weights what it makes hangs on: none."""
        return ()

    @property
    def spatial(self) -> tuple[int, int]:
        """Pixels of what it makes along each axis."""
        return self.image_size, self.image_size

    def __call__(self, levels: Levels) -> tuple[NDArray[np.uint8], ScanGeometry]:
        """Prepare one scan.

        Args:
            levels: (H, W) as decoded, or float32 in [0, 1].

        Returns:
            (image_size, image_size) uint8 slice, and the geometry that leads back to (H, W).

        Raises:
            BlankScanError: if nothing is to be seen: all pixels are alike, or a few wild ones leave them no contrast.
        """
        needs_head = self.crop == "head" or (self.low is not None and self.over == "head")
        head = head_mask(levels) if needs_head else None
        box = bounding_box(head) if head is not None and self.crop == "head" else (0, 0, *levels.shape)
        geometry = ScanGeometry.plan(
            (levels.shape[0], levels.shape[1]),
            box,
            square=self.shape == "pad",
            image_size=self.image_size,
            filled=self.filled,
        )
        inside = slice(box[0], box[2]), slice(box[1], box[3])
        low, high = 0.0, 1.0
        if self.low is not None and self.high is not None:
            over = head[inside] if head is not None and self.over == "head" else None
            low, high = percentiles(levels[inside], [self.low, self.high], where=over)
        scaled = rescaled(levels, low, high)
        _require_content(levels[inside], scaled[inside], low, high)
        return geometry.to_network(scaled, fill=int(scaled.min())), geometry


def require_percentiles(low: object, high: object) -> None:
    """Raise a MriadError if two numbers are no rising percentiles."""
    if not (isinstance(low, int | float) and isinstance(high, int | float) and 0 <= low < high <= 100):
        raise MriadError(
            f"data.preprocess percentiles low={low}, high={high} are out of order; need 0 <= low < high <= 100."
        )


def _require_content(levels: Levels, scaled: NDArray[np.uint8], low: float, high: float) -> None:
    height, width = levels.shape
    if min(height, width) < _SIDE:
        raise BlankScanError(
            f"The scan is blank: what it shows is {width} x {height} pixels; replace it or leave it out."
        )
    least = _WINDOW / full_scale(levels) if levels.dtype.kind == "u" else _FLOAT_WINDOW * float(levels.max())
    if high - low <= least:
        raise BlankScanError("The scan is blank: its pixels are all but equal; replace it or leave it out.")
    counts = cv2.calcHist([scaled], [0], None, [256], [0, 256]).ravel()
    alike = float(np.convolve(counts, [1, 1, 1]).max()) / scaled.size
    if alike > 1 - _DIFFERENT:
        raise BlankScanError(
            f"The scan is blank: {alike:.2%} of its pixels are alike in the range of intensities that it fills; "
            "replace it or leave it out."
        )
