"""Br35H :: Brain Tumor Detection 2020 (Kaggle, ahmedhamada0)."""

from __future__ import annotations

import logging
from pathlib import Path

from mriad.data.catalog import HEALTHY, Catalog, content_hash
from mriad.data.layouts.download import kaggle_folder
from mriad.data.layouts.files import image_files, start_of, subfolders
from mriad.data.reading.outlines import read_outlines
from mriad.errors import MriadError

log = logging.getLogger(__name__)

HANDLE = "ahmedhamada0/brain-tumor-detection"


def br35h(*, root: str | Path | None, download: bool = False) -> Catalog:
    """Catalog of ``no/`` (healthy), ``yes/`` and ``Br35H-Mask-RCNN/{TRAIN,VAL,TEST}/`` (tumours, outlined).

    A scan in ``yes/`` that is also among the outlined ones, by file stem or by content, is one row: the
    outlined one. ``pred/`` holds scans without labels and is left out. An outlined scan whose outlines are
    missing or empty is a tumour without a mask.

    Args:
        root: the unzipped folder, or the folder that holds it.
        download: fetch it with kagglehub where it is not there.

    Raises:
        MriadError: if there is no such folder, no scan in it, or outlines that cannot be read.
    """
    folder = kaggle_folder(HANDLE, root=root, download=download)
    start = start_of(folder, "no", "yes", "Br35H-Mask-RCNN")
    outlined = _outlined_scans(start)
    stems = {file.stem.lower() for file in outlined}
    contents = {content_hash(file) for file in outlined} - {""}  # '' is of any file that cannot be read

    healthy = [file for part in subfolders(start, "no") for file in image_files(part)]
    tumours = [file for part in subfolders(start, "yes") for file in image_files(part)]
    alone = [file for file in tumours if file.stem.lower() not in stems and content_hash(file) not in contents]
    scans = [
        *((file, 0, "") for file in healthy),
        *((file, 1, "") for file in alone),
        *((file, 1, mask) for file, mask in outlined.items()),
    ]
    if not scans:
        raise MriadError(f"No scans found in {folder}: expected no/, yes/ and Br35H-Mask-RCNN/ below it.")
    records = [
        {
            "path": file.relative_to(start).as_posix(),
            "label": label,
            "class": "tumour" if label else HEALTHY,
            "mask": mask,
        }
        for file, label, mask in scans
    ]
    return Catalog.from_records(records, root=start)


def _outlined_scans(start: Path) -> dict[Path, str]:
    """Each scan of the Mask-RCNN folders, with the reference of its mask ('' without outlines)."""
    masks: dict[Path, str] = {}
    for folder in subfolders(start, "Br35H-Mask-RCNN"):
        for part in subfolders(folder, "TRAIN", "VAL", "TEST"):
            # The file of all parts, one level up, stands in where a part has no file of its own.
            sources = sorted(part.glob("annotations*.json")) or sorted(folder.glob("annotations*.json"))
            outlines = [(source, read_outlines(source)) for source in sources]
            for file in image_files(part):
                with_shapes = [source for source, shapes in outlines if shapes.get(file.name)]
                masks[file] = f"{with_shapes[0].relative_to(start).as_posix()}#{file.name}" if with_shapes else ""
    if missing := sum(mask == "" for mask in masks.values()):
        log.info(
            "%d of %d scans in Br35H-Mask-RCNN have no outline; they count without a mask.",
            missing,
            len(masks),
        )
    return masks
