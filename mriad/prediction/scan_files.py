"""A scan to predict, and what lies among scans without being one: lesion masks, maps of an earlier prediction."""

from __future__ import annotations

import logging
import os
import re
from collections.abc import Sequence
from dataclasses import dataclass, field, replace
from pathlib import Path

from mriad.data.reading.suffixes import stem
from mriad.errors import MriadError
from mriad.pacs.remote import RemoteScan
from mriad.tables import printable

log = logging.getLogger(__name__)

MAP_ENDING, OVERLAY_ENDING = ".map.tiff", ".overlay.png"
VOLUME_MAP_ENDING, VOLUME_MASK_ENDING = "_map.nii.gz", "_mask.nii.gz"
DICOM_ENDINGS = {"seg": "_seg.dcm", "map": "_map.dcm", "sr": "_sr.dcm"}  # mask, map, report
LIST, THUMBNAILS = "list.js", "thumbs"  # of a page to read a prediction by
MAPS, TABLE, UNFINISHED = "maps", "predictions.csv", "predictions.csv.part"

_MASKS = ("masks", "brain_masks")  # as the layouts call the folders of masks,
_MASK = re.compile(r"(.*[_-])?(mask|d?segm?)", re.IGNORECASE)  # and what masks and segmentations are called anywhere


@dataclass(frozen=True, kw_only=True)
class ScanFile:
    """A scan to predict.

    Args:
        path: its file, or the folder of its DICOM files, as it was named.
        spacing: millimetres per pixel of a picture, (row, column); None where unknown.
        series: which DICOM series of the path, or which channel of a picture; '' where there is one.
        brain_mask: file of its brain mask; None where there is none.
        patient, contrast: '' where unknown.
        bids: root of the BIDS data set that it was found in; None where it was in none.
        remote: of a series in an archive, what fetches it into the folder ``path``; None for files.
    """

    path: Path
    spacing: tuple[float, float] | None = None
    series: str = ""
    brain_mask: Path | None = None
    patient: str = ""
    contrast: str = ""
    bids: Path | None = None
    remote: RemoteScan | None = field(default=None, compare=False)

    @property
    def name(self) -> str:
        """What a table calls it: its path, or its address in an archive."""
        return str(self.path) if self.remote is None else self.remote.address

    def joined(self, known: ScanFile) -> ScanFile:
        """The scan as it was ``known`` first, with what only this name of it tells.

        Raises:
            MriadError: if both state a spacing, and not the same.
        """
        if self.spacing is not None and known.spacing not in (None, self.spacing):
            raise MriadError(
                f"The input states two spacings for {self.path}, {known.spacing} and {self.spacing} mm; mend one."
            )
        return replace(
            known,
            spacing=known.spacing or self.spacing,
            brain_mask=known.brain_mask or self.brain_mask,
            patient=known.patient or self.patient,
            contrast=known.contrast or self.contrast,
        )


def scans_among(found: Sequence[Path], folder: Path, entry: str, *, kind: str = "images") -> list[Path]:
    """What are scans of what was found in a folder; what is left out is counted.

    Raises:
        MriadError: if none is.
    """
    masks = [path for path in found if _is_mask(path, folder)]
    maps = [path for path in found if _is_map(path)]
    if len(masks) == len(found):
        raise MriadError(
            f"Each of the {len(found)} {kind} of input={entry} is a mask by its name ({_MASKS[0]}/, _mask or _seg): "
            "give the scans, or rename what is one."
        )
    if len(maps) == len(found):
        raise MriadError(f"Each of the {len(found)} {kind} of input={entry} is a map of a prediction; give the scans.")
    masks = [mask for mask in masks if mask not in maps]
    if masks:
        log.warning("%d masks, such as %s, are no scans and are left out.", len(masks), printable(str(masks[0])))
    if maps:
        log.warning(
            "%d maps of an earlier prediction, such as %s, are no scans and are left out.",
            len(maps),
            printable(str(maps[0])),
        )
    apart = {*masks, *maps}
    return [path for path in found if path not in apart]


def _is_mask(path: Path, folder: Path) -> bool:
    start = os.path.dirname(os.path.abspath(folder))
    within = Path(os.path.relpath(os.path.dirname(os.path.abspath(path)), start)).parts
    named = any(_MASK.fullmatch(name) for name in (stem(path), *within))
    return named or any(part.lower() in _MASKS for part in within)


def _is_map(path: Path) -> bool:
    """Whether mriad has written a file: its table lies beside the folder of maps, or its list beside thumbnails."""
    if path.parent.name == THUMBNAILS and path.suffix == ".webp":
        return (path.parent.parent / LIST).exists()
    endings = (MAP_ENDING, OVERLAY_ENDING, VOLUME_MAP_ENDING, VOLUME_MASK_ENDING, *DICOM_ENDINGS.values())
    if path.is_dir():  # what DICOM files are found by
        names = [name for name in os.listdir(path) if not name.startswith(".")]
        if not names or not all(name.endswith(endings) for name in names):
            return False
    elif not path.name.endswith(endings):
        return False
    homes = [above.parent for above in (path.absolute(), *path.absolute().parents) if above.name == MAPS]
    return any((home / table).exists() for home in homes for table in (TABLE, UNFINISHED))
