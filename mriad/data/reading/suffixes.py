"""Which paths may hold volumes, by their names and first bytes alone."""

from __future__ import annotations

import os
from pathlib import Path, PurePath

from mriad.data.reading.decode import IMAGE_SUFFIXES

VOLUME_SUFFIXES = frozenset(
    {
        ".nii",
        ".nii.gz",
        ".img",
        ".img.gz",
        ".hdr",
        ".hdr.gz",
        ".mgh",
        ".mgz",
        ".mgh.gz",
        ".nrrd",
        ".nhdr",
        ".mha",
        ".mhd",
    }
)
DICOM_SUFFIXES = frozenset({".dcm", ".dicom", ".ima"})

_MARK, _MARK_AT = b"DICM", 128
_OTHERS = IMAGE_SUFFIXES | {".json", ".csv", ".tsv", ".txt", ".bval", ".bvec", ".xml", ".html", ".md", ".zip", ".py"}


def volume_suffix(path: str | Path) -> str:
    """The suffix in lower case that marks a volume in one file, '.nii.gz' as a whole; '' where none does."""
    name = os.path.basename(path).lower()
    return max((suffix for suffix in VOLUME_SUFFIXES if name.endswith(suffix)), key=len, default="")


def stem(path: str | PurePath) -> str:
    """The name without its suffix, that of a volume as a whole: 'sub-01_T1w.nii.gz' is 'sub-01_T1w'."""
    name = os.path.basename(path)
    suffix = volume_suffix(name)
    return name[: -len(suffix)] if suffix else Path(name).stem


def is_volume(path: str | Path) -> bool:
    """Whether a path looks like a volume: a file by its suffix or DICOM's mark, a folder by a DICOM file below it.

    Of a header and its data in two files (.hdr and .img) the data counts, unless it is missing.
    """
    suffix = volume_suffix(path)
    if suffix.startswith(".hdr"):
        return all(partner is None for partner in (partner_of(path, ".img"), partner_of(path, ".img.gz")))
    return (bool(suffix) and os.path.isfile(path)) or is_dicom(path)


def is_dicom(path: str | Path) -> bool:
    """Whether a file has DICOM's mark, or a folder some file below it that has; what cannot be read has none."""
    if os.path.isdir(path):
        return any(
            is_dicom(os.path.join(folder, name))
            for folder, _, names in os.walk(path)
            for name in names
            if not name.startswith(".") and not volume_suffix(name) and Path(name).suffix.lower() not in _OTHERS
        )
    try:
        return has_dicom_mark(path)
    except OSError:
        return False


def has_dicom_mark(path: str | Path) -> bool:
    """Whether a file begins as DICOM does: with a preamble, or as old ones do with the first group of its header.

    Raises:
        OSError: if it cannot be read.
    """
    with open(path, "rb") as file:
        start = file.read(_MARK_AT + len(_MARK))
    bare = start[:2] == b"\x08\x00" and start[2:4] in (b"\x00\x00", b"\x01\x00", b"\x05\x00", b"\x08\x00", b"\x16\x00")
    return start[_MARK_AT : _MARK_AT + len(_MARK)] == _MARK or bare


def partner_of(path: str | Path, suffix: str) -> Path | None:
    """The file beside another of the same stem and this suffix, in lower or upper case; None where there is none."""
    path = Path(path)
    for one in (suffix, suffix.upper()):
        if (partner := path.with_name(stem(path) + one)).is_file():
            return partner
    return None
