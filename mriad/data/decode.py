"""From a file on disk to one grayscale image, whatever its format and mode."""

from __future__ import annotations

from dataclasses import dataclass
from pathlib import Path

import numpy as np
from numpy.typing import NDArray
from PIL import Image, UnidentifiedImageError

from mriad.data.levels import Levels, as_pixels
from mriad.errors import MriadError

IMAGE_SUFFIXES = frozenset({".png", ".jpg", ".jpeg", ".bmp", ".tif", ".tiff", ".gif", ".webp"})


@dataclass(frozen=True, kw_only=True)
class DecodedImage:
    """One decoded scan.

    Args:
        levels: (H, W) intensities as the file keeps them, see ``mriad.data.levels.Levels``.
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


def decode(file: Path) -> DecodedImage:
    """Read an image file as grayscale.

    Palette and colour become luminance, transparency shows black, 16-bit keeps its depth.

    Raises:
        MriadError: if the file is missing, unreadable, truncated, or holds more than one frame.
    """
    try:
        with Image.open(file) as image:
            if (frames := getattr(image, "n_frames", 1)) > 1:
                raise MriadError(f"{file} holds {frames} frames; mriad reads single slices, split it first.")
            image.load()
            return DecodedImage(levels=grayscale(image), format=image.format or "", mode=image.mode)
    except MriadError:
        raise
    except FileNotFoundError:
        raise MriadError(f"{file} does not exist.") from None
    except UnidentifiedImageError:
        raise MriadError(f"{file} is not an image that can be read.") from None
    except Exception as error:  # on damaged bytes each decoder fails in its own way
        raise MriadError(f"{file} cannot be read ({error}); it may be truncated.") from None


def grayscale(image: Image.Image) -> Levels:
    """(H, W) intensities of an image of any mode."""
    if image.mode.startswith("I;16"):
        return np.asarray(image).astype(np.uint16, copy=False)
    if image.mode.startswith(("I", "F")):
        pixels = np.nan_to_num(np.asarray(image, dtype=np.float32), nan=0.0, posinf=0.0, neginf=0.0)
        low, high = min(float(pixels.min()), 0.0), float(pixels.max())
        # a float image has no nominal range: one within [0, 1] is kept, any other is divided by its own
        full = 65535.0 if image.mode.startswith("I") and high - low <= 65535 else max(high - low, 1.0)
        return (pixels - low) / full
    if image.mode in ("RGBA", "LA", "PA", "La", "RGBa") or "transparency" in image.info:
        layer = image.convert("RGBA")
        image = Image.alpha_composite(Image.new("RGBA", layer.size, (0, 0, 0, 255)), layer)
    return np.asarray(image.convert("L"))
