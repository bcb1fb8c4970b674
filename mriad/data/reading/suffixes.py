"""Which paths may hold volumes, by name and first bytes alone."""

from __future__ import annotations

from pathlib import Path

VOLUME_SUFFIXES = frozenset(
    {".nii", ".nii.gz", ".img", ".img.gz", ".hdr", ".hdr.gz", ".mgh", ".mgz", ".nrrd", ".nhdr", ".mha", ".mhd"}
)
DICOM_SUFFIXES = frozenset({".dcm", ".dicom", ".ima"})


def volume_suffix(path: Path) -> str:
    """The suffix in lower case that marks a volume, '.nii.gz' as one; '' where none does."""
    raise NotImplementedError


def stem(path: Path) -> str:
    """The name without its suffix, that of a volume as a whole: 'sub-01_T1w.nii.gz' is 'sub-01_T1w'."""
    raise NotImplementedError


def is_volume(path: Path) -> bool:
    """Whether a path looks like a volume: a file by its name or DICOM's mark, a folder by a DICOM file below it.

    Of a header and its data (.hdr and .img) the data counts, unless it is missing.
    """
    raise NotImplementedError


def is_dicom(path: Path) -> bool:
    """Whether a file has DICOM's mark, or a folder some file below it that has."""
    raise NotImplementedError
