"""Image files of more than 8 bits, of which Pillow loses depth or misreads the numbers."""

from __future__ import annotations

import logging
from dataclasses import dataclass
from io import BytesIO
from typing import Any

import cv2
import numpy as np
from numpy.typing import NDArray

from mriad.errors import MriadError

MOST_PIXELS = 100_000_000

_TIFF_STARTS = (b"II*\0", b"MM\0*", b"II+\0", b"MM\0+")
_PHOTOMETRIC, _ORIENTATION, _PROFILE = 262, 274, 34675  # tags
_WHITE_IS_ZERO, _BLACK_IS_ZERO, _COLOUR = 0, 1, 2
_UNSIGNED, _SIGNED, _FLOAT = 1, 2, 3
_STRAIGHT_ALPHA = 2
_MODES = {"uint16": "I;16", "int16": "I", "int32": "I", "float32": "F"}  # as Pillow calls them

# a damaged file ends in one sentence, not in what its decoder prints beside
logging.getLogger("tifffile").setLevel(logging.CRITICAL + 1)
cv2.utils.logging.setLogLevel(cv2.utils.logging.LOG_LEVEL_SILENT)


@dataclass(frozen=True, kw_only=True)
class Stored:
    """An image as it lies in its file.

    Args:
        samples: (H, W) gray, 0 for black, or (H, W, 3) red, green, blue.
        opacity: (H, W) of the same type, 0 transparent, full range opaque; None where everything is opaque.
        format: what the decoder says the file is, such as 'JPEG'.
        mode: the file's own colour mode, such as 'L', 'RGBA' or 'I;16'.
        orientation: EXIF's number of how it is to be turned, 1 for not at all.
        profile: ICC profile, b'' for none.
    """

    samples: NDArray[Any]
    opacity: NDArray[Any] | None
    format: str
    mode: str
    orientation: int
    profile: bytes


def require_one_slice(width: int, height: int, frames: int) -> None:
    """See that an image is one picture of a size that can be decoded.

    Raises:
        MriadError: if it is not, in words that follow the file's name.
    """
    if frames > 1:
        raise MriadError(f"holds {frames} frames; mriad reads single slices, split it first.")
    if width * height > MOST_PIXELS:
        raise MriadError(
            f"is {width} x {height} pixels (width x height), more than the {MOST_PIXELS // 10**6} million that mriad "
            "reads; save it smaller, a slice needs no more than about 1000 pixels a side."
        )


def read_deep_tiff(data: bytes) -> Stored | None:
    """A TIFF of samples that Pillow refuses or misreads; None for anything else.

    Pillow turns white-is-zero round at 8 bits only, takes signed bytes for unsigned and unsigned 32-bit integers for
    signed, swaps no bytes in some compressed files, keeps 8 bits of 16-bit colour, and reads no float16 and float64.

    Raises:
        MriadError: if it is not one gray or colour picture, in words that follow the file's name.
    """
    if not data.startswith(_TIFF_STARTS):
        return None
    from tifffile import TiffFile  # takes a tenth of a second, and few scans are TIFFs

    with TiffFile(BytesIO(data)) as tiff:
        page = tiff.pages.first
        require_one_slice(page.imagewidth, page.imagelength, max(len(tiff.pages), page.imagedepth))
        tags = {code: tag.value for code in (_PHOTOMETRIC, _ORIENTATION, _PROFILE) if (tag := page.tags.get(code))}
        photometric = tags.get(_PHOTOMETRIC, _BLACK_IS_ZERO)
        kind, bits, channels = page.sampleformat, page.bitspersample, page.samplesperpixel
        if photometric not in (_WHITE_IS_ZERO, _BLACK_IS_ZERO, _COLOUR):
            return None
        if photometric != _COLOUR and channels > 2:
            raise MriadError(f"holds {channels} channels and does not say which is the scan; save that one alone.")
        if kind == _UNSIGNED and (bits in range(9) or (bits == 16 and photometric == _BLACK_IS_ZERO and channels == 1)):
            return None
        if kind not in (_UNSIGNED, _SIGNED, _FLOAT):
            raise MriadError("holds samples that are no real numbers; save it as integers or floats.")
        channels_last = _tiff_samples(page, data)
        extra = list(page.extrasamples)
    opacity = None
    if _STRAIGHT_ALPHA in extra:
        opacity = channels_last[..., extra.index(_STRAIGHT_ALPHA) - len(extra)]
    samples = channels_last[..., :3] if photometric == _COLOUR else channels_last[..., 0]
    if kind == _UNSIGNED and bits < 16:
        samples = np.rint(samples * (65535 / (2**bits - 1))).astype(np.uint16)
    if photometric == _WHITE_IS_ZERO:
        samples = _turned_round(samples)
    return Stored(
        samples=samples,
        opacity=opacity,
        format="TIFF",
        mode=_MODES.get(samples.dtype.name, samples.dtype.name) if samples.ndim == 2 else "RGB",
        orientation=tags.get(_ORIENTATION, 1),
        profile=tags.get(_PROFILE, b""),
    )


def read_with_opencv(data: bytes) -> NDArray[Any]:
    """(H, W, C) samples of an image file, its colours in the order red, green, blue, alpha.

    Raises:
        ValueError: if OpenCV cannot read it.
    """
    samples = cv2.imdecode(np.frombuffer(data, dtype=np.uint8), cv2.IMREAD_UNCHANGED)
    if samples is None:
        raise ValueError("its compression or its kind of samples is not supported")
    samples = samples[..., None] if samples.ndim == 2 else samples
    return samples[..., [2, 1, 0, 3][: samples.shape[2]]] if samples.shape[2] > 2 else samples


def _tiff_samples(page: Any, data: bytes) -> NDArray[Any]:
    """(H, W, C) samples of a TIFF's page, as they are stored."""
    try:
        samples = page.asarray()
    except (ValueError, ImportError) as error:  # tifffile alone knows every kind of sample, but not LZW
        if page.bitspersample <= 8 or (page.planarconfig != 1 and page.samplesperpixel > 1):
            raise  # which OpenCV gets wrong
        samples = read_with_opencv(data)
        if samples.shape[2] != page.samplesperpixel or samples.dtype.name != np.dtype(page.dtype).name:
            raise ValueError(str(error)) from None
        return samples
    if samples.ndim == 2:
        return np.asarray(samples)[..., None]
    return np.moveaxis(samples, 0, -1) if page.axes == "SYX" else np.asarray(samples)


def _turned_round(samples: NDArray[Any]) -> NDArray[Any]:
    """Samples in which 0 meant white."""
    if samples.dtype in (np.uint8, np.uint16):
        return np.iinfo(samples.dtype).max - samples
    # these have no white of their own: floats within [0, 1] end at 1, all others at their largest
    values = samples.astype(np.float64)
    known = values[np.abs(values) <= np.finfo(np.float32).max]
    within = samples.dtype.kind == "f" and known.size and known.min() >= 0 and known.max() <= 1
    return (1.0 if within else known.max(initial=0.0)) - values
