"""Brain Tumor MRI Dataset (Kaggle, masoudnickparvar)."""

from __future__ import annotations

import logging
import re
from pathlib import Path

from mriad.data.catalog import HEALTHY, Catalog
from mriad.data.layouts.download import kaggle_folder
from mriad.data.layouts.files import image_files, start_of, subfolders
from mriad.errors import MriadError

log = logging.getLogger(__name__)

HANDLE = "masoudnickparvar/brain-tumor-mri-dataset"

CLASSES = {"no": HEALTHY, "glioma": "glioma", "meningioma": "meningioma", "pituitary": "pituitary"}


def nickparvar(*, root: str | Path | None, download: bool = False) -> Catalog:
    """Catalog of ``Training/`` and ``Testing/``, each with notumor, glioma, meningioma and pituitary.

    Healthy scans are those of both ``notumor`` folders, anomalies the tumours of ``Testing/``. The tumours of
    ``Training/`` are in pool 'labelled': they fill the labelled pool and nothing else. There are no masks.
    The names ``no_tumor``, ``glioma_tumor``, ... of older copies are read too; any folder may be absent.

    Args:
        root: the unzipped folder.
        download: fetch it with kagglehub where it is not there.

    Raises:
        MriadError: if there is no such folder, or no scan in it.
    """
    folder = kaggle_folder(HANDLE, root=root, download=download)
    start = start_of(folder, "Training", "Testing")
    records = []
    for part in ("Training", "Testing"):
        for class_folder in [child for parent in subfolders(start, part) for child in subfolders(parent)]:
            kind = CLASSES.get(re.sub(r"[ _-]?tumou?r$", "", class_folder.name.lower()))
            if kind is None:
                log.warning("%s is none of %s; left out.", class_folder, ", ".join(CLASSES.values()))
                continue
            label = int(kind != HEALTHY)
            pool = "labelled" if label and part == "Training" else ""
            for file in image_files(class_folder):
                path = file.relative_to(start).as_posix()
                records.append({"path": path, "label": label, "class": kind, "pool": pool})
    if not records:
        raise MriadError(
            f"No scans found in {folder}: expected Training/ and Testing/ below it, "
            "each with notumor/, glioma/, meningioma/ and pituitary/."
        )
    return Catalog.from_records(records, root=start)
