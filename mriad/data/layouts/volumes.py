"""One's own volumes: files or DICOM series in one folder per class, or listed in a CSV file."""

from __future__ import annotations

import re
from collections import Counter
from collections.abc import Sequence
from pathlib import Path
from typing import Any

from mriad.data.catalog import Catalog
from mriad.data.layouts.contrasts import contrast_in, of_contrast
from mriad.data.layouts.files import data_folder
from mriad.data.layouts.files import volumes as volumes_below
from mriad.data.layouts.folder import in_class_folders
from mriad.data.layouts.manifest import listed_scans, manifest_file
from mriad.data.reading.suffixes import stem
from mriad.errors import MriadError


def volumes(
    *,
    root: str | Path | None,
    download: bool = False,
    healthy: str = "healthy",
    anomalies: Sequence[str] | None = None,
    masks: str = "masks",
    brain_masks: str = "brain_masks",
    manifest: str | Path | None = None,
    patient: str | None = None,
    series: str | None = None,
    contrast: str | Sequence[str] | None = None,
) -> Catalog:
    """Catalog of one's own volumes: ``root/<healthy>/``, ``root/<anomaly>/`` ..., optionally folders of masks.

    A scan is a file, or a folder in which DICOM files lie, at any depth. Masks are found as ``folder`` finds them,
    those of brains below ``<brain_masks>/``. What stands in a name as a word of its own tells the contrast, as in
    ``p1_FLAIR.nii.gz`` or ``p1/t1.nii.gz``; scans that differ in that word alone are of one patient.

    Args:
        root: folder that holds the class folders; with a manifest it may be None.
        download: not used, there is nothing to fetch.
        healthy: name of the folder of healthy scans, in any letter case; it may be absent.
        anomalies: names of the anomaly folders, [] where all are healthy; None takes every other folder.
        masks, brain_masks: names of the folders of masks, in any letter case; they may be absent.
        manifest: CSV file that lists the scans instead (see ``listed_scans``): absolute, or relative to the working
            directory or to root. Folder names then mean nothing.
        patient: regular expression that finds the patient's id in a path, as in ``sub-[0-9]+``; its first group, where
            it has one. None leaves patients unknown, but for scans that differ in their contrast alone.
        series: which series to take of DICOM folders that hold several, see ``read_scan``.
        contrast: which scans to take, see ``of_contrast``.

    Raises:
        MriadError: if the root, a named folder or the manifest is missing, no scan is found, it is not clear which scan
            a mask belongs to or which contrast is meant, or a path has no patient's id.
    """
    if manifest is not None:
        start, listed = listed_scans(manifest_file(manifest, root=root), root=root)
        listed = [{"patient": "", "session": "", "contrast": "", **record} for record in listed]
        return Catalog.from_records(of_contrast(listed, contrast, root=start), root=start)
    start = data_folder(
        root,
        holds=f"a folder that holds {healthy}/ and a folder for each anomaly, or set data.layout.manifest to a CSV "
        "file that lists the scans",
    )
    records = in_class_folders(
        start, volumes_below(start), healthy=healthy, anomalies=anomalies, masks=masks, brain_masks=brain_masks
    )
    for record in records:
        path = Path(str(record["path"]))
        is_folder = (start / path).is_dir()
        record["contrast"], rest = contrast_in(path.name if is_folder else stem(path))
        record["patient"] = (path.parent / rest).as_posix() if patient is None else _patient(path.as_posix(), patient)
        record["series"] = series or "" if is_folder else ""
    kept = of_contrast(records, contrast, root=start)
    return Catalog.from_records(kept if patient else _without_lone_patients(kept), root=start)


def _without_lone_patients(records: Sequence[Any]) -> list[dict[str, Any]]:
    """The same scans; that a scan is alone with its name tells nothing of its patient."""
    count = Counter(record["patient"] for record in records)
    return [{**record, "patient": record["patient"] if count[record["patient"]] > 1 else ""} for record in records]


def _patient(path: str, pattern: str) -> str:
    try:
        found = re.search(pattern, path)
    except re.error as error:
        raise MriadError(f"data.layout.patient={pattern} is no regular expression ({error}); mend it.") from error
    if found is None:
        raise MriadError(f"data.layout.patient={pattern} finds no patient in {path}; mend the expression or the name.")
    return found[1] if found.re.groups else found[0]
