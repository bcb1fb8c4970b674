"""A scan and its map as the page takes them: scripts that hold packed NIfTI files, and a thumbnail."""

from __future__ import annotations

import base64
import gzip
import io
import json
from collections.abc import Sequence
from dataclasses import dataclass
from typing import Any, cast

import numpy as np
from nibabel.nifti1 import Nifti1Image
from numpy.typing import NDArray
from PIL import Image

from mriad.geometry import Grid, reorient
from mriad.plots import overlay

AXES = "RAS"  # of what the page shows, so that an index there is an index here
THUMBNAIL = 96  # pixels of its longer side

_GRAYS = 1023  # levels of a scan: more than a screen has
_CODES = 65_000  # levels of a map
_FAST = 3  # compression that is worth its time


@dataclass(frozen=True, kw_only=True)
class CodedMap:
    """A map in whole numbers, of which a voxel lies above the level exactly where its code is above ``code``.

    Args:
        codes: (D, H, W) uint16.
        code: of the level.
        level: the map value that it stands for.
        step: of the map values from code to code.
    """

    codes: NDArray[np.uint16]
    code: int
    level: float
    step: float

    @classmethod
    def of(cls, anomaly_map: NDArray[np.float32], *, level: float) -> CodedMap:
        """Code a map; a value is off by less than a step."""
        above = anomaly_map > level  # in the map's own float32, as a mask has it
        low, high = min(float(anomaly_map.min()), level), max(float(anomaly_map.max()), level)
        step = (high - low) / _CODES or 1.0
        code = int((level - low) / step)
        codes = np.ceil((anomaly_map.astype(np.float64) - level) / step).astype(np.int64) + code
        codes = np.where(above, np.maximum(codes, code + 1), np.clip(codes, 0, code))
        return cls(codes=codes.astype(np.uint16), code=code, level=level, step=step)


def script(call: str, *values: object) -> str:
    """A script that hands values to the page, of ASCII alone and without ``<``: no text in them can end it."""
    told = ",".join(json.dumps(value, allow_nan=False, separators=(",", ":")) for value in values)
    return f"mriad.{call}({told});\n".replace("<", "\\u003c")


def as_gray(levels: NDArray[Any], grid: Grid) -> tuple[str, tuple[float, float]]:
    """A scan as a packed NIfTI file for the page, in base64, and the window in which it is first seen.

    Args:
        levels: (D, H, W) of any type.
        grid: where they lie.
    """
    low, high = window(levels)
    if levels.dtype == np.uint8:
        return _nifti(levels, grid, slope=1.0, intercept=0.0), (low, high)
    least, most = (float(value) for value in np.percentile(levels, [0.05, 99.95]))
    least, most = min(least, low), max(most, high)
    slope = (most - least) / _GRAYS or 1.0
    grays = np.clip(np.rint((levels.astype(np.float64) - least) / slope), 0, _GRAYS).astype(np.uint16)
    return _nifti(grays, grid, slope=slope, intercept=least), (low, high)


def as_codes(coded: CodedMap, grid: Grid) -> str:
    """A map as a packed NIfTI file for the page, in base64."""
    return _nifti(coded.codes, grid, slope=coded.step, intercept=coded.level - coded.code * coded.step)


def window(levels: NDArray[Any]) -> tuple[float, float]:
    """The intensities from black to white: nearly all of what is no background."""
    inside = levels[levels > levels.min()]
    low, high = (float(value) for value in np.percentile(inside if inside.size else levels, [1, 99.7]))
    return low, high if high > low else low + 1.0


def thumbnail(
    levels: NDArray[Any], anomaly_map: NDArray[np.float32], grid: Grid, *, scale: tuple[float, float], level: float
) -> bytes:
    """A WebP file of the axial slice through the highest value of the map, with what lies above the level in colour."""
    image, values = (reorient(array, grid, "SPL") for array in (levels, anomaly_map))
    place = int(np.unravel_index(np.argmax(values), values.shape)[0])
    low, high = window(levels)
    gray = np.clip((image[place].astype(np.float64) - low) / (high - low), 0, 1)
    picture = Image.fromarray(overlay(gray, values[place], map_scale=scale, pixel_threshold=level))
    _, row, column = grid.reoriented("SPL").steps
    height, width = gray.shape[0] * row, gray.shape[1] * column
    factor = THUMBNAIL / max(height, width)
    picture = picture.resize((max(1, round(width * factor)), max(1, round(height * factor))), Image.Resampling.BOX)
    stream = io.BytesIO()
    picture.save(stream, format="WEBP", quality=80)
    return stream.getvalue()


def decoded(text: str) -> tuple[NDArray[np.uint16], Grid]:
    """The codes and the grid of a map that ``as_codes`` has written."""
    image = Nifti1Image.from_bytes(gzip.decompress(base64.b64decode(text)))
    codes = cast(Any, image.dataobj).get_unscaled()
    return codes, Grid(shape=_shape(codes.shape), affine=image.affine)


def _nifti(values: NDArray[Any], grid: Grid, *, slope: float, intercept: float) -> str:
    turned = grid.reoriented(AXES)
    image = Nifti1Image(np.ascontiguousarray(reorient(values, grid, AXES)), turned.affine)
    image.set_sform(turned.affine, code=1)
    image.set_qform(turned.affine, code=0)
    image.header.set_xyzt_units("mm")
    content = bytearray(image.to_bytes())
    # nibabel takes a slope for its own business: that of the values, which are in the file's units already
    head = image.header.copy()
    head["scl_slope"], head["scl_inter"] = slope, intercept
    head["magic"], head["vox_offset"] = b"n+1", 352
    content[:348] = head.binaryblock
    return base64.b64encode(gzip.compress(bytes(content), compresslevel=_FAST, mtime=0)).decode()


def _shape(shape: Sequence[int]) -> tuple[int, int, int]:
    first, second, third = shape
    return first, second, third
