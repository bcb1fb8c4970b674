"""NRRD and MetaImage files, read by SimpleITK."""

from __future__ import annotations

import math
import re
import zlib
from pathlib import Path
from typing import Any

import numpy as np

from mriad.data.reading.content import read_bytes, unpacked, unreadable
from mriad.data.reading.scan import Facts, Scan
from mriad.data.reading.volume import one_volume, volume_scan
from mriad.errors import MriadError

_LPS_TO_RAS = np.diag([-1.0, -1.0, 1.0, 1.0])
_NRRD_SPACES = re.compile("(left|right)-(posterior|anterior)-superior|LPS|LAS|RAS", re.IGNORECASE)
_NRRD_FIELD = re.compile(rb"^([A-Za-z][A-Za-z ]*):=?[ \t]*(.*?)\r?$", re.MULTILINE)
_META_FIELD = re.compile(rb"^[ \t]*(\w+)[ \t]*=[ \t]*(.*?)[ \t]*\r?$", re.MULTILINE)
_NRRD_END = re.compile(rb"\r?\n\r?\n")
_META_END = re.compile(rb"^[ \t]*ElementDataFile[ \t]*=[^\n]*\n?", re.MULTILINE)
_LONGEST = 100_000  # bytes of a header
_META_PLACES = ("TransformMatrix", "Orientation", "Rotation")
_META_BYTES = {"CHAR": 1, "SHORT": 2, "INT": 4, "LONG": 4, "LONG_LONG": 8, "FLOAT": 4, "DOUBLE": 8}


def read_itk(file: Path) -> Scan:
    """Read an NRRD (``.nrrd``, ``.nhdr``) or MetaImage (``.mha``, ``.mhd``) file.

    Compressed voxels are unpacked once more here, for SimpleITK passes by wrong checksums and missing voxels.

    Raises:
        ReadError: if it cannot be read now.
        MriadError: if it is damaged, has no place in space, is no single volume, or no real numbers.
    """
    data = read_bytes(file)
    if data.startswith(b"NRRD"):
        format = "NRRD"
        _check_nrrd(file, data)
    elif b"NDims" in data[:_LONGEST] and _META_END.search(data[:_LONGEST]):
        format = "MetaImage"
        _check_meta(file, data)
    else:
        raise MriadError(f"{file} is neither an NRRD nor a MetaImage file, whatever its name says; export it again.")
    del data
    return _read(file, format)


def _read(file: Path, format: str) -> Scan:
    import SimpleITK as sitk  # noqa: N813  # few scans need it

    sitk.ProcessObject.SetGlobalWarningDisplay(False)
    reader = sitk.ImageFileReader()
    reader.SetFileName(str(file))
    reader.SetImageIO({"NRRD": "NrrdImageIO", "MetaImage": "MetaImageIO"}[format])
    try:
        reader.ReadImageInformation()
        one_volume(file, reader.GetSize())
        require_single_numbers(file, reader.GetDimension(), reader.GetNumberOfComponents())
        image = reader.Execute()
    except MemoryError as error:
        raise unreadable(file, error) from error
    except RuntimeError as error:
        raise _damaged(file, str(error).strip().splitlines()[-1].strip().rstrip(".")) from None
    return itk_scan(file, image, format)


def itk_scan(file: Path, image: Any, format: str) -> Scan:
    """The scan of a SimpleITK image of three dimensions or more.

    Args:
        file: what the image is called in errors.
        image: the image.
        format: what it comes from, such as 'NRRD'.

    Raises:
        MriadError: if it has no usable place, is no single volume, or no real numbers.
    """
    import SimpleITK as sitk  # noqa: N813

    dimensions = image.GetDimension()
    one_volume(file, image.GetSize())
    require_single_numbers(file, dimensions, image.GetNumberOfComponentsPerPixel())
    affine = np.eye(4)
    affine[:3, :3] = (np.array(image.GetDirection()).reshape(dimensions, -1) * image.GetSpacing())[:3, :3]
    affine[:3, 3] = image.GetOrigin()[:3]
    return volume_scan(file, sitk.GetArrayFromImage(image).T, _LPS_TO_RAS @ affine, Facts(format=format))


def require_single_numbers(file: Path, dimensions: int, channels: int) -> None:
    """See that an image is a volume of single numbers.

    Raises:
        MriadError: if it is a slice, or its voxels are colours or vectors.
    """
    if channels > 1 or dimensions < 3:
        what = f"{channels} numbers in a voxel, such as colours or vectors" if channels > 1 else "a single slice"
        raise MriadError(f"{file} holds {what}, and mriad reads volumes of single numbers; save the scan itself.")


def _check_nrrd(file: Path, data: bytes) -> None:
    end = _NRRD_END.search(data, 0, _LONGEST)
    header = data[: end.start() if end else _LONGEST]
    fields = {name.strip().lower(): value.strip() for name, value in _fields(_NRRD_FIELD, header).items()}
    if not (_NRRD_SPACES.fullmatch(fields.get("space", "")) and fields.get("space directions")):
        raise _homeless(file, "space directions")
    detached = fields.get("data file") or fields.get("datafile")
    if detached and not re.search(r"[%\s]|^LIST", detached):  # one file: others are SimpleITK's to see to
        voxels = read_bytes(file.parent / detached)
    else:
        voxels = data[end.end() :] if end else b""
    if fields.get("encoding", "").lower() in ("gzip", "gz"):
        unpacked(file, voxels)


def _check_meta(file: Path, data: bytes) -> None:
    end = _META_END.search(data, 0, _LONGEST)
    assert end is not None
    fields = _fields(_META_FIELD, data[: end.end()])
    if not any(name in fields for name in _META_PLACES):
        raise _homeless(file, "TransformMatrix")
    where = fields["ElementDataFile"]
    if where.upper().startswith("LIST") or "%" in where:
        return
    voxels = data[end.end() :] if where.upper() == "LOCAL" else read_bytes(file.parent / where)
    if fields.get("CompressedData", "").lower() == "true":
        try:
            voxels = zlib.decompress(voxels)
        except zlib.error:
            raise _damaged(file, "its compressed bytes make no sense") from None
    size = _META_BYTES.get(fields.get("ElementType", "").upper().removeprefix("MET_").removeprefix("U"), 1)
    channels = fields.get("ElementNumberOfChannels", "1")
    sizes = [*fields.get("DimSize", "").split(), channels]
    wanted = math.prod(int(one) for one in sizes if one.isdigit()) * size
    if wanted > len(voxels):
        raise _damaged(file, f"it holds {len(voxels)} bytes of the {wanted} that its voxels have")


def _fields(pattern: re.Pattern[bytes], header: bytes) -> dict[str, str]:
    return {name.decode("latin-1"): value.decode("latin-1") for name, value in pattern.findall(header)}


def _homeless(file: Path, missing: str) -> MriadError:
    return MriadError(
        f"{file} does not say where it lies ({missing} is missing), so that left cannot be told from right; write its "
        "orientation with a program that knows it."
    )


def _damaged(file: Path, reason: str) -> MriadError:
    return MriadError(f"{file} cannot be read ({reason}); copy or export it again, or leave it out.")
