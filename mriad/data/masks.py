"""Lesion masks: a reference in the catalog in, a bool array of the scan's size out."""

from __future__ import annotations

import re
from pathlib import Path

import numpy as np
from PIL import Image

from mriad.data.outlines import rasterise, read_outlines
from mriad.errors import MriadError

LOSSY_FORMATS = {"JPEG", "MPO", "WEBP"}

OUTLINE_REFERENCE = re.compile(r"(?P<file>.+?\.json)#(?P<name>.+)", re.IGNORECASE)


def read_mask(root: Path, reference: str, *, size: tuple[int, int]) -> np.ndarray:
    """Read the lesion mask of one scan.

    Args:
        root: folder that the reference starts from (the catalog's root).
        reference: an image file, or ``file.json#name`` for outlines of the image ``name`` (see ``outlines``).
        size: (height, width) of the scan as stored on disk, in pixels.

    Returns:
        Bool array (height, width), True on the lesion. In an image file that is every pixel that is neither
        black nor fully transparent; where the format is lossy, every pixel above half of the maximum, because
        compression spreads faint noise around an edge.

    Raises:
        MriadError: if the mask is missing, unreadable, of another size than the scan, or without such a name.
    """
    outlined = OUTLINE_REFERENCE.fullmatch(reference)
    if outlined is None:
        return _read_image(Path(root) / reference, size)
    file, name = Path(root) / outlined["file"], outlined["name"]
    shapes = read_outlines(file).get(name)
    if shapes is None:
        raise MriadError(f"{file} has no outlines for '{name}'; mend the mask column or the file.")
    try:
        return rasterise(shapes, size=size)
    except MriadError as error:
        raise MriadError(f"{file}, image '{name}': {error}") from error


def _read_image(file: Path, size: tuple[int, int]) -> np.ndarray:
    if not file.is_file():
        raise MriadError(f"The mask {file} does not exist; add it or empty the mask entry of its scan.")
    try:
        with Image.open(file) as image:
            lossy = image.format in LOSSY_FORMATS
            values = _values(image)
    except (OSError, ValueError, SyntaxError, Image.DecompressionBombError) as error:
        raise MriadError(f"The mask {file} cannot be read ({error}); replace it.") from error
    if values.shape != size:
        raise MriadError(
            f"The mask {file} is {values.shape[0]} x {values.shape[1]} pixels (height x width) but its scan "
            f"is {size[0]} x {size[1]}; save the mask at the size of the scan."
        )
    return values > (values.max(initial=0) / 2 if lossy else 0)


def _values(image: Image.Image) -> np.ndarray:
    # Strength of each pixel, 0 for background: the brightest channel, whatever the mode.
    if image.mode in {"1", "L", "I", "F"} or image.mode.startswith("I;16"):
        return np.abs(np.asarray(image).astype(np.float64))
    rgba = np.asarray(image.convert("RGBA"))
    return np.where(rgba[..., 3] > 0, rgba[..., :3].max(axis=2), 0)
