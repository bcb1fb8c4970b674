"""A DICOM series in, a Scan out."""

from __future__ import annotations

import warnings
from dataclasses import replace
from pathlib import Path
from typing import Any

import numpy as np
from numpy.typing import NDArray
from pydicom import dcmread
from pydicom.dataset import Dataset

from mriad.data.reading.content import unreadable
from mriad.data.reading.dicom.frames import Frame
from mriad.data.reading.dicom.series import Series, choose, find_series
from mriad.data.reading.dicom.stack import stack
from mriad.data.reading.scan import Scan
from mriad.data.reading.volume import volume_scan
from mriad.errors import MriadError, in_a_line


def read_dicom(path: Path, *, series: str | None = None) -> Scan:
    """Read the one series below a folder or in a file, or the one that is named.

    Args:
        path: a folder, at any depth of which DICOM files lie under any names, or one DICOM file.
        series: UID, number, or words of the description; needed where there are several.

    Raises:
        ReadError: if a file cannot be read now.
        MriadError: if there is no image, several series of which none is named, or what is named is no volume.
    """
    return read_series(path, choose(path, find_series(path), series))


def read_series(path: Path, series: Series) -> Scan:
    """Read a series that ``find_series`` gave: slices sorted by position, rescaled, MONOCHROME1 turned round.

    Args:
        path: where it was found, for errors.

    Returns:
        The scan, axes (slice, row, column).

    Raises:
        ReadError: if a file cannot be read now.
        MriadError: if it is no single volume, or a file is damaged.
    """
    frames, affine = stack(path, series.frames)
    places: dict[Path, list[tuple[int, Frame]]] = {}
    for place, frame in enumerate(frames):
        places.setdefault(frame.file, []).append((place, frame))
    scaled = any((frame.slope, frame.intercept) != (1.0, 0.0) for frame in frames)
    volume: NDArray[Any] | None = None
    for file, wanted in places.items():
        images = _images(file)
        if volume is None:
            kind = np.dtype(np.float32) if scaled else images.dtype
            volume = np.empty((len(frames), *frames[0].shape), dtype=kind)
        for place, frame in wanted:
            if images.shape[1:] != frame.shape or frame.index >= len(images):
                raise _damaged(file, "it holds fewer pixels than it says")
            image = images[frame.index]
            if scaled:
                image = image.astype(np.float64) * frame.slope + frame.intercept
            elif image.dtype != volume.dtype:
                volume = volume.astype(np.result_type(volume.dtype, image.dtype))
            volume[place] = image
    assert volume is not None
    slices = tuple((frame.file, frame.index) for frame in frames)
    return replace(volume_scan(path, volume, affine, series.facts), slices=slices)


def _images(file: Path) -> NDArray[Any]:
    """(n, rows, columns) of a file, as stored, but for MONOCHROME1, in which 0 is white."""
    try:
        with warnings.catch_warnings():
            warnings.simplefilter("ignore")
            dataset = dcmread(file, force=True)
            _require_gray(file, dataset)
            pixels = dataset.pixel_array
    except MriadError:
        raise
    except (OSError, MemoryError) as error:
        raise unreadable(file, error) from error
    except Exception as error:  # each decoder fails in its own way
        raise _damaged(file, in_a_line(error)) from None
    images = pixels[None] if pixels.ndim == 2 else pixels
    if images.dtype.kind == "u":  # some keep overlays in the bits that no pixel uses
        images = images & images.dtype.type(2 ** int(dataset.BitsStored) - 1)
    if dataset.PhotometricInterpretation == "MONOCHROME1":
        signed = images.dtype.kind == "i"
        images = ~images if signed else images.dtype.type(2 ** int(dataset.BitsStored) - 1) - images
    return np.asarray(images)


def _require_gray(file: Path, dataset: Dataset) -> None:
    if dataset.get("SamplesPerPixel", 1) != 1 or "PALETTE" in dataset.get("PhotometricInterpretation", ""):
        raise MriadError(
            f"{file} is in colour ({dataset.PhotometricInterpretation}), as maps and screen shots are and scans "
            "are not; choose the series of the scan itself."
        )
    if not hasattr(dataset, "file_meta"):
        raise _damaged(file, "its beginning is missing")
    syntax = dataset.file_meta.get("TransferSyntaxUID")
    if syntax is not None and not syntax.is_transfer_syntax:
        raise MriadError(
            f"{file} is compressed in a way that mriad does not know (transfer syntax {syntax}); export it "
            "uncompressed."
        )


def _damaged(file: Path, reason: str) -> MriadError:
    return MriadError(f"The pixels of {file} cannot be read ({reason}); copy or export it again.")
