"""Data sets in the Brain Imaging Data Structure (Gorgolewski 2016, Sci Data 3:160044)."""

from __future__ import annotations

import logging
from collections import Counter
from collections.abc import Collection, Mapping, Sequence
from pathlib import Path, PurePosixPath
from typing import Any

from mriad.data.catalog import HEALTHY, UNNAMED, Catalog
from mriad.data.layouts.bids_names import BidsName, mask_of
from mriad.data.layouts.contrasts import of_contrast
from mriad.data.layouts.files import data_folder, volume_files
from mriad.data.reading.delimited import read_delimited
from mriad.errors import MriadError

log = logging.getLogger(__name__)

_USUAL = {"group": "control"}
_APART = ("derivatives", "sourcedata", "code", "stimuli")  # folders that hold no raw scans
_UNKNOWN = ("", "n/a")


def bids(
    *,
    root: str | Path | None,
    download: bool = False,
    healthy: Mapping[str, str | int | Sequence[str | int]] | str | None = None,
    derivatives: str | Sequence[str] | None = None,
    entities: Mapping[str, str | None] | None = None,
    contrast: str | Sequence[str] | None = None,
) -> Catalog:
    """Catalog of the structural and diffusion scans of a BIDS data set: ``sub-*/[ses-*/]anat/*_T1w.nii.gz`` ...

    Masks are found by their names, below ``derivatives/`` or beside the scans: ``*_label-lesion_mask``,
    ``*_desc-lesion_mask`` and ``*_mask`` are of lesions, ``*_desc-brain_mask`` of the brain. A mask is of the scans of
    its session that have all entities of its name; one that names a contrast, as in ``*_space-T1w_label-lesion_mask``,
    is of that one. Runs and acquisitions are scans of their own. Participants of whom nothing is said are left out,
    with a warning.

    Args:
        root: the folder with ``sub-*/``, or with ``rawdata/`` and ``derivatives/``.
        download: not used, there is nothing to fetch.
        healthy: who is healthy by ``participants.tsv``, as in ``{"group": "control"}``, which is what None means; of
            several values or columns as in ``{"group": ["HC", "control"]}``; or 'all' or 'none'. The class of the
            others is what the first column says of them.
        derivatives: names of the folders in ``derivatives/`` that masks are taken from; None takes all.
        entities: what the name of a scan must have, as in ``{"acq": "highres", "run": "1"}``; None asks that there is
            no such entity.
        contrast: which scans to take, as in 'T1w', see ``of_contrast``.

    Raises:
        MriadError: if there is no such folder, no scan, no word on who is healthy, several masks for a scan, or it is
            not clear which contrast is meant.
    """
    start = data_folder(root, holds="a folder with sub-*/ in it")
    records = bids_scans(start, derivatives=derivatives, entities=entities, contrast=contrast)
    classes = _classes(start, healthy, {record["patient"] for record in records})
    if unknown := {record["patient"] for record in records} - classes.keys():
        log.warning(
            "participants.tsv does not say of %d participants in %s whether they are healthy, for example of %s; they "
            "are left out.",
            len(unknown), start, min(unknown),
        )  # fmt: skip
    known = [
        record | {"class": classes[record["patient"]], "label": int(classes[record["patient"]] != HEALTHY)}
        for record in records
        if record["patient"] in classes
    ]
    return Catalog.from_records(known, root=start)


def bids_scans(
    start: Path,
    *,
    derivatives: str | Sequence[str] | None = None,
    entities: Mapping[str, str | None] | None = None,
    contrast: str | Sequence[str] | None = None,
    apart: Collection[str] = _APART,
    lesions: bool = True,
    brains: bool = True,
    option: str = "data.contrast",
) -> list[dict[str, Any]]:
    """One record per scan below a folder, without label and class; see ``bids`` for what is taken.

    Args:
        start: the folder.
        derivatives, entities, contrast: as ``bids`` has them.
        apart: names of folders in which no scans are looked for, but masks are.
        lesions, brains: whether masks of them are looked for.
        option: what chooses the contrast, for what is said.

    Raises:
        MriadError: if there is no scan, one has several masks, or it is not clear which contrast is meant.
    """
    paths = [PurePosixPath(file.relative_to(start).as_posix()) for file in volume_files(start)]
    names = [name for path in paths if (name := BidsName.of(path)) is not None]
    scans = [name for name in names if name.contrast and not set(name.path.parts) & set(apart)]
    if not scans:
        raise MriadError(f"No scans found in {start}: expected some like sub-01/anat/sub-01_T1w.nii.gz below it.")
    for key, value in (entities or {}).items():
        scans = [scan for scan in scans if scan.entities.get(key) == (None if value is None else str(value))]
        if not scans:
            raise MriadError(f"No scan in {start} has data.layout.entities={{{key}: {value}}} in its name; mend it.")
    of_lesions = [name for name in names if lesions and name.is_lesion_mask and _is_from(name.path, derivatives)]
    of_brains = [name for name in names if brains and name.is_brain_mask and _is_from(name.path, derivatives)]
    if stray := [mask for mask in of_lesions if not any(mask.fits(scan) for scan in scans)]:
        log.warning(
            "%d of %d lesion masks in %s belong to no scan, for example %s; a mask has the entities of its scan.",
            len(stray), len(of_lesions), start, stray[0].path,
        )  # fmt: skip
    records = [
        {
            "path": str(scan.path),
            "patient": scan.patient,
            "session": scan.session,
            "contrast": scan.contrast,
            "name": scan,
        }
        for scan in scans
    ]
    return [
        {**record, "mask": mask_of(record["name"], of_lesions), "brain_mask": mask_of(record["name"], of_brains)}
        for record in of_contrast(records, contrast, root=start, option=option)
    ]


def _is_from(path: PurePosixPath, derivatives: str | Sequence[str] | None) -> bool:
    """Whether a mask lies in one of these folders of ``derivatives/``, or outside of it."""
    if derivatives is None or "derivatives" not in path.parts:
        return True
    named = [derivatives] if isinstance(derivatives, str) else derivatives
    return path.parts[path.parts.index("derivatives") + 1] in named


def _classes(
    start: Path, healthy: Mapping[str, str | int | Sequence[str | int]] | str | None, patients: Collection[str]
) -> dict[str, str]:
    """Class of each participant of whom it is known."""
    if isinstance(healthy, str):
        if healthy not in ("all", "none"):
            raise MriadError(
                f"data.layout.healthy={healthy} says nothing of who is healthy; name a column of participants.tsv and "
                f"its value, as in data.layout.healthy={{group: {healthy}}}, or say all or none."
            )
        return dict.fromkeys(patients, HEALTHY if healthy == "all" else UNNAMED)
    wanted = {
        column: {str(value).casefold() for value in ([values] if isinstance(values, str | int) else values)}
        for column, values in (healthy or _USUAL).items()
    }
    columns = ("participant_id", *wanted)
    file = next((place for place in (start, start / "rawdata") if (place / "participants.tsv").is_file()), start)
    file = file / "participants.tsv"
    try:
        table = read_delimited(file, columns)
    except (OSError, ValueError) as error:
        raise MriadError(
            f"{file} cannot be read ({error}), so that nobody is known to be healthy; set data.layout.healthy=all or "
            "none, or mend it."
        ) from error
    rows = [dict(zip(table.header, row, strict=False)) for _, row in table.rows]
    for column in columns:
        if column not in table.header:
            raise MriadError(
                f"{file} has no column {column}, only {', '.join(table.header)}; say who is healthy, as in "
                "data.layout.healthy={group: control}, or all or none."
            )
    first = next(iter(wanted))
    told = [row for row in rows if all(row.get(column, "").casefold() not in _UNKNOWN for column in columns)]
    is_healthy = [all(row[column].casefold() in wanted[column] for column in wanted) for row in told]
    if told and not any(is_healthy):
        listed = ", ".join(f"{value} ({count})" for value, count in sorted(Counter(row[first] for row in told).items()))
        raise MriadError(
            f"No participant in {file} is healthy by data.layout.healthy={{{first}: "
            f"{' or '.join(sorted(wanted[first]))}}}; {first} is {listed}: choose one of these, or none."
        )
    return {
        _with_prefix(row["participant_id"]): HEALTHY if well else _kind(row[first])
        for row, well in zip(told, is_healthy, strict=True)
    }


def _kind(value: str) -> str:
    return value if value.casefold() != HEALTHY else UNNAMED


def _with_prefix(participant: str) -> str:
    return participant if participant.startswith("sub-") else f"sub-{participant}"
