"""BraTS 2018 to 2021: gliomas in T1, T1c, T2 and FLAIR, skull-stripped (Menze 2015, Bakas 2017, Baid 2021)."""

from __future__ import annotations

import re
from collections.abc import Sequence
from pathlib import Path

from mriad.data.catalog import Catalog
from mriad.data.layouts.contrasts import contrast_of, of_contrast
from mriad.data.layouts.files import data_folder, volume_files
from mriad.data.reading.suffixes import stem
from mriad.errors import MriadError

_SCAN = re.compile(r"(?P<case>.+)_(?P<contrast>flair|t1|t1ce|t2)", re.IGNORECASE)
_MASK = re.compile(r".+_segm?", re.IGNORECASE)  # one of 2020 is called W39_1998.09.19_Segm
_GRADES = {"hgg": "HGG", "lgg": "LGG"}


def brats(*, root: str | Path | None, download: bool = False, contrast: str | Sequence[str] | None = None) -> Catalog:
    """Catalog of gliomas: one folder per case with ``<case>_flair``, ``_t1``, ``_t1ce``, ``_t2`` and ``_seg``.

    Cases lie at any depth, as in ``BraTS2021_00000/``, ``MICCAI_BraTS2020_TrainingData/BraTS20_Training_001/`` or
    ``MICCAI_BraTS_2018_Data_Training/HGG/Brats18_2013_2_1/``; the class is the grade where a folder tells it, else
    'glioma'. All labels of ``_seg`` are lesion. Nobody is healthy: the set is for ``split=all_test``. Cases of the
    validation parts come without masks and count so.

    Args:
        root: the unzipped folder.
        download: not used, the set asks for registration.
        contrast: 'FLAIR', 'T1', 'T1c' or 'T2'.

    Raises:
        MriadError: if there is no such folder, no scan in it, or no contrast is chosen.
    """
    start = data_folder(root, holds="the unzipped BraTS, with a folder for each case")
    paths = [file.relative_to(start) for file in volume_files(start)]
    masks = {path.parent: path.as_posix() for path in paths if _MASK.fullmatch(stem(path))}
    records = [
        {
            "path": path.as_posix(),
            "label": 1,
            "class": next((_GRADES[part.lower()] for part in path.parts if part.lower() in _GRADES), "glioma"),
            "mask": masks.get(path.parent, ""),
            "patient": found["case"],
            "contrast": contrast_of(found["contrast"]),
        }
        for path in paths
        if (found := _SCAN.fullmatch(stem(path)))
    ]
    if not records:
        raise MriadError(
            f"No scans found in {start}: expected a folder for each case, with files like BraTS2021_00000_flair.nii.gz."
        )
    return Catalog.from_records(of_contrast(records, contrast, root=start), root=start)
