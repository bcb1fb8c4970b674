"""Volumes among files and folders: NIfTI and its like, BIDS data sets, DICOM series and studies."""

from __future__ import annotations

import logging
import os
from collections import defaultdict
from collections.abc import Iterable, Sequence
from pathlib import Path, PurePosixPath
from typing import Any

from mriad.data.layouts.bids import bids_scans
from mriad.data.layouts.bids_names import BidsName
from mriad.data.layouts.contrasts import contrast_in, of_contrast
from mriad.data.layouts.files import volumes
from mriad.data.layouts.pairing import pair_masks
from mriad.data.reading.suffixes import VOLUME_SUFFIXES, is_dicom, is_volume, stem, volume_suffix
from mriad.errors import MriadError
from mriad.prediction.scan_files import ScanFile, scans_among

log = logging.getLogger(__name__)

Contrast = str | Sequence[str] | None

_BRAINS = "brain_masks"  # as the layout ``volumes`` calls it
_KINDS = f"{', '.join(sorted(VOLUME_SUFFIXES))} or DICOM files"


def of_file(path: Path, series: str | None) -> ScanFile:
    """A file as a scan; one slice of a DICOM series stands for the series that lies in its folder."""
    if volume_suffix(path) or not is_dicom(path):
        return ScanFile(path=path, contrast=_contrast(path))
    from mriad.data.reading.dicom.frames import frames_of  # with pydicom, which other files do without

    frames = frames_of(path)
    uid = frames[0].facts.series_uid if frames else ""
    if len(frames) == 1 and uid and any(is_dicom(other) for other in _files_beside(path)):
        log.info("%s is a slice; the series that it belongs to is read from its folder.", path)
        return ScanFile(path=path.parent, series=series or uid)
    return ScanFile(path=path, series=series or "")


def in_folder(
    folder: Path,
    series: str | None,
    contrast: Contrast,
    *,
    brains: bool,
    participants: Sequence[str] | None = None,
    sessions: Sequence[str] | None = None,
) -> list[ScanFile]:
    """The scans below a folder: those of a BIDS data set, or all volumes, the DICOM files of a study as one.

    Raises:
        MriadError: if there is none, one who is asked for is not there, or it is not clear which contrast is meant.
    """
    found = volumes(folder)
    if not found:
        raise MriadError(f"There is neither volume nor picture in {folder}; give a folder with {_KINDS}.")
    if _is_bids(found):
        records = bids_scans(folder, contrast=contrast, lesions=False, brains=brains, option="contrast")
        records = _asked_for(records, "patient", "sub-", participants, folder)
        records = _asked_for(records, "session", "ses-", sessions, folder)
        return [
            ScanFile(
                path=folder / record["path"],
                brain_mask=folder / record["brain_mask"] if record["brain_mask"] else None,
                patient=record["patient"],
                contrast=record["contrast"],
                bids=_root(folder / record["path"], record["patient"]),
            )
            for record in records
        ]
    if participants is not None or sessions is not None:
        raise MriadError(f"{folder} is no BIDS data set, of which participants or sessions could be chosen.")
    kept = scans_among(_with_studies(found), folder, str(folder), kind="volumes")
    brain_of = _brain_masks(folder, kept, found) if brains else {}
    return [
        ScanFile(
            path=path,
            series=series or "" if path.is_dir() else "",
            brain_mask=brain_of.get(path),
            contrast=_contrast(path),
        )
        for path in _of_contrast(kept, contrast, folder)
    ]


def _asked_for(
    records: list[dict[str, Any]], column: str, prefix: str, asked: Sequence[str] | None, folder: Path
) -> list[dict[str, Any]]:
    """The records of those who are asked for, each with its prefix or without."""
    if asked is None:
        return records
    wanted = {f"{prefix}{str(one).removeprefix(prefix)}" for one in asked}
    known = {record[column] for record in records} - {""}
    if missing := sorted(wanted - known):
        there = ", ".join(sorted(known)[:10]) + (", ..." if len(known) > 10 else "")
        raise MriadError(f"There is no scan of {', '.join(missing)} in {folder}; there are {there or 'none'}.")
    return [record for record in records if record[column] in wanted]


def among(matches: Iterable[Path], folder: Path, series: str | None, contrast: Contrast) -> list[ScanFile]:
    """The scans among what a glob matches, DICOM files as the folders that they lie in.

    Raises:
        MriadError: if there is none.
    """
    found = dict.fromkeys(
        match.parent if match.is_file() and not volume_suffix(match) else match
        for match in matches
        if (match.is_file() and is_volume(match)) or (match.is_dir() and any(map(is_dicom, _files_in(match))))
    )
    if not found:
        raise MriadError(f"The glob of the input matches no volume in {folder}; give one that matches {_KINDS}.")
    kept = scans_among(list(found), folder, f"{folder}/*", kind="volumes")
    if contrast is not None:
        kept = _of_contrast(kept, contrast, folder)
    return [
        ScanFile(path=path, series=series or "" if path.is_dir() else "", contrast=_contrast(path)) for path in kept
    ]


def _is_bids(found: Sequence[Path]) -> bool:
    """Whether volumes are called and kept as BIDS has it: ``sub-01_T1w.nii.gz`` somewhere below ``sub-01/``."""
    for path in found:
        name = BidsName.of(PurePosixPath(path.name))
        if name is not None and name.contrast and name.patient in path.absolute().parts:
            return True
    return False


def _root(path: Path, patient: str) -> Path | None:
    """The folder that the one of a patient lies in."""
    return next((above.parent for above in Path(os.path.abspath(path)).parents if above.name == patient), None)


def _with_studies(found: Sequence[Path]) -> list[Path]:
    """The same, but for folders of one DICOM study: the folder that holds them all, if it holds nothing else."""
    studies: defaultdict[str, list[Path]] = defaultdict(list)
    for path in found:
        if path.is_dir():
            studies[_study(path) or str(path)].append(path)
    kept = [path for path in found if path.is_file()]
    for folders in studies.values():
        common = Path(os.path.commonpath(folders))
        others = [path for path in found if path.is_dir() and path not in folders and path.is_relative_to(common)]
        kept += folders if others else [common]
    return sorted(kept)


def _study(folder: Path) -> str:
    """The study that the first DICOM image in a folder belongs to, '' if none says so."""
    from mriad.data.reading.dicom.frames import frames_of

    for file in _files_in(folder):
        if is_dicom(file):
            try:
                frames = frames_of(file)
            except MriadError:  # which is told when the scan is read
                continue
            if frames:
                return frames[0].facts.study
    return ""


def _brain_masks(folder: Path, scans: Sequence[Path], found: Sequence[Path]) -> dict[Path, Path]:
    """Brain mask of each scan that has one below ``brain_masks/``, under its own path."""
    paths = {PurePosixPath(scan.relative_to(folder).as_posix()): scan for scan in scans if scan != folder}
    below = [PurePosixPath(path.relative_to(folder).as_posix()) for path in found if path != folder]
    masks = {path: path.relative_to(path.parts[0]) for path in below if path.parts[0].lower() == _BRAINS}
    return {paths[PurePosixPath(scan)]: folder / mask for scan, mask in pair_masks(paths, masks).items()}


def _of_contrast(scans: Sequence[Path], contrast: Contrast, folder: Path) -> list[Path]:
    """The scans of a contrast, as the layout ``volumes`` knows them by their names."""
    records = []
    for path in scans:
        known, rest = contrast_in(path.name if path.is_dir() else stem(path))
        records.append({"path": path, "contrast": known, "patient": str(path.parent / rest)})
    return [record["path"] for record in of_contrast(records, contrast, root=folder, option="contrast")]


def _contrast(path: Path) -> str:
    return contrast_in(path.name if path.is_dir() else stem(path))[0]


def _files_in(folder: Path) -> list[Path]:
    return sorted(path for path in folder.iterdir() if path.is_file() and not path.name.startswith("."))


def _files_beside(path: Path) -> list[Path]:
    return [other for other in _files_in(path.parent) if other != path]
