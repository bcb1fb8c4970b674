"""From a file on disk to one grayscale image, whatever its format and mode."""

from __future__ import annotations

from dataclasses import dataclass, replace
from pathlib import Path
from typing import Any

import cv2
import numpy as np
from numpy.typing import NDArray

from mriad.anatomy import reach
from mriad.data.reading.levels import Levels, as_pixels
from mriad.data.reading.picture import Picture, read_picture
from mriad.errors import MriadError

IMAGE_SUFFIXES = frozenset({".png", ".jpg", ".jpeg", ".bmp", ".tif", ".tiff", ".gif", ".webp"})

CHANNELS = ("red", "green", "blue")

_LUMINANCE = np.array([0.299, 0.587, 0.114])  # of red, green and blue (ITU-R BT.601)


@dataclass(frozen=True, kw_only=True)
class DecodedImage:
    """One decoded scan, upright.

    Args:
        levels: (H, W) intensities as the file keeps them, see ``mriad.data.reading.levels.Levels``.
        format: what the decoder says the file is, such as 'JPEG'.
        mode: the file's own colour mode, such as 'L', 'RGBA' or 'I;16'.
    """

    levels: Levels
    format: str
    mode: str

    @property
    def pixels(self) -> NDArray[np.float32]:
        """(H, W) float32 in [0, 1]; the full range of the file's integer type maps to [0, 1]."""
        return as_pixels(self.levels)


def decode(file: Path, *, channel: str = "") -> DecodedImage:
    """Read an image file as grayscale, as ``mriad.data.reading.picture`` sees it.

    Palette and colour become luminance, transparency shows black, 16-bit keeps its depth.

    Args:
        file: the image.
        channel: one of ``CHANNELS``, where each holds a scan of its own; '' for the luminance of all.

    Raises:
        ReadError: if the file cannot be read now.
        MriadError: if what it holds cannot: no image, damaged, too large, more than one frame, or no such channel.
    """
    picture = read_picture(file)
    try:
        picture = replace(picture, samples=in_channel(picture, channel)) if channel else picture
    except MriadError as error:
        raise MriadError(f"{file} {error}") from error
    return DecodedImage(levels=grayscale(picture), format=picture.format, mode=picture.mode)


def in_channel(picture: Picture, channel: str) -> NDArray[Any]:
    """(H, W) samples of one of ``CHANNELS``.

    Raises:
        MriadError: if there is no such channel, in words that follow the file's name.
    """
    if channel not in CHANNELS or picture.samples.ndim != 3:
        raise MriadError(f"has no channel '{channel}'; mend the series entry of this scan.")
    return picture.samples[..., CHANNELS.index(channel)]


def grayscale(picture: Picture) -> Levels:
    """(H, W) intensities of a picture: colour becomes luminance, transparency black."""
    gray, opacity = picture.samples, picture.opacity
    kind = gray.dtype
    if gray.ndim == 3:
        gray = cv2.cvtColor(gray, cv2.COLOR_RGB2GRAY) if kind in (np.uint8, np.uint16) else gray @ _LUMINANCE
    if opacity is not None:
        full = np.iinfo(opacity.dtype).max if opacity.dtype.kind == "u" else 1.0
        gray = gray * (opacity / full)
    if kind in (np.uint8, np.uint16):
        return gray if gray.dtype == kind else np.rint(gray).astype(kind)
    return _scaled(gray, kind)


def _scaled(values: NDArray[Any], kind: np.dtype[Any]) -> NDArray[np.float32]:
    """Values of a type without a range that scans fill, brought into [0, 1]; what is no number becomes 0.

    A value that lies far off all others does not set the range, see ``mriad.anatomy.reach``.
    """
    values = values.astype(np.float64)
    known = np.abs(values) <= np.finfo(np.float32).max
    if not known.any():
        return np.zeros(values.shape, dtype=np.float32)
    low, high = reach(values[known])
    low = min(low, 0.0)
    span = high - low
    if kind.kind in "iu":
        nominal = 2.0 ** min(8 * kind.itemsize, 16) - 1
        full = nominal if span <= nominal else span
    else:  # floats have no nominal range: within [0, 1] they are kept, unless they would fill less than a gray level
        full = 1.0 if 1 / 255 <= span <= 1 else span
    scaled = (np.clip(values, low, high) - low) / (full or 1.0)
    return np.where(known, scaled, 0.0).astype(np.float32)
