"""Where a network-sized slice lies in its scan, and the way back."""

from __future__ import annotations

import math
import re
from dataclasses import asdict, dataclass
from typing import TypeVar

import cv2
import numpy as np
from numpy.typing import NDArray
from PIL import Image

from mriad.geometry.resample import fullest

Level = TypeVar("Level", np.uint8, np.float32)

SPACING = re.compile(r"(?P<row>\d*\.?\d+)(?:\s*x\s*(?P<column>\d*\.?\d+))?")


@dataclass(frozen=True, kw_only=True)
class ScanGeometry:
    """The path from a scan's pixels to the network's: crop, pad, resize.

    Args:
        height, width: size of the original scan in pixels.
        top, left, bottom, right: crop box in original pixels, end exclusive.
        pad_top, pad_left: pixels of padding before the crop, in the padded frame.
        frame_height, frame_width: size of the padded frame, before the resize.
        image_size: side of the square network input in pixels.
        spacing: millimetres per original pixel, (row, column); None where unknown.
    """

    height: int
    width: int
    top: int
    left: int
    bottom: int
    right: int
    pad_top: int
    pad_left: int
    frame_height: int
    frame_width: int
    image_size: int
    spacing: tuple[float, float] | None = None

    @classmethod
    def plan(
        cls,
        shape: tuple[int, int],
        box: tuple[int, int, int, int],
        *,
        square: bool,
        image_size: int,
        filled: float = 1.0,
    ) -> ScanGeometry:
        """Geometry for a scan of ``shape`` (H, W) cut to ``box`` (top, left, bottom, right).

        Args:
            square: pad the crop to a square (True) or let the resize stretch it (False).
            filled: share of the padded frame's sides that the crop, or its longer side, takes.
        """
        top, left, bottom, right = box
        crop_height, crop_width = bottom - top, right - left
        side = max(crop_height, crop_width)
        sides = (side, side) if square else (crop_height, crop_width)
        frame_height, frame_width = (max(length, round(length / filled)) for length in sides)
        return cls(
            height=shape[0],
            width=shape[1],
            top=top,
            left=left,
            bottom=bottom,
            right=right,
            pad_top=(frame_height - crop_height) // 2,
            pad_left=(frame_width - crop_width) // 2,
            frame_height=frame_height,
            frame_width=frame_width,
            image_size=image_size,
        )

    def to_network(self, image: NDArray[Level], *, fill: float = 0.0) -> NDArray[Level]:
        """(height, width) image, uint8 or float32, to (image_size, image_size), bilinear with antialiasing.

        Args:
            fill: value of the padding.
        """
        frame = np.full((self.frame_height, self.frame_width), fill, dtype=image.dtype)
        frame[self._inside_frame] = image[self.top : self.bottom, self.left : self.right]
        return _resize(frame, (self.image_size, self.image_size))

    def mask_to_network(self, mask: NDArray[np.bool_]) -> NDArray[np.bool_]:
        """(height, width) mask to (image_size, image_size); each lesion that reaches into the crop keeps a pixel.

        A pixel is lesion where at least half of it is, around a lesion that fills no pixel so far where it has at least
        half of its own largest share. A small lesion beside a large one is lost in the blur of that one: where no pixel
        under it is lesion, the one that holds most of it becomes so.
        """
        share = self.to_network(mask.astype(np.float32))
        count, regions = cv2.connectedComponents((share > 0).astype(np.uint8), connectivity=8)
        peaks = np.zeros(count, dtype=np.float32)
        np.maximum.at(peaks, np.asarray(regions), share)
        threshold = np.where(peaks >= 0.5, 0.5, peaks / 2)[regions]
        inside: NDArray[np.bool_] = (share > 0) & (share >= threshold)
        _, lesion, pixel = self._lesions(mask)
        found = np.bincount(lesion, weights=inside.ravel()[pixel])
        lost = found[lesion] == 0
        inside.ravel()[fullest(lesion[lost], pixel[lost])] = True
        return inside

    def count_lesions(self, mask: NDArray[np.bool_]) -> tuple[int, int, int]:
        """Lesions of a (height, width) mask, those that reach into the crop, and the network components they come to.

        A lesion is an 8-connected component. Those of which most lies in one and the same component of
        ``mask_to_network`` have come to one.
        """
        lesions, lesion, pixel = self._lesions(mask)
        _, components = cv2.connectedComponents(self.mask_to_network(mask).astype(np.uint8), connectivity=8)
        component = components.ravel()[pixel].astype(np.int64)
        seen = component > 0
        home = fullest(lesion[seen], component[seen])
        return lesions, len(home), len(np.unique(home))

    def _lesions(self, mask: NDArray[np.bool_]) -> tuple[int, NDArray[np.int64], NDArray[np.int64]]:
        """Number of lesions of a mask, and where they lie in the network's frame.

        For each of the n lesion pixels inside the crop there is the number of its lesion, from 1 on, and the place of
        the network pixel that holds its centre, counted row by row.
        """
        count, lesions = cv2.connectedComponents(mask.astype(np.uint8), connectivity=8)
        crop = lesions[self.top : self.bottom, self.left : self.right]
        row, column = np.nonzero(crop)
        size = self.image_size
        down = np.minimum((row + self.pad_top + 0.5) * size / self.frame_height, size - 1).astype(np.int64)
        across = np.minimum((column + self.pad_left + 0.5) * size / self.frame_width, size - 1).astype(np.int64)
        return count - 1, crop[row, column].astype(np.int64), down * size + across

    def to_scan(self, image: NDArray[np.float32], *, fill: float = 0.0) -> NDArray[np.float32]:
        """(image_size, image_size) map back to (height, width), bilinear; ``fill`` outside the crop."""
        frame = _resize(image.astype(np.float32), (self.frame_height, self.frame_width))
        scan = np.full((self.height, self.width), fill, dtype=np.float32)
        scan[self.top : self.bottom, self.left : self.right] = frame[self._inside_frame]
        return scan

    @property
    def pixel_area(self) -> float:
        """Area in mm2 that a pixel of the network's slice covers; NaN where the spacing is unknown."""
        return pixel_area(self.frame_height, self.frame_width, self.image_size, self.spacing)

    def as_record(self) -> dict[str, object]:
        """The fields as plain values, for a table row."""
        return asdict(self)

    @property
    def _inside_frame(self) -> tuple[slice, slice]:
        return (
            slice(self.pad_top, self.pad_top + self.bottom - self.top),
            slice(self.pad_left, self.pad_left + self.right - self.left),
        )


def spacing_of(text: str) -> tuple[float, float] | None:
    """Millimetres per pixel, (row, column), that a text such as '0.5' or '0.5 x 0.6' states; None if it states none."""
    found = SPACING.fullmatch(text.strip())
    if found is None:
        return None
    row = float(found["row"])
    column = float(found["column"] or row)
    return (row, column) if row > 0 and column > 0 else None


def pixel_area(frame_height: int, frame_width: int, image_size: int, spacing: tuple[float, float] | None) -> float:
    """Area of a slice's pixel in mm2, of the fields of its ``ScanGeometry``; NaN where the spacing is unknown."""
    if spacing is None:
        return math.nan
    row, column = spacing
    return frame_height * frame_width / image_size**2 * row * column


def _resize(image: NDArray[Level], shape: tuple[int, int]) -> NDArray[Level]:
    if image.shape == shape:
        return image
    resized = Image.fromarray(image).resize((shape[1], shape[0]), Image.Resampling.BILINEAR)
    return np.asarray(resized)
