"""FreeSurfer's MGH and MGZ files."""

from __future__ import annotations

import math
from pathlib import Path

import numpy as np
from nibabel.freesurfer.mghformat import MGHError, MGHImage
from nibabel.spatialimages import HeaderDataError
from nibabel.wrapstruct import WrapStructError

from mriad.data.reading.scan import Facts, Scan
from mriad.data.reading.volume import one_volume, volume_scan
from mriad.errors import MriadError, in_a_line

_RAS_FLAG = slice(28, 30)


def read_mgh(file: Path, content: bytes) -> Scan:
    """Read an MGH image.

    Args:
        file: its path, for errors.
        content: the file's, unpacked.

    Raises:
        MriadError: if it is damaged, has no place in space, or is no single volume.
    """
    try:
        image = MGHImage.from_bytes(content)
        wanted = math.prod(one_volume(file, image.shape)) * image.get_data_dtype().itemsize
        if wanted > len(content):
            raise ValueError(f"its header speaks of {wanted} bytes, it has {len(content)}")
        values = np.asarray(image.dataobj)
    except (MGHError, HeaderDataError, WrapStructError, TypeError, ValueError, KeyError, OSError) as error:
        raise MriadError(
            f"{file} cannot be read as an MGH file ({in_a_line(error)}); copy or export it again, or leave it out."
        ) from None
    if not int.from_bytes(content[_RAS_FLAG], "big"):  # where nibabel puts its default
        raise MriadError(
            f"{file} does not say where it lies (its RAS flag is off), so that left cannot be told from right; write "
            "its orientation with a program that knows it."
        )
    return volume_scan(file, values, image.affine, Facts(format="MGH"))
