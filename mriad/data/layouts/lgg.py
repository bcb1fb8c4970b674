"""LGG segmentation: lower-grade gliomas as pictures of three channels (Buda 2019, Comput Biol Med 109:218; Kaggle)."""

from __future__ import annotations

import logging
import re
from collections import defaultdict
from collections.abc import Mapping, Sequence
from pathlib import Path

import numpy as np

from mriad.data.catalog import HEALTHY, Catalog
from mriad.data.layouts.contrasts import contrast_of
from mriad.data.layouts.download import kaggle_folder
from mriad.data.layouts.files import image_files
from mriad.data.reading.decode import in_channel
from mriad.data.reading.picture import read_picture
from mriad.errors import MriadError, unknown

log = logging.getLogger(__name__)

HANDLE = "mateuszbuda/lgg-mri-segmentation"

_CHANNELS = {"T1": "red", "FLAIR": "green", "T1c": "blue"}  # before contrast agent, FLAIR, after it
_Slice = tuple[str, str, int]  # patient, session, and number of the slice
_NAME = re.compile(r"(?P<patient>TCGA_\w+)_(?P<session>\d+)_(?P<place>\d+)(?P<mask>_mask)?\.tiff?", re.IGNORECASE)


def lgg(*, root: str | Path | None, download: bool = False, contrast: str | Sequence[str] | None = None) -> Catalog:
    """Catalog of the slices of 110 patients: ``kaggle_3m/<patient>_<date>/<patient>_<date>_<n>[_mask].tif``.

    Pictures, as they come: how far slices lie apart is not known. A slice whose mask is empty is healthy, though its
    patient is not, so that it never trains: the set is for ``split=all_test``. Where a patient lacks a sequence, its
    channel repeats FLAIR; such patients are left out of T1 and T1c, with a warning.

    Args:
        root: the unzipped folder.
        download: fetch it with kagglehub where it is not there.
        contrast: 'FLAIR', 'T1' (before a contrast agent) or 'T1c' (after it): one of the channels of each file.

    Raises:
        MriadError: if there is no such folder, no scan in it, or one contrast alone is not chosen.
    """
    start = kaggle_folder(HANDLE, root=root, download=download)
    slices: dict[_Slice, Path] = {}
    masks: dict[_Slice, Path] = {}
    for file in image_files(start):  # the archive unzips everything twice: the first of a name counts
        if found := _NAME.fullmatch(file.name):
            name = found["patient"].upper(), found["session"], int(found["place"])
            (masks if found["mask"] else slices).setdefault(name, file)
    if not slices:
        raise MriadError(
            f"No scans found in {start}: expected files like kaggle_3m/<patient>/<patient>_1.tif below it."
        )
    named = [contrast] if isinstance(contrast, str) else list(contrast or ())
    if len(named) != 1:
        raise MriadError(f"Each file in {start} holds {', '.join(_CHANNELS)}: choose one, as in data.contrast=FLAIR.")
    known = contrast_of(named[0])
    if known not in _CHANNELS:
        raise unknown("data.contrast", named[0], _CHANNELS)
    lacking = set() if known == "FLAIR" else _patients_without(slices, _CHANNELS[known])
    if lacking:
        log.warning(
            "%d patients in %s have no %s, their files repeat FLAIR in its place; they are left out.",
            len(lacking), start, known,
        )  # fmt: skip
    records = []
    for name, file in slices.items():
        patient, session, _ = name
        if patient in lacking:
            continue
        mask = masks.get(name)
        diseased = mask is None or _holds_lesion(mask)
        records.append(
            {
                "path": file.relative_to(start).as_posix(),
                "label": int(diseased),
                "class": "lower-grade glioma" if diseased else HEALTHY,
                "mask": "" if mask is None else mask.relative_to(start).as_posix(),
                "patient": patient,
                "session": session,
                "contrast": known,
                "series": _CHANNELS[known],
            }
        )
    return Catalog.from_records(records, root=start)


def _holds_lesion(mask: Path) -> bool:
    """Whether a mask is not empty; one that cannot be read counts so, and is told of where scans are prepared."""
    try:
        return bool(read_picture(mask).samples.any())
    except MriadError:
        return True


def _patients_without(slices: Mapping[_Slice, Path], channel: str) -> set[str]:
    """Patients in whose slices a channel repeats FLAIR, told by the one in the middle."""
    by_patient: defaultdict[str, list[Path]] = defaultdict(list)
    for name in sorted(slices):
        by_patient[name[0]].append(slices[name])

    def repeats(files: list[Path]) -> bool:
        try:
            picture = read_picture(files[len(files) // 2])
            return np.array_equal(in_channel(picture, channel), in_channel(picture, _CHANNELS["FLAIR"]))
        except MriadError:
            return False

    return {patient for patient, files in by_patient.items() if repeats(files)}
