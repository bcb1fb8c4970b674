"""What a detector says, as JSON and as files."""

from __future__ import annotations

import math
from typing import TYPE_CHECKING, Any, Literal

import numpy as np

from mriad.api import Result
from mriad.errors import MriadError
from mriad.writing.tiff import encoded, map_as_tiff

if TYPE_CHECKING:
    from nibabel.nifti1 import Nifti1Image

Form = Literal["nifti", "png", "tiff"]
MEDIA = {"nifti": "application/gzip", "png": "image/png", "tiff": "image/tiff"}
ENDINGS = {"nifti": "nii.gz", "png": "png", "tiff": "tiff"}


def as_json(result: Result) -> dict[str, Any]:
    """Score, decision and lesions as plain values; what is unknown is null."""
    rows = result.lesions.to_dict(orient="records")
    return {
        "score": result.score,
        "threshold": result.threshold,
        "decision": result.decision,
        "pixel_threshold": result.pixel_threshold,
        "lesions": [{name: _plain(value) for name, value in row.items()} for row in rows],
    }


def as_file(result: Result, form: Form | None, what: Literal["map", "mask"]) -> tuple[Form, bytes]:
    """The map or the mask of a result as a file.

    Args:
        result: of a picture or of a volume.
        form: None for NIfTI of volumes and PNG of pictures.
        what: which of the two.

    Returns:
        The form, and the file. A PNG shows values from 0 to three times the pixel threshold as gray, of a volume the
        axial slice of its peak.

    Raises:
        MriadError: if the form does not fit the scan.
    """
    values = getattr(result, what)
    of_volume = not isinstance(values, np.ndarray)
    form = form or ("nifti" if of_volume else "png")
    if form == "nifti":
        if not of_volume:
            raise MriadError("A picture has no place in space, as a NIfTI file has; ask for format=png or format=tiff.")
        from mriad.writing.nifti import packed  # pictures do without

        return form, packed(values)
    plane = _axial(values) if of_volume else values
    if form == "tiff":
        return form, map_as_tiff(plane.astype(np.float32))
    full = 1.0 if what == "mask" else (3 * result.pixel_threshold if result.pixel_threshold > 0 else 1.0)
    return form, encoded(np.rint(np.clip(plane / full, 0, 1) * 255).astype(np.uint8), "PNG")


def _plain(value: Any) -> Any:
    number = value.item() if isinstance(value, np.generic) else value
    return None if isinstance(number, float) and not math.isfinite(number) else number


def _axial(image: Nifti1Image) -> np.ndarray:
    """The axial slice of the highest value, as radiologists look at it."""
    from mriad.geometry import Grid, reorient

    values = np.asarray(image.dataobj)
    first, second, third = values.shape[:3]
    grid = Grid(shape=(first, second, third), affine=np.asarray(image.affine))
    upright = reorient(values.reshape(grid.shape), grid)
    return np.ascontiguousarray(upright[np.unravel_index(upright.argmax(), upright.shape)[0]])
