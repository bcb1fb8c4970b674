"""One road for every kind of scan: a path in, a Scan out."""

from __future__ import annotations

from pathlib import Path

from mriad.data.reading.scan import Scan


def read_scan(path: Path, *, series: str | None = None) -> Scan:
    """Read a scan, whatever holds it.

    A folder is read as DICOM, all that lies below it; a file as what it begins with: a picture, NIfTI-1 or -2 (one file
    or a pair), MGH, NRRD, MetaImage, or DICOM.

    Args:
        path: a file, or a folder of DICOM files under any names.
        series: which DICOM series, where there are several: its UID, its number, or words of its description.

    Raises:
        ReadError: if it cannot be read now: it is missing or locked, its drive is away, memory is short.
        MriadError: if what it holds is no scan that mriad reads, or several of which none is chosen.
    """
    raise NotImplementedError
