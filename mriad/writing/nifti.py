"""Values on the grid of a scan as a NIfTI file that lies over it in any viewer."""

from __future__ import annotations

import gzip
from pathlib import Path
from typing import Any

from nibabel.nifti1 import Nifti1Image
from nibabel.nifti2 import Nifti2Header, Nifti2Image, Nifti2PairHeader
from numpy.typing import NDArray

from mriad.data.reading.nifti import nifti_header
from mriad.data.reading.scan import Scan

_SCANNER = 1  # code of a place in the scanner
_RIGHT = 0.01  # degrees that the axes of a qform may miss a right angle by
_FAST = 1  # compression that is worth its time


def as_nifti(values: NDArray[Any], scan: Scan, *, description: str) -> bytes:
    """A packed NIfTI file of ``nifti_image``."""
    return packed(nifti_image(values, scan, description=description))


def packed(image: Nifti1Image) -> bytes:
    """An image as a packed file."""
    return gzip.compress(image.to_bytes(), compresslevel=_FAST, mtime=0)


def nifti_image(values: NDArray[Any], scan: Scan, *, description: str) -> Nifti1Image:
    """A NIfTI image of values on a scan's own grid.

    Beside a NIfTI file it has the header of that: the same kind, size, qform and sform with their codes, and units.
    Beside any other its place is the scan's, and the slices of a DICOM series lie along the last axis.

    Args:
        values: (D, H, W) float32 or uint8, axes as those of ``scan.levels``.
        scan: what they belong to.
        description: what they are, up to 79 characters.
    """
    if scan.header:
        header = nifti_header(Path(), scan.header)
        kind = Nifti2Image if isinstance(header, Nifti2Header | Nifti2PairHeader) else Nifti1Image
        image = kind(values, header.get_best_affine(), header)
    else:
        grid = scan.grid
        if scan.facts.format == "DICOM":
            values, grid = values.transpose(2, 1, 0), grid.permuted((2, 1, 0))
        image = Nifti1Image(values, grid.affine)
        image.set_sform(grid.affine, code=_SCANNER)
        image.set_qform(grid.affine, code=_SCANNER if grid.shear < _RIGHT else 0)
        image.header.set_xyzt_units("mm")
    image.set_data_dtype(values.dtype)
    image.header.set_slope_inter(1, 0)
    image.header.set_intent("none")
    image.header["cal_min"] = image.header["cal_max"] = 0
    image.header["descrip"] = description.encode()[:79]
    return image
