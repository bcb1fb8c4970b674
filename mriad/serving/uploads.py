"""What was sent, as a file or a folder that can be read: unpacked within limits, under names that say nothing."""

from __future__ import annotations

import gzip
import lzma
import shutil
import zipfile
import zlib
from pathlib import Path, PurePath
from typing import IO, BinaryIO

from mriad.data.reading.decode import IMAGE_SUFFIXES
from mriad.data.reading.suffixes import has_dicom_mark
from mriad.errors import MriadError
from mriad.serving.door import Limits

_CHUNK = 2**20
_ZIP, _GZIP = b"PK\x03\x04", b"\x1f\x8b"
_HEADER = {348, 540}  # bytes of a NIfTI header, its first number
_ENCRYPTED = 1
_WHAT = "Send a picture, a NIfTI file, or a zip of the DICOM files of a series"


def unpacked(upload: BinaryIO, name: str, folder: Path, limits: Limits) -> Path:
    """Write an upload into a folder, as what it begins with says.

    Args:
        upload: what was sent.
        name: what the client calls it; only the ending of a picture's is looked at.
        folder: an empty folder.
        limits: of size and number of what is packed.

    Returns:
        The file, or the folder of a series.

    Raises:
        MriadError: if it is empty, damaged, larger than it may be, or holds no scan.
    """
    start = upload.read(4)
    upload.seek(0)
    if not start:
        raise MriadError(f"The scan is empty. {_WHAT}.")
    if start == _ZIP:
        return _series(upload, folder / "series", limits)
    if start[:2] == _GZIP:
        try:
            with gzip.GzipFile(fileobj=upload, mode="rb") as packed:
                file = _written(packed, folder / "scan", limits.unpacked_bytes)
        except (gzip.BadGzipFile, EOFError, zlib.error) as error:
            raise MriadError("The scan is a damaged gzip; send it again, or pack it again.") from error
    else:
        file = _written(upload, folder / "scan", limits.upload_bytes)
    return file.rename(file.with_name(f"scan{_ending(file, name)}"))


def _ending(file: Path, name: str) -> str:
    """The ending by which a file is read as what it holds."""
    with file.open("rb") as stream:
        start = stream.read(4)
    if {int.from_bytes(start, "little"), int.from_bytes(start, "big")} & _HEADER:
        return ".nii"
    if has_dicom_mark(file):
        return ".dcm"
    ending = PurePath(name).suffix.lower()
    return ending if ending in IMAGE_SUFFIXES else ".png"  # which is read as what it is


def _series(upload: BinaryIO, folder: Path, limits: Limits) -> Path:
    """The DICOM files of a zip, numbered; what else lies in it is left out."""
    folder.mkdir()
    room = limits.unpacked_bytes
    try:
        with zipfile.ZipFile(upload) as packed:
            members = [member for member in packed.infolist() if not member.is_dir()]
            if len(members) > limits.files:
                raise MriadError(f"The zip holds {len(members)} files, more than the {limits.files} that are taken.")
            if any(member.flag_bits & _ENCRYPTED for member in members):
                raise MriadError("The zip is encrypted; send one that is not.")
            for number, member in enumerate(members):
                with packed.open(member) as inside:
                    file = _written(inside, folder / f"{number:06d}.dcm", room, told=limits.unpacked_bytes)
                room -= file.stat().st_size
                if not has_dicom_mark(file):
                    file.unlink()
    except (zipfile.BadZipFile, zlib.error, lzma.LZMAError, EOFError, RuntimeError, OSError) as error:
        if getattr(error, "errno", None):  # of the disk; bz2 raises an OSError as well
            raise
        raise MriadError("The zip is damaged, or packed in a way that is not known; pack it again.") from error
    if not any(folder.iterdir()):
        raise MriadError(f"There is no DICOM file in the zip. {_WHAT}.")
    return folder


def _written(source: IO[bytes] | gzip.GzipFile, file: Path, most: int, *, told: int | None = None) -> Path:
    """Copy until the end, or until it is too much: of several files together, which have a limit that is told."""
    size = 0
    with file.open("wb") as target:
        while chunk := source.read(_CHUNK):
            size += len(chunk)
            if size > most:
                raise MriadError(f"The scan unpacks to more than {(told or most) // 10**6} MB, the most that is taken.")
            target.write(chunk)
    return file


def forget(folder: Path) -> None:
    """Remove what was sent."""
    shutil.rmtree(folder, ignore_errors=True)
