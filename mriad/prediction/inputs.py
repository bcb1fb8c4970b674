"""The scans that a prediction is asked for, and what is known of them besides their pixels."""

from __future__ import annotations

import glob
import logging
import os
import re
from collections.abc import Iterable, Iterator, Sequence
from dataclasses import dataclass
from pathlib import Path

from omegaconf import ListConfig

from mriad.data.layouts.files import image_files
from mriad.data.layouts.manifest import listed_scans
from mriad.data.reading.decode import IMAGE_SUFFIXES
from mriad.errors import MriadError
from mriad.geometry import spacing_of
from mriad.tables import printable

log = logging.getLogger(__name__)

MAP_ENDING, OVERLAY_ENDING = ".map.tiff", ".overlay.png"
MAPS, TABLE, UNFINISHED = "maps", "predictions.csv", "predictions.csv.part"

_MASKS = "masks"  # as the layout `folder` calls the folder of masks, and their names
_MASK = "_mask"


@dataclass(frozen=True, kw_only=True)
class ScanFile:
    """A scan to predict.

    Args:
        path: its file, as it was named.
        spacing: millimetres per pixel, (row, column); None where unknown.
    """

    path: Path
    spacing: tuple[float, float] | None = None


def find_scans(wanted: str | Sequence[str]) -> list[ScanFile]:
    """Scans that an input names, each once, in the order in which they are named.

    Lesion masks, by the names that the layout ``folder`` gives them, and the maps of an earlier prediction are no
    scans: in folders and globs they are left out, and their number is told.

    Args:
        wanted: an image, a CSV file that lists scans and may state their ``spacing`` (see ``listed_scans``), a folder
            (read with its sub-folders), a glob, or a list of these. A name that exists is taken as it is, even if it
            holds brackets or stars.

    Raises:
        MriadError: if an entry matches nothing, or a scan is given two spacings.
    """
    found: dict[str, ScanFile] = {}
    for entry in wanted if isinstance(wanted, list | tuple | ListConfig) else [wanted]:
        if not str(entry).strip():
            raise MriadError("input is empty; give a file, a folder or a glob.")
        for scan in _named(str(entry)):
            known = found.setdefault(os.path.abspath(scan.path), scan)
            if known.spacing is None:
                found[os.path.abspath(scan.path)] = ScanFile(path=known.path, spacing=scan.spacing)
            elif scan.spacing not in (None, known.spacing):
                raise MriadError(
                    f"The input states two spacings for {scan.path}, {known.spacing} and {scan.spacing} mm; mend one."
                )
    if not found:
        raise MriadError("The list input=[] names no scan; give a file, a folder, a glob or a list of them.")
    return list(found.values())


def _named(entry: str) -> Iterable[ScanFile]:
    path = Path(entry).expanduser()
    if path.is_file():
        return _listed(path) if path.suffix.lower() == ".csv" else [ScanFile(path=path)]
    if path.is_dir():
        images = image_files(path)
        if not images:
            raise MriadError(
                f"There is no image in {path}; give a folder with {', '.join(sorted(IMAGE_SUFFIXES))} files."
            )
        return _scans_among(images, path, entry)
    matches = {os.path.abspath(name): Path(name) for name in sorted(glob.glob(str(path), recursive=True), reverse=True)}
    images = [match for match in sorted(matches.values()) if match.is_file() and match.suffix.lower() in IMAGE_SUFFIXES]
    if not images:
        raise MriadError(f"input={entry} matches no image; give a file, a folder or a glob that does.")
    plain = re.split(r"[*?\[]", str(path))[0]
    return _scans_among(images, Path(plain if plain.endswith(os.sep) else os.path.dirname(plain)), entry)


def _listed(manifest: Path) -> Iterator[ScanFile]:
    folder, records = listed_scans(manifest, required=("path",))
    for record in records:
        yield ScanFile(path=folder / record["path"], spacing=spacing_of(record.get("spacing", "")))


def _scans_among(images: list[Path], folder: Path, entry: str) -> list[ScanFile]:
    """The images that are scans, of those that were found in a folder."""
    masks = [image for image in images if _is_mask(image, folder)]
    maps = [image for image in images if _is_map(image)]
    if len(masks) == len(images):
        raise MriadError(
            f"Each of the {len(images)} images of input={entry} is a lesion mask by its name ({_MASKS}/ or {_MASK}): "
            "give the scans, or rename what is one."
        )
    if len(maps) == len(images):
        raise MriadError(f"Each of the {len(images)} images of input={entry} is a map of a prediction; give the scans.")
    if masks:
        log.warning("%d lesion masks, such as %s, are no scans and are left out.", len(masks), printable(str(masks[0])))
    if maps:
        log.warning(
            "%d maps of an earlier prediction, such as %s, are no scans and are left out.",
            len(maps),
            printable(str(maps[0])),
        )
    apart = {*masks, *maps}
    return [ScanFile(path=image) for image in images if image not in apart]


def _is_mask(image: Path, folder: Path) -> bool:
    start = os.path.dirname(os.path.abspath(folder))
    within = Path(os.path.relpath(os.path.dirname(os.path.abspath(image)), start)).parts
    return image.stem.lower().endswith(_MASK) or _MASKS in {part.lower() for part in within}


def _is_map(image: Path) -> bool:
    """Whether mriad has written an image: its table lies beside the folder of maps."""
    if not image.name.endswith((MAP_ENDING, OVERLAY_ENDING)):
        return False
    homes = [above.parent for above in image.absolute().parents if above.name == MAPS]
    return any((home / table).exists() for home in homes for table in (TABLE, UNFINISHED))
