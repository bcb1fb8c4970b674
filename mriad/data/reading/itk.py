"""NRRD and MetaImage files, read by SimpleITK."""

from __future__ import annotations

import re
from pathlib import Path

import numpy as np

from mriad.data.reading.content import read_bytes, unpacked
from mriad.data.reading.scan import Facts, Scan
from mriad.data.reading.volume import one_volume, volume_scan
from mriad.errors import MriadError, ReadError

_LPS_TO_RAS = np.diag([-1.0, -1.0, 1.0, 1.0])
_NRRD_SPACE = re.compile(
    rb"^space:\s*(left|right)-(posterior|anterior)-superior|^space:\s*(LPS|LAS|RAS)", re.MULTILINE | re.IGNORECASE
)
_NRRD_PLACE = re.compile(rb"^space directions:", re.MULTILINE | re.IGNORECASE)
_NRRD_PACKED = re.compile(rb"^encoding:\s*(gzip|gz)\s*$", re.MULTILINE | re.IGNORECASE)
_META_PLACE = re.compile(rb"^(TransformMatrix|Orientation|Rotation)\s*=", re.MULTILINE)
_END_OF_HEADER = re.compile(rb"\r?\n\r?\n")


def read_itk(file: Path) -> Scan:
    """Read an NRRD (``.nrrd``, ``.nhdr``) or MetaImage (``.mha``, ``.mhd``) file.

    Raises:
        ReadError: if it cannot be read now.
        MriadError: if it is damaged, has no place in space, is no single volume, or no real numbers.
    """
    import SimpleITK as sitk  # noqa: N813  # which few scans need

    data = read_bytes(file)
    nrrd = data.startswith(b"NRRD")
    header = _END_OF_HEADER.split(data[:100_000], maxsplit=1)[0] if nrrd else data[:10_000].split(b"ElementDataFile")[0]
    if not nrrd and b"NDims" not in header:
        raise MriadError(f"{file} is neither an NRRD nor a MetaImage file, whatever its name says; export it again.")
    if not (_NRRD_SPACE.search(header) and _NRRD_PLACE.search(header) if nrrd else _META_PLACE.search(header)):
        raise MriadError(
            f"{file} does not say where it lies ({'space directions' if nrrd else 'TransformMatrix'} is missing), "
            "so that left cannot be told from right; write its orientation with a program that knows it."
        )
    if nrrd and _NRRD_PACKED.search(header) and (end := _END_OF_HEADER.search(data)):
        unpacked(file, data[end.end() :])  # for the checksum, which SimpleITK passes by
    del data
    sitk.ProcessObject.SetGlobalWarningDisplay(False)
    reader = sitk.ImageFileReader()
    reader.SetFileName(str(file))
    reader.SetImageIO("NrrdImageIO" if nrrd else "MetaImageIO")
    try:
        reader.ReadImageInformation()
        dimensions, channels = reader.GetDimension(), reader.GetNumberOfComponents()
        one_volume(file, reader.GetSize())
        if channels > 1 or dimensions < 3:
            what = f"{channels} numbers in a voxel, such as colours or vectors" if channels > 1 else "a single slice"
            raise MriadError(f"{file} holds {what}, and mriad reads volumes of single numbers; save the scan itself.")
        image = reader.Execute()
    except MemoryError as error:
        raise ReadError(f"{file} cannot be read now (not enough memory); free some, then start again.") from error
    except RuntimeError as error:
        reason = str(error).strip().splitlines()[-1].strip().rstrip(".")
        raise MriadError(f"{file} cannot be read ({reason}); copy or export it again, or leave it out.") from None
    affine = np.eye(4)
    affine[:3, :3] = (np.array(image.GetDirection()).reshape(dimensions, -1) * image.GetSpacing())[:3, :3]
    affine[:3, 3] = image.GetOrigin()[:3]
    facts = Facts(format="NRRD" if nrrd else "MetaImage")
    return volume_scan(file, sitk.GetArrayFromImage(image).T, _LPS_TO_RAS @ affine, facts)
