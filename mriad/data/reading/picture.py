"""An image file as it is meant to be seen: upright, its colours looked up, black at 0."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass
from functools import lru_cache
from io import BytesIO
from pathlib import Path
from typing import Any, Final

import numpy as np
from numpy.typing import NDArray
from PIL import ExifTags, Image, ImageCms, UnidentifiedImageError

from mriad.data.reading.content import unreadable
from mriad.data.reading.deep import Stored, read_deep_tiff, read_with_opencv, require_one_slice
from mriad.errors import MriadError, in_a_line

_FORMATS = ("JPEG", "PNG", "TIFF", "BMP", "DIB", "GIF", "WEBP", "AVIF")  # AVIF: the web hands it out as .jpg
_MOST_BYTES = 2**30

_TURNS: Final[dict[int, Callable[[NDArray[Any]], NDArray[Any]]]] = {  # EXIF's number to what brings it upright
    2: lambda stored: stored[:, ::-1],
    3: lambda stored: stored[::-1, ::-1],
    4: lambda stored: stored[::-1],
    5: lambda stored: stored.swapaxes(0, 1),
    6: lambda stored: stored.swapaxes(0, 1)[:, ::-1],
    7: lambda stored: stored.swapaxes(0, 1)[::-1, ::-1],
    8: lambda stored: stored.swapaxes(0, 1)[::-1],
}

Image.MAX_IMAGE_PIXELS = None  # Pillow's limit names no file; require_one_slice asks before anything is decoded


@dataclass(frozen=True, kw_only=True)
class Picture:
    """One decoded image, upright as EXIF or TIFF tags say, with 0 for black as TIFF tags say.

    A colour profile is applied where it turns black into white. Any other one, like a gamma, leaves the order of
    intensities as it is and is not.

    Args:
        samples: (H, W) gray or (H, W, 3) red, green, blue; uint8 and uint16 of full range, or wider as in the file.
        opacity: (H, W) of the same type, 0 transparent, full range opaque; None where everything is opaque.
        format: what the decoder says the file is, such as 'JPEG'.
        mode: the file's own colour mode, such as 'L', 'RGBA' or 'I;16'.
    """

    samples: NDArray[Any]
    opacity: NDArray[Any] | None
    format: str
    mode: str


def read_picture(file: Path) -> Picture:
    """Read an image file.

    Of the pictures in a phone's multi-picture JPEG the first is read, the one that every viewer shows.

    Raises:
        ReadError: if the file cannot be read now: it is missing or locked, its drive is away, memory is short.
        MriadError: if what it holds is no image, damaged, too large, or more than one frame.
    """
    data = _content(file)
    try:
        stored = read_deep_tiff(data) or _read_with_pillow(data)
        turn = _TURNS.get(stored.orientation, lambda upright: upright)
        return Picture(
            samples=np.ascontiguousarray(turn(_as_profiled(stored.samples, stored.profile))),
            opacity=None if stored.opacity is None else np.ascontiguousarray(turn(stored.opacity)),
            format=stored.format,
            mode=stored.mode,
        )
    except MriadError as error:
        raise MriadError(f"{file} {error}") from None
    except UnidentifiedImageError:
        raise MriadError(f"{file} is not an image that can be read.") from None
    except MemoryError as error:
        raise unreadable(file, error) from error
    except Exception as error:  # on damaged bytes each decoder fails in its own way
        raise MriadError(
            f"{file} cannot be read ({in_a_line(error)}); it may be damaged, export it again or leave it out."
        ) from None


def _content(file: Path) -> bytes:
    # read in one go before decoding: an error here is the drive's, a later one the content's
    try:
        if (size := file.stat().st_size) > _MOST_BYTES:
            raise MriadError(f"{file} holds {size / 2**30:.1f} GiB, which is no single slice; split it first.")
        return file.read_bytes()
    except (OSError, MemoryError) as error:
        raise unreadable(file, error) from error


def _read_with_pillow(data: bytes) -> Stored:
    with Image.open(BytesIO(data), formats=_FORMATS) as image:
        format, mode = image.format or "", image.mode
        require_one_slice(*image.size, frames=1 if format == "MPO" else getattr(image, "n_frames", 1))
        deep_colour = format == "PNG" and mode in ("RGB", "RGBA") and str(image.tile[0][3]).endswith(";16B")
        image.load()  # turns a TIFF upright and forgets its orientation
        if deep_colour:  # of which Pillow keeps 8 bits
            channels = read_with_opencv(data)
            samples, opacity = channels[..., :3], channels[..., 3] if channels.shape[2] > 3 else None
        else:
            samples, opacity = _samples(image)
        return Stored(
            samples=samples,
            opacity=opacity,
            format=format,
            mode=mode,
            orientation=image.getexif().get(ExifTags.Base.Orientation, 1),
            profile=image.info.get("icc_profile") or b"",
        )


def _samples(image: Image.Image) -> tuple[NDArray[Any], NDArray[Any] | None]:
    mode, transparent = image.mode, image.info.get("transparency")
    if mode.startswith("I;16"):
        samples = np.asarray(image).astype(np.uint16, copy=False)
        return samples, None if transparent is None else np.where(samples == transparent, 0, 65535).astype(np.uint16)
    if mode in ("L", "I", "F") and transparent is None:
        return np.asarray(image), None
    if mode in ("LA", "La") or (mode in ("1", "L") and transparent is not None):
        pixels = np.asarray(image.convert("LA"))
        return pixels[..., 0], pixels[..., 1]
    if mode == "1":
        return np.asarray(image.convert("L")), None
    if mode in ("RGBA", "PA") or transparent is not None:
        pixels = np.asarray(image.convert("RGBA"))
        return pixels[..., :3], pixels[..., 3]
    if mode == "LAB":
        lab, screen = ImageCms.createProfile("LAB"), ImageCms.createProfile("sRGB")
        image = ImageCms.applyTransform(image, ImageCms.buildTransform(lab, screen, "LAB", "RGB")) or image
    return np.asarray(image.convert("RGB")), None


def _as_profiled(samples: NDArray[Any], profile: bytes) -> NDArray[Any]:
    if not profile or samples.dtype not in (np.uint8, np.uint16):
        return samples
    curve = _inverting_curve(profile, "L" if samples.ndim == 2 else "RGB")
    if curve is None:
        return samples
    full = np.iinfo(samples.dtype).max
    shown = np.interp(np.arange(full + 1), np.linspace(0, full, len(curve)), curve * (full / 255))
    return np.rint(shown).astype(samples.dtype)[samples]


@lru_cache(maxsize=64)
def _inverting_curve(profile: bytes, mode: str) -> NDArray[np.uint8] | None:
    """What each of 256 gray levels shows under a profile that turns black into white; None under any other."""
    ramp = Image.fromarray(np.arange(256, dtype=np.uint8)[None]).convert(mode)
    try:
        meant = ImageCms.ImageCmsProfile(BytesIO(profile))
        if meant.profile.xcolor_space.strip() != {"L": "GRAY", "RGB": "RGB"}[mode]:
            return None
        screen = ImageCms.createProfile("sRGB")
        shown = ImageCms.applyTransform(ramp, ImageCms.buildTransform(meant, screen, mode, "RGB"))
    except (ImageCms.PyCMSError, OSError):  # viewers show a picture without its broken profile
        return None
    curve = np.asarray(shown)[0, :, 1]
    return curve if curve[0] > curve[-1] else None
