"""The scans that a prediction is asked for, and what is known of them besides their levels."""

from __future__ import annotations

import glob
import os
import re
from collections.abc import Iterable, Sequence
from dataclasses import dataclass
from pathlib import Path

from omegaconf import ListConfig

from mriad.data.layouts.contrasts import of_contrast
from mriad.data.layouts.files import image_files
from mriad.data.layouts.manifest import listed_scans
from mriad.data.reading.decode import IMAGE_SUFFIXES
from mriad.errors import MriadError
from mriad.geometry import spacing_of
from mriad.pacs.address import is_address
from mriad.prediction.scan_files import ScanFile, scans_among


@dataclass(frozen=True, kw_only=True)
class Wanted:
    """What is looked for where an input names several things.

    Args:
        volumes: volumes, else pictures.
        series: which series of DICOM files, where there are several, see ``read_scan``.
        contrast: which contrast, where there are several, see ``of_contrast``; None for all, if no session has several.
        brains: whether brain masks of volumes are looked for, too.
        participants, sessions: which of a BIDS data set, as in '01' or 'sub-01'; None for all.
        fetched: folder that series of an archive are fetched into, each to one of its own.
        patience: seconds to wait for an archive that does not answer.
    """

    volumes: bool = False
    series: str | None = None
    contrast: str | Sequence[str] | None = None
    brains: bool = False
    participants: Sequence[str] | None = None
    sessions: Sequence[str] | None = None
    fetched: Path = Path(".fetched")
    patience: float = 300.0


def find_scans(named: str | Sequence[str], wanted: Wanted | None = None) -> list[ScanFile]:
    """Scans that an input names, each once, in the order in which they are named.

    Lesion masks, by the names that the layouts ``folder`` and ``volumes`` give them, and the maps of an earlier
    prediction are no scans: in folders and globs they are left out, and their number is told.

    Args:
        named: a scan, a CSV file that lists scans and may state what is known of them (see ``listed_scans``), a folder
            (read with its sub-folders), a glob, or a list of these. A name that exists is taken as it is, even if it
            holds brackets or stars. Of volumes a folder may be a BIDS data set, or a DICOM series or study; and an
            address (``dicomweb://...``) names series of an archive. Where volumes are looked for and there are
            pictures alone, these are taken.
        wanted: what is looked for; None for pictures.

    Raises:
        MriadError: if an entry matches nothing, it is not clear which contrast is meant, or a scan is given two
            spacings.
    """
    found: dict[tuple[str, str], ScanFile] = {}
    for entry in named if isinstance(named, list | tuple | ListConfig) else [named]:
        if not str(entry).strip():
            raise MriadError("input is empty; give a file, a folder or a glob.")
        for scan in _named(str(entry), wanted or Wanted()):
            key = os.path.abspath(scan.path), scan.series
            found[key] = scan.joined(found[key]) if key in found else scan
    if not found:
        raise MriadError("The list input=[] names no scan; give a file, a folder, a glob or a list of them.")
    return list(found.values())


def _named(entry: str, wanted: Wanted) -> Iterable[ScanFile]:
    if is_address(entry):
        from mriad.prediction import archive_inputs  # with requests, which files do without

        if not wanted.volumes:
            raise MriadError("A series of an archive is a volume, and the detector was trained on pictures.")
        return archive_inputs.in_archive(
            entry, wanted.series, wanted.contrast, folder=wanted.fetched, patience=wanted.patience
        )
    path = Path(entry).expanduser()
    if path.is_file() and path.suffix.lower() == ".csv":
        return _listed(path, wanted)
    if wanted.volumes and not _of_pictures(path):
        from mriad.prediction import volume_inputs  # with libraries that pictures do without

        if path.is_file():
            return [volume_inputs.of_file(path, wanted.series)]
        if path.is_dir():
            return volume_inputs.in_folder(
                path,
                wanted.series,
                wanted.contrast,
                brains=wanted.brains,
                participants=wanted.participants,
                sessions=wanted.sessions,
            )
        return volume_inputs.among(_matches(path), _start(path), wanted.series, wanted.contrast)
    if path.is_file():
        return [ScanFile(path=path)]
    if path.is_dir():
        images = image_files(path)
        if not images:
            raise MriadError(
                f"There is no image in {path}; give a folder with {', '.join(sorted(IMAGE_SUFFIXES))} files."
            )
        return [ScanFile(path=image) for image in scans_among(images, path, entry)]
    images = [match for match in _matches(path) if match.is_file() and match.suffix.lower() in IMAGE_SUFFIXES]
    if not images:
        raise MriadError(f"input={entry} matches no image; give a file, a folder or a glob that does.")
    return [ScanFile(path=image) for image in scans_among(images, _start(path), entry)]


def _of_pictures(path: Path) -> bool:
    """Whether a folder or a glob names pictures, and no volume."""
    if path.is_file():
        return False
    from mriad.data.layouts.files import volumes

    if path.is_dir():
        return not volumes(path) and bool(image_files(path))
    matches = _matches(path)
    return bool(matches) and all(match.suffix.lower() in IMAGE_SUFFIXES for match in matches)


def _matches(pattern: Path) -> list[Path]:
    names = sorted(glob.glob(str(pattern), recursive=True), reverse=True)
    return sorted({os.path.abspath(name): Path(name) for name in names}.values())


def _start(pattern: Path) -> Path:
    """The folder that all matches of a pattern lie in."""
    plain = re.split(r"[*?\[]", str(pattern))[0]
    return Path(plain if plain.endswith(os.sep) else os.path.dirname(plain))


def _listed(manifest: Path, wanted: Wanted) -> list[ScanFile]:
    folder, records = listed_scans(manifest, required=("path",))
    kept = records if wanted.contrast is None else _of_contrast(records, folder, wanted)
    return [
        ScanFile(
            path=folder / record["path"],
            spacing=spacing_of(record.get("spacing", "")),
            series=record.get("series", "") or (wanted.series or "" if (folder / record["path"]).is_dir() else ""),
            brain_mask=folder / record["brain_mask"] if record.get("brain_mask") else None,
            patient=record.get("patient", ""),
            contrast=record.get("contrast", ""),
        )
        for record in kept
    ]


def _of_contrast(records: list[dict[str, str]], folder: Path, wanted: Wanted) -> list[dict[str, str]]:
    known = [{"contrast": "", **record} for record in records]
    return [dict(record) for record in of_contrast(known, wanted.contrast, root=folder, option="contrast")]
