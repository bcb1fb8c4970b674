"""Lesion masks: a reference in the catalog in, a bool array of the scan's size out."""

from __future__ import annotations

import re
from pathlib import Path

import numpy as np

from mriad.data.reading.outlines import rasterise, read_outlines
from mriad.data.reading.picture import Picture, read_picture
from mriad.errors import MriadError, ReadError

LOSSY_FORMATS = {"JPEG", "MPO", "WEBP", "AVIF"}

OUTLINE_REFERENCE = re.compile(r"(?P<file>.+?\.json)#(?P<name>.+)", re.IGNORECASE)


def read_mask(root: Path, reference: str, *, size: tuple[int, int]) -> np.ndarray:
    """Read the lesion mask of one scan.

    Args:
        root: folder that the reference starts from (the catalog's root).
        reference: an image file, or ``file.json#name`` for outlines of the image ``name`` (see ``outlines``).
        size: (height, width) of the scan in pixels, upright as its EXIF or TIFF orientation says. A mask is turned by
            its own orientation alone, and outlines are drawn upon the upright scan.

    Returns:
        Bool array (height, width), True on the lesion. In an image file that is every pixel that is neither
        black nor fully transparent; where the format is lossy, every pixel above half of the maximum, because
        compression spreads faint noise around an edge.

    Raises:
        ReadError: if the mask cannot be read now, or is missing.
        MriadError: if the mask is unreadable, of another size than the scan, or without such a name.
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


def of_mask(file: Path, error: MriadError) -> MriadError:
    """The error of a file that cannot be read, told of a mask."""
    if isinstance(error.__cause__, FileNotFoundError):
        return ReadError(f"The mask {file} does not exist; add it or empty the mask entry of its scan.")
    return type(error)(f"The mask {error}")


def _read_image(file: Path, size: tuple[int, int]) -> np.ndarray:
    try:
        picture = read_picture(file)
    except MriadError as error:
        raise of_mask(file, error) from error
    strength = _strength(picture)
    if strength.shape != size:
        turned = (
            " (is the scan turned by its EXIF orientation, and the mask is not?)" if strength.T.shape == size else ""
        )
        raise MriadError(
            f"The mask {file} is {strength.shape[0]} x {strength.shape[1]} pixels (height x width) but its scan "
            f"is {size[0]} x {size[1]}{turned}; save the mask at the size of the scan."
        )
    return strength > (strength.max(initial=0) / 2 if picture.format in LOSSY_FORMATS else 0)


def _strength(picture: Picture) -> np.ndarray:
    # of each pixel, 0 for background: the brightest channel, whatever the mode
    strength = np.abs(picture.samples.astype(np.float64))
    strength = strength.max(axis=2) if strength.ndim == 3 else strength
    return strength if picture.opacity is None else np.where(picture.opacity > 0, strength, 0)
