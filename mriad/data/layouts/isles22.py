"""ISLES 2022: acute and subacute strokes in DWI, ADC and FLAIR (Hernandez Petzsche 2022, Sci Data 9:762)."""

from __future__ import annotations

import logging
from collections.abc import Sequence
from pathlib import Path

from mriad.data.catalog import Catalog
from mriad.data.layouts.bids import bids_scans
from mriad.data.layouts.files import data_folder

log = logging.getLogger(__name__)


def isles22(*, root: str | Path | None, download: bool = False, contrast: str | Sequence[str] | None = None) -> Catalog:
    """Catalog of strokes: ``[rawdata/]sub-strokecase0001/ses-0001/`` and, below ``derivatives/``, ``*_msk.nii.gz``.

    Nobody is healthy: the set is for ``split=all_test``. Masks are drawn on DWI, whose grid ADC shares; FLAIR lies on a
    grid of its own and was not registered to it, which a warning says. A few masks are empty; their scans stay
    anomalous and count without a mask.

    Args:
        root: the unzipped folder.
        download: not used.
        contrast: 'DWI', 'ADC' or 'FLAIR'.

    Raises:
        MriadError: if there is no such folder, no scan in it, or no contrast is chosen.
    """
    start = data_folder(root, holds="the unzipped ISLES-2022, with derivatives/ in it")
    records = bids_scans(start, contrast=contrast)
    if any(record["contrast"] == "FLAIR" and record["mask"] for record in records):
        log.warning("The masks of ISLES 2022 were drawn on DWI; on FLAIR they lie as well as the patient kept still.")
    return Catalog.from_records((record | {"label": 1, "class": "stroke"} for record in records), root=start)
