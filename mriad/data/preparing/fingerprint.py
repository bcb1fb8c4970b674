"""What a scan looks like before any preprocessing: perceptual hashes, a thumbnail, and trivial features."""

from __future__ import annotations

from dataclasses import asdict, dataclass

import cv2
import numpy as np
from numpy.typing import NDArray
from PIL import Image

from mriad.anatomy import Box, bounding_box, head_mask
from mriad.data.reading.decode import DecodedImage
from mriad.data.reading.levels import Levels, full_scale, percentiles, rescaled

THUMBNAIL_SIZE = 16
_HASH_SIZE = 16  # side of the kept block of cosine coefficients: 256 bits
_HASH_SIDE = 4 * _HASH_SIZE  # of the copy that is transformed, in pixels
_COSINES = np.cos(np.pi / _HASH_SIDE * np.outer(np.arange(_HASH_SIZE), np.arange(_HASH_SIDE) + 0.5))  # (16, 64), DCT-II
_DARK = 0.05  # up to here a pixel is background


@dataclass(frozen=True, kw_only=True)
class Fingerprint:
    """Facts of one decoded scan; pixels are meant in [0, 1], as decoded.

    Args:
        format, mode: of the file, see ``DecodedImage``.
        mean, p99: mean and 99th percentile of the pixels.
        foreground: share of the pixels that are brighter than 0.05.
        gradient_energy: mean squared magnitude of the gradient, in squared intensity per pixel step.
        phash, phash_head: 256-bit perceptual hash of the whole image and of the head's bounding box, 64 hex digits.
    """

    format: str
    mode: str
    mean: float
    p99: float
    foreground: float
    gradient_energy: float
    phash: str
    phash_head: str

    @classmethod
    def of(cls, scan: DecodedImage, *, head: Box | None = None) -> Fingerprint:
        """Fingerprint of a scan.

        Args:
            head: bounding box of ``mriad.anatomy.head_mask`` where it is known; None to find it.
        """
        levels = scan.levels
        top, left, bottom, right = head or bounding_box(head_mask(levels))
        return cls(
            format=scan.format,
            mode=scan.mode,
            mean=cv2.mean(levels)[0] / full_scale(levels),
            p99=percentiles(levels, [99])[0],
            foreground=np.count_nonzero(levels > _DARK * full_scale(levels)) / levels.size,
            gradient_energy=_gradient_energy(levels),
            phash=_perceptual_hash(levels),
            phash_head=_perceptual_hash(levels[top:bottom, left:right]),
        )

    def as_record(self) -> dict[str, object]:
        """The fields as plain values, for a table row."""
        return asdict(self)


def thumbnail(levels: Levels) -> NDArray[np.uint8]:
    """(16, 16) uint8 copy of a whole (H, W) scan, stretched, bilinear with antialiasing, not scaled."""
    image = Image.fromarray(rescaled(levels, 0.0, 1.0))
    return np.asarray(image.resize((THUMBNAIL_SIZE, THUMBNAIL_SIZE), Image.Resampling.BILINEAR))


def _gradient_energy(levels: Levels) -> float:
    steps = [(levels[1:], levels[:-1]), (levels[:, 1:], levels[:, :-1])]
    energy = sum(cv2.norm(one, other, cv2.NORM_L2SQR) for one, other in steps if one.size)
    return energy / levels.size / full_scale(levels) ** 2


def _perceptual_hash(levels: Levels) -> str:
    """Which of the 16 x 16 lowest cosine coefficients of the 64 x 64 copy lie above their median (Zauner 2010)."""
    # the hash does not see a gain, but it reads 8 bits: a scan that uses a sliver of 16 bits must fill them
    bright = rescaled(levels, 0.0, float(levels.max()) / full_scale(levels))
    # a gap of 2 averages large scans by whole factors first: a third of the time, all but the same bits
    small = Image.fromarray(bright).resize((_HASH_SIDE, _HASH_SIDE), Image.Resampling.LANCZOS, reducing_gap=2.0)
    lowest = _COSINES @ np.asarray(small, dtype=np.float64) @ _COSINES.T
    return np.packbits(lowest > np.median(lowest)).tobytes().hex()
