"""One road for every kind of scan: a path in, a Scan out."""

from __future__ import annotations

from pathlib import Path

from mriad.data.reading.content import content
from mriad.data.reading.decode import decode
from mriad.data.reading.scan import Facts, Scan
from mriad.data.reading.suffixes import DICOM_SUFFIXES, has_dicom_mark, partner_of, volume_suffix
from mriad.errors import MriadError, ReadError


def read_scan(path: Path, *, series: str | None = None, labels: bool = False) -> Scan:
    """Read a scan, whatever holds it.

    A folder is read as DICOM, all that lies below it; a file as what its suffix says or it begins with: NIfTI-1 or -2
    (one file or a pair), MGH, NRRD, MetaImage, DICOM, or a picture.

    Args:
        path: a file, or a folder of DICOM files under any names.
        series: which DICOM series, where there are several: its UID, its number, or words of its description; of a
            picture which channel, see ``decode``.
        labels: take a file that says that it holds labels, as a mask may.

    Raises:
        ReadError: if it cannot be read now: it is missing or locked, its drive is away, memory is short.
        MriadError: if what it holds is no scan that mriad reads, or several of which none is chosen.
    """
    scan = _read(Path(path), series)
    if scan.facts.labels and not labels:
        raise MriadError(f"{path} says that it holds labels, not intensities; name the scan that they belong to.")
    return scan


def _read(path: Path, series: str | None) -> Scan:
    if path.is_dir():
        from mriad.data.reading.dicom import read_dicom

        return read_dicom(path, series=series)
    suffix = volume_suffix(path)
    if suffix.startswith((".nrrd", ".nhdr", ".mha", ".mhd")):
        from mriad.data.reading.itk import read_itk

        return read_itk(path)
    if suffix.startswith((".hdr", ".img")):
        from mriad.data.reading.nifti import read_nifti

        header, voxels = _pair(path)
        return read_nifti(header, content(header), voxels=content(voxels))
    if suffix.startswith(".mg"):
        from mriad.data.reading.mgh import read_mgh

        return read_mgh(path, content(path))
    if suffix:
        from mriad.data.reading.nifti import read_nifti

        return read_nifti(path, content(path))
    if path.suffix.lower() in DICOM_SUFFIXES or (path.exists() and has_dicom_mark(path)):
        from mriad.data.reading.dicom import read_dicom

        return read_dicom(path, series=series)
    return _read_picture(path, series)


def _read_picture(file: Path, channel: str | None) -> Scan:
    image = decode(file, channel=channel or "")
    return Scan.of_picture(image.levels, facts=Facts(format=image.format, mode=image.mode))


def _pair(path: Path) -> tuple[Path, Path]:
    """Header and data of an image in two files, of which one was named."""
    packed = ".gz" if volume_suffix(path).endswith(".gz") else ""
    header, data = ((partner_of(path, one + packed) or partner_of(path, one)) for one in (".hdr", ".img"))
    if not path.exists():
        raise ReadError(f"{path} does not exist.")
    if header is None or data is None:
        missing = ".img" if data is None else ".hdr"
        raise MriadError(f"{path} is half of an image in two files; put its {missing} beside it, or leave it out.")
    return header, data
