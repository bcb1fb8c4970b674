"""Brain MRI Images for Brain Tumor Detection (Kaggle, navoneel)."""

from __future__ import annotations

import filecmp
from pathlib import Path

from mriad.data.catalog import HEALTHY, Catalog
from mriad.data.layouts.download import kaggle_folder
from mriad.data.layouts.files import image_files, start_of, subfolders
from mriad.errors import MriadError

HANDLE = "navoneel/brain-mri-images-for-brain-tumor-detection"


def navoneel(*, root: str | Path | None, download: bool = False) -> Catalog:
    """Catalog of 253 scans: ``no/`` healthy, ``yes/`` with a tumour; there are no masks.

    The archive unzips everything twice, at the top and in ``brain_tumor_dataset/``. A file and its twin in
    the other folder are one row; paths start at the folder that holds ``yes/`` and ``no/``, so that they do
    not depend on which of the two is there.

    Args:
        root: the unzipped folder, or the ``brain_tumor_dataset`` folder in it.
        download: fetch it with kagglehub where it is not there.

    Raises:
        MriadError: if there is no such folder, or no scan in it.
    """
    folder = kaggle_folder(HANDLE, root=root, download=download)
    start = start_of(folder, "yes", "no")
    records = []
    for name, label, kind in (("no", 0, HEALTHY), ("yes", 1, "tumour")):
        for file in _without_twins(start, name):
            records.append({"path": file.relative_to(start).as_posix(), "label": label, "class": kind})
    if not records:
        raise MriadError(f"No scans found in {folder}: expected yes/ and no/ there or in brain_tumor_dataset/ below.")
    return Catalog.from_records(records, root=start)


def _without_twins(start: Path, name: str) -> list[Path]:
    files = [file for folder in subfolders(start, name) for file in image_files(folder)]
    for second in subfolders(start, "brain_tumor_dataset"):
        for folder in subfolders(second, name):
            for file in image_files(folder):
                twin = start / file.relative_to(second)
                if not (twin.is_file() and filecmp.cmp(file, twin, shallow=False)):
                    files.append(file)
    return files
