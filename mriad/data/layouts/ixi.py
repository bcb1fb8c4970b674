"""IXI: nearly 600 healthy people of London, three hospitals, T1, T2, PD and MRA (brain-development.org)."""

from __future__ import annotations

import re
from collections.abc import Sequence
from pathlib import Path

from mriad.data.catalog import HEALTHY, Catalog
from mriad.data.layouts.contrasts import contrast_of, of_contrast
from mriad.data.layouts.files import data_folder, volume_files
from mriad.data.reading.suffixes import stem
from mriad.errors import MriadError

_SCAN = re.compile(r"(?P<patient>IXI\d+)-\w+-\d+[-_](?P<contrast>T1|T2|PD|MRA)", re.IGNORECASE)


def ixi(*, root: str | Path | None, download: bool = False, contrast: str | Sequence[str] | None = None) -> Catalog:
    """Catalog of ``IXI002-Guys-0828-T1.nii.gz`` ..., at any depth; all are healthy.

    The hospital stands in the names (Guys, HH, IOP). Diffusion scans, one file for each direction, are left out.

    Args:
        root: the unpacked folder.
        download: not used.
        contrast: 'T1', 'T2', 'PD' or 'MRA'.

    Raises:
        MriadError: if there is no such folder, no scan in it, or no contrast is chosen where there are several.
    """
    start = data_folder(root, holds="the unpacked IXI, with files like IXI002-Guys-0828-T1.nii.gz")
    records = [
        {
            "path": file.relative_to(start).as_posix(),
            "label": 0,
            "class": HEALTHY,
            "patient": found["patient"].upper(),
            "contrast": contrast_of(found["contrast"]),
        }
        for file in volume_files(start)
        if (found := _SCAN.fullmatch(stem(file)))
    ]
    if not records:
        raise MriadError(f"No scans found in {start}: expected files like IXI002-Guys-0828-T1.nii.gz below it.")
    return Catalog.from_records(of_contrast(records, contrast, root=start), root=start)
