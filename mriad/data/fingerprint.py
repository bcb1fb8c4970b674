"""What a scan looks like before any preprocessing: perceptual hashes, a thumbnail, and trivial features."""

from __future__ import annotations

from dataclasses import asdict, dataclass

import imagehash
import numpy as np
from numpy.typing import NDArray
from PIL import Image
from scipy import ndimage

from mriad.anatomy import head_mask
from mriad.data.decode import DecodedImage

THUMBNAIL_SIZE = 16
_HASH_SIZE = 16  # side of the kept block of cosine coefficients: 256 bits
_DARK = 0.05  # up to here a pixel is background

Box = tuple[int, int, int, int]  # top, left, bottom, right, end exclusive


@dataclass(frozen=True, kw_only=True)
class Fingerprint:
    """Facts of one decoded scan; pixels are taken in [0, 1], as decoded.

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
        pixels = scan.pixels
        top, left, bottom, right = head or _bounding_box(head_mask(pixels))
        steps = [np.diff(pixels, axis=axis) for axis in (0, 1)]
        return cls(
            format=scan.format,
            mode=scan.mode,
            mean=float(pixels.mean()),
            p99=float(np.percentile(pixels, 99)),
            foreground=float((pixels > _DARK).mean()),
            gradient_energy=sum(float(np.square(step).sum()) for step in steps) / pixels.size,
            phash=_perceptual_hash(pixels),
            phash_head=_perceptual_hash(pixels[top:bottom, left:right]),
        )

    def as_record(self) -> dict[str, object]:
        """The fields as plain values, for a table row."""
        return asdict(self)


def thumbnail(pixels: NDArray[np.float32]) -> NDArray[np.uint8]:
    """(16, 16) uint8 copy of a whole (H, W) scan in [0, 1], stretched, bilinear with antialiasing, not scaled."""
    small = Image.fromarray(pixels).resize((THUMBNAIL_SIZE, THUMBNAIL_SIZE), Image.Resampling.BILINEAR)
    return np.round(np.asarray(small) * 255.0).clip(0, 255).astype(np.uint8)


def _bounding_box(mask: NDArray[np.bool_]) -> Box:
    rows, columns = ndimage.find_objects(mask.astype(np.uint8))[0]
    return rows.start, columns.start, rows.stop, columns.stop


def _perceptual_hash(pixels: NDArray[np.float32]) -> str:
    """Which of the 16 x 16 lowest cosine coefficients of the 64 x 64 copy lie above their median (Zauner 2010)."""
    # the hash does not see a gain, but it reads 8 bits: a scan that uses a sliver of 16 bits must fill them
    image = Image.fromarray(np.round(pixels * (255.0 / max(float(pixels.max()), 1e-6))).astype(np.uint8))
    return str(imagehash.phash(image, hash_size=_HASH_SIZE))
