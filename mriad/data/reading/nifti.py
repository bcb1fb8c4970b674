"""NIfTI-1 and NIfTI-2 images, in one file or two."""

from __future__ import annotations

import logging
import math
from dataclasses import replace
from pathlib import Path
from typing import Any

import numpy as np
from nibabel.nifti1 import Nifti1Header, Nifti1PairHeader
from nibabel.nifti2 import Nifti2Header, Nifti2PairHeader
from nibabel.spatialimages import HeaderDataError
from nibabel.wrapstruct import WrapStructError
from numpy.typing import NDArray

from mriad.data.reading.scan import Facts, Scan
from mriad.data.reading.volume import one_volume, require_real, volume_scan
from mriad.errors import MriadError, in_a_line

log = logging.getLogger(__name__)
# a strange header ends in one sentence, not in what nibabel prints beside
logging.getLogger("nibabel.global").setLevel(logging.CRITICAL + 1)

_KINDS = {
    (348, b"n+1"): Nifti1Header,
    (348, b"ni1"): Nifti1PairHeader,
    (540, b"n+2"): Nifti2Header,
    (540, b"ni2"): Nifti2PairHeader,
}
_MAGIC_AT = {348: 344, 540: 4}
_ORDERS = {"little": "<", "big": ">"}
_TO_MM = {1: 1000.0, 3: 0.001}  # unit codes for metre and micron
_LABELS = 1002  # intent code
_HALF_A_VOXEL = 0.5


def read_nifti(file: Path, content: bytes, *, voxels: bytes | None = None) -> Scan:
    """Read a NIfTI image.

    ``scl_slope`` and ``scl_inter`` are applied. The place in space is the sform's where it is coded, else the qform's.
    Where both are coded and lead elsewhere, the sform is used if their codes say that they mean two spaces, such as a
    scanner's and a template's, and a warning says so; else the file is refused, for nothing tells which one is right,
    and programs differ in which one they take.

    Args:
        file: its path, for errors.
        content: the file's, unpacked; of an image in two files the header's.
        voxels: content of the other one of two files.

    Raises:
        MriadError: if it is damaged, has no place in space, is no single volume, or no real numbers.
    """
    header = nifti_header(file, content)
    try:
        shape, kind = header.get_data_shape(), header.get_data_dtype()
        slope, intercept = header.get_slope_inter()
        offset = int(header.get_data_offset())
    except (HeaderDataError, ValueError, KeyError, OverflowError) as error:
        raise _damaged(file, f"a header that makes no sense, {in_a_line(error)}") from None
    if not 1 <= int(header["dim"][0]) <= 7:
        raise _damaged(file, f"{int(header['dim'][0])} axes in its header")
    one_volume(file, shape)
    require_real(file, kind)
    stored = content if voxels is None else voxels
    size = math.prod(shape)
    if offset < 0 or offset + size * kind.itemsize > len(stored):
        raise _damaged(
            file,
            f"{' x '.join(map(str, shape))} voxels of {kind} in its header, more than the {len(stored)} bytes in it",
        )
    values = np.frombuffer(stored, dtype=kind, count=size, offset=offset).reshape(shape, order="F")
    return nifti_scan(
        file, header, values, slope=1.0 if slope is None else slope, intercept=intercept or 0.0, stored=content
    )


def nifti_scan(
    file: Path,
    header: Nifti1Header,
    values: NDArray[Any],
    *,
    slope: float = 1.0,
    intercept: float = 0.0,
    stored: bytes | None = None,
) -> Scan:
    """The scan of a header and its voxels, from a file or not.

    Args:
        file: what the image is called in errors.
        header: says where the voxels lie.
        values: the voxels, of any real type.
        slope, intercept: levels are ``values * slope + intercept``.
        stored: what begins with the header as it is stored; None where it is no file's.

    Raises:
        MriadError: if it has no place in space, is no single volume, or no real numbers.
    """
    facts = Facts(
        format="NIfTI-2" if isinstance(header, Nifti2Header) else "NIfTI-1",
        labels=int(header["intent_code"]) == _LABELS,
    )
    scan = volume_scan(file, values, _affine(file, header), facts, slope=slope, intercept=intercept)
    return replace(scan, header=(header.binaryblock if stored is None else stored)[: header.sizeof_hdr])


def nifti_header(file: Path, content: bytes) -> Nifti1Header:
    """The header that a NIfTI file begins with.

    Raises:
        MriadError: if there is none.
    """
    for size, start in _MAGIC_AT.items():
        for order, sign in _ORDERS.items():
            if int.from_bytes(content[:4], order) == size:  # type: ignore[arg-type]
                if len(content) < size:
                    raise _damaged(file, "the beginning of a header and no more")
                kind = _KINDS.get((size, content[start : start + 3]))
                if kind is None:
                    raise MriadError(
                        f"{file} is an Analyze 7.5 image, which does not say left from right; save it as NIfTI with "
                        "the program that wrote it."
                    )
                try:
                    return kind(content[:size], endianness=sign)
                except (HeaderDataError, WrapStructError, ValueError) as error:
                    raise _damaged(file, f"a header that makes no sense, {in_a_line(error)}") from None
    raise MriadError(f"{file} is no NIfTI file, whatever its name says; export it again or leave it out.")


def _affine(file: Path, header: Nifti1Header) -> NDArray[np.float64]:
    """(4, 4) to RAS+ mm."""
    try:
        qform, qform_code = header.get_qform(coded=True)
    except (HeaderDataError, ValueError, np.linalg.LinAlgError):  # a quaternion that is none
        qform, qform_code = np.full((4, 4), np.nan), int(header["qform_code"])
    sform, sform_code = header.get_sform(coded=True)
    if sform is None and qform is None:
        raise MriadError(
            f"{file} does not say where it lies (its sform and qform have code 0), so that left cannot be told from "
            "right; write its orientation with a program that knows it, or convert it again from DICOM."
        )
    if sform is None or qform is None:
        affine = qform if sform is None else sform
    else:
        affine = sform
        _require_agreement(file, header, qform, sform, same_space=qform_code == sform_code)
    millimetres = _TO_MM.get(int(header["xyzt_units"]) & 7, 1.0)
    return np.diag([millimetres, millimetres, millimetres, 1.0]) @ np.asarray(affine, dtype=np.float64)


def _require_agreement(
    file: Path, header: Nifti1Header, qform: NDArray[np.float64], sform: NDArray[np.float64], *, same_space: bool
) -> None:
    if not (np.isfinite(qform).all() and np.isfinite(sform).all()):
        return  # the sform has to do, if it can
    size = np.array([*header.get_data_shape(), 1, 1][:3])
    corners = np.array(list(np.ndindex(2, 2, 2))) * (size - 1)
    apart = np.linalg.norm(corners @ (sform - qform)[:3, :3].T + (sform - qform)[:3, 3], axis=1).max()
    if apart <= _HALF_A_VOXEL * np.linalg.norm(sform[:3, :3], axis=0).min():
        return
    mirrored = np.linalg.det(sform[:3, :3]) * np.linalg.det(qform[:3, :3]) < 0
    if same_space or mirrored:
        what = "each other's mirror images" if mirrored else f"up to {apart:.3g} mm apart"
        raise MriadError(
            f"{file} has a qform and an sform that are {what}, and nothing says which one is right; "
            "copy the right one over the other, as fslorient -copysform2qform does."
        )
    log.warning(
        "%s has a qform and an sform up to %.3g mm apart, meant for two spaces (codes %d and %d); the sform is used.",
        *(file, apart, int(header["qform_code"]), int(header["sform_code"])),
    )


def _damaged(file: Path, what: str) -> MriadError:
    return MriadError(f"{file} is a damaged NIfTI file ({what}); copy or export it again, or leave it out.")
