"""ATLAS v2: chronic strokes in T1 (Liew 2022, Sci Data 9:320), as its archive unpacks."""

from __future__ import annotations

from collections.abc import Sequence
from pathlib import Path

from mriad.data.catalog import Catalog
from mriad.data.layouts.bids import bids_scans
from mriad.data.layouts.files import data_folder


def atlas(*, root: str | Path | None, download: bool = False, contrast: str | Sequence[str] | None = None) -> Catalog:
    """Catalog of strokes: ``*_T1w.nii.gz`` and ``*_label-L_desc-T1lesion_mask.nii.gz`` at any depth.

    That is ``Training/R001/sub-r001s001/ses-1/anat/`` and ``Testing/``, or ``derivatives/ATLAS/sub-*/ses-1/anat/``.
    Nobody is healthy: the set is for ``split=all_test``. Scans of ``Testing/`` come without masks and count so.

    Args:
        root: the unpacked folder.
        download: not used, the archive is encrypted.
        contrast: all scans are T1.

    Raises:
        MriadError: if there is no such folder, or no scan in it.
    """
    start = data_folder(root, holds="the unpacked ATLAS_2, with Training/ in it")
    records = bids_scans(start, contrast=contrast, apart=())
    return Catalog.from_records((record | {"label": 1, "class": "stroke"} for record in records), root=start)
