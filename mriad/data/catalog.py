"""The table of scans that every later step starts from."""

from __future__ import annotations

import hashlib
import logging
import os
from collections.abc import Iterable, Mapping
from dataclasses import dataclass, replace
from pathlib import Path

import pandas as pd

from mriad.data.reading.suffixes import partner_of, volume_suffix
from mriad.data.roles.identity import SAME
from mriad.errors import MriadError
from mriad.geometry import spacing_of
from mriad.tables import printable

log = logging.getLogger(__name__)

HEALTHY = "healthy"
UNNAMED = "anomaly"
"""Class of an anomalous scan of which no other is known."""

COLUMNS = {
    "path": "file of the scan or folder of its DICOM series, relative to the catalog's root or absolute, with forward "
    "slashes",
    "label": "0 healthy, 1 anomalous",
    "class": "'healthy', or the kind of anomaly",
    "mask": "file of the lesion mask, like path, or 'file.json#name' for outlines, '' for none; empty if healthy",
    "brain_mask": "file of the brain mask, like path, '' for none",
    "patient": "patient id, '' where unknown",
    "session": "examination of the patient, '' where there is but one or none is known",
    "plane": "axial, coronal, sagittal, or ''",
    "contrast": "T1, T1c, T2, FLAIR, ..., or ''",
    "spacing": "millimetres per pixel: one number, or 'row x column' as in '0.5 x 0.6'; '' where unknown",
    "series": "which part of the path is the scan, where it holds several: a DICOM series, a colour channel; else ''",
    "pool": "'labelled' where a random split may put a scan into nothing but the labelled pool, else ''",
}

_KNOWN_BY_COPIES = {
    "mask": "",
    "brain_mask": "",
    "class": UNNAMED,
    "session": "",
    "plane": "",
    "contrast": "",
    "spacing": "",
}
"""What copies of a file may know better, and the value that says nothing."""

_PARTNERS = {
    ".hdr": (".img", ".img.gz"),
    ".hdr.gz": (".img.gz",),
    ".img": (".hdr",),
    ".img.gz": (".hdr", ".hdr.gz"),
    ".mhd": (".raw", ".zraw"),
    ".nhdr": (".raw", ".raw.gz"),
}
"""Where the other half of a volume in two files lies."""

LEGAL = {"plane": ("", "axial", "coronal", "sagittal"), "pool": ("", "labelled")}


@dataclass(frozen=True, kw_only=True, eq=False)
class Catalog:
    """Who each scan is: one row per scan, no pixels.

    Args:
        root: folder that the paths in the table start from.
        table: one row per scan, with the columns of ``COLUMNS``, sorted by path, index 0..n-1.
    """

    root: Path
    table: pd.DataFrame

    @classmethod
    def from_records(cls, records: Iterable[Mapping[str, object]], *, root: Path) -> Catalog:
        """Build a catalog from one mapping per scan; ``path`` and ``label`` are required.

        A missing class is 'healthy' for label 0 and 'anomaly' for label 1; every other missing column is ''.
        Keys that are not in ``COLUMNS`` are left out.

        Raises:
            MriadError: if there is no scan, or one has no path, a path that another one has, a label other
                than 0 and 1, a class that contradicts its label, a mask that is a scan itself, a brain mask, or that of
                another patient or session, a spacing that is none, or an unknown plane or pool.
        """
        records = list(records)
        for path in (str(record.get("path", "")) for record in records):
            if printable(path) != path:
                raise MriadError(f"{printable(path)} in {root} has a name that is no UTF-8; rename it.")
        table = pd.DataFrame(records)
        if table.empty:
            raise MriadError(f"There are no scans in {root}; point data.root at a folder that holds some.")
        for column in ("path", "label"):
            if column not in table:
                raise MriadError(f"The scans of {root} have no column '{column}'; a catalog needs path and label.")
        labels = pd.to_numeric(table["label"], errors="coerce")
        for column in COLUMNS.keys() - {"label"}:
            values = table[column] if column in table else pd.Series("", table.index)
            table[column] = values.fillna("").astype(str)
        for column in ("path", "mask", "brain_mask"):
            table[column] = table[column].str.replace("\\", "/")
        for column in ("patient", "session"):
            table[column] = table[column].str.strip()
        natural_class = labels.map({0: HEALTHY, 1: UNNAMED})
        table["class"] = table["class"].where(table["class"] != "", natural_class)

        def place(file: str) -> str:
            return os.path.normpath(root / file)

        masks, brains = (table[name][table[name] != ""].map(place) for name in ("mask", "brain_mask"))
        places = table["path"].map(place)
        faults = {
            "has no path; name its file": table["path"] == "",
            "stands twice; list each scan once": table["path"].duplicated(),
            "has a label other than 0 (healthy) and 1 (anomalous); mend it": ~labels.isin([0, 1]),
            "is healthy by its label or by its class but not by both; mend one of the two": (
                (labels == 0) != (table["class"] == HEALTHY)
            ),
            "stands as a mask too; give that scan a mask of its own": places.isin(masks) | places.isin(brains),
            "has one file as its lesion mask and as its brain mask; mend one of the two": (
                (table["mask"] != "") & (table["mask"] == table["brain_mask"])
            ),
        }
        no_spacing = (table["spacing"] != "") & table["spacing"].map(spacing_of).isna()
        faults["has a spacing that is none; use millimetres per pixel, as in 0.5 or 0.5 x 0.6"] = no_spacing
        for column, legal in LEGAL.items():
            words = ", ".join(word for word in legal if word)
            faults[f"has an unknown {column}; use {words} or leave it empty"] = ~table[column].isin(legal)
        for fault, rows in faults.items():
            for row, path in table["path"][rows][:1].items():
                raise MriadError(f"{path or f'Scan number {row}'} in {root} {fault}.")
        _refuse_masks_of_others(table, masks, root)
        table = table.assign(label=labels.astype(int))[list(COLUMNS)]
        return cls(root=Path(root), table=table.sort_values("path", ignore_index=True))

    def __len__(self) -> int:
        return len(self.table)

    def files(self) -> list[Path]:
        """Absolute path of each scan, in the table's order."""
        return [self.root / path for path in self.table["path"]]

    def with_content(self) -> Catalog:
        """The same catalog with a column ``content``: a hash of each scan's bytes, '' if unreadable."""
        return replace(self, table=self.table.assign(content=[content_hash(file) for file in self.files()]))

    def with_persons(self) -> Catalog:
        """The same catalog with what its files say of its patients, before any of them is left out.

        One picture is of one person: patients who share a file of identical content are one, and all their scans get
        the ids of both, as in 'P1 = P7', with a warning. A copy without a patient id gets that of the others. A column
        ``diseased`` says whether a scan's patient has an anomalous scan anywhere, be it broken or left out later.
        """
        table = self.table if "content" in self.table else self.with_content().table
        patient = _joined_patients(table)
        known = (table["content"] != "") & (patient == "")
        of_content = patient[patient != ""].groupby(table["content"]).first()
        patient = patient.where(~known, table["content"].map(of_content).fillna(""))
        sick = patient[(table["label"] == 1) & (patient != "")]
        return replace(self, table=table.assign(patient=patient, diseased=patient.isin(sick)))

    def without_identical_files(self) -> Catalog:
        """Keep one row per file content: one with a mask, outside the labelled pool, first by path.

        It gets what only its copies know: its patient (see ``with_persons``), mask, plane, contrast, spacing, and a
        class where its own is but 'anomaly'. Where they contradict each other, a warning says so. Files that stand
        under both labels contradict themselves: all their rows go, with a warning.
        """
        table = self.table if "diseased" in self.table else self.with_persons().table
        known = table[table["content"] != ""]
        contradictory = known.groupby("content")["label"].transform("nunique") > 1
        if contradictory.any():
            paths = list(known["path"][contradictory])
            log.warning(
                "%d files are identical to one of the other label and are left out: %s%s",
                len(paths),
                ", ".join(paths[:10]),
                ", ..." if len(paths) > 10 else "",
            )
        known = known[~contradictory]
        preferred = known.assign(no_mask=known["mask"] == "").sort_values(["no_mask", "pool", "path"])
        preferred = preferred.drop(columns="no_mask")
        unique = preferred.drop_duplicates("content")
        if copies := len(known) - len(unique):
            log.info("%d of %d files are copies of another and count once.", copies, len(table))
            unique = self._completed(unique, preferred[preferred["content"].duplicated(keep=False)])
        kept = pd.concat([unique, table[table["content"] == ""]])
        return replace(self, table=kept.sort_values("path", ignore_index=True))

    def _completed(self, unique: pd.DataFrame, copies: pd.DataFrame) -> pd.DataFrame:
        """The rows that are kept, their gaps filled from ``copies``, all rows of a content, the preferred first."""
        for column, gap in _KNOWN_BY_COPIES.items():
            said = copies[copies[column] != gap].drop_duplicates(["content", column])
            first = said.drop_duplicates("content").set_index("content")
            found = unique["content"].map(first[column])
            unique = unique.assign(**{column: found.fillna(unique[column])})
            others = said[said["content"].duplicated()]
            if column == "mask":  # a copy of a scan may come with a copy of its mask
                masks = [others["mask"], others["content"].map(first["mask"])]
                differ = masks[0].map(self._identity_of_mask) != masks[1].map(self._identity_of_mask)
                others = others[differ]
            if not others.empty:
                content, path, value = others[["content", "path", column]].iloc[0]
                log.warning(
                    "%d files have a copy with another %s, which is not used: "
                    "'%s' of %s is, and not '%s' of its copy %s.",
                    others["content"].nunique(),
                    column,
                    *first.loc[content, [column, "path"]],
                    value,
                    path,
                )
        return unique

    def _identity_of_mask(self, mask: str) -> str:
        return content_hash(self.root / mask) or mask  # outlines are part of a file


def content_hash(path: Path) -> str:
    """Hash of a scan's bytes as 32 hex digits; '' if it cannot be read.

    That of a folder, or of a file whose pixels lie in another one, is made of the hashes of all of its files, sorted by
    themselves: names do not matter.
    """
    try:
        if path.is_dir():
            parts = [file for file in path.rglob("*") if file.is_file() and not file.name.startswith(".")]
        else:
            parts = [path, *_beside(path)]
        hashes = sorted(map(_hash_of_file, parts))
    except OSError:
        return ""
    if len(hashes) < 2 and not path.is_dir():
        return hashes[0]
    return hashlib.blake2b("".join(hashes).encode(), digest_size=16).hexdigest() if hashes else ""


def _beside(file: Path) -> list[Path]:
    """The other files of a scan that is kept in several: voxels apart from their header."""
    partners = (partner_of(file, suffix) for suffix in _PARTNERS.get(volume_suffix(file), ()))
    return [partner for partner in partners if partner is not None]


def _hash_of_file(file: Path) -> str:
    with file.open("rb") as stream:
        return hashlib.file_digest(stream, lambda: hashlib.blake2b(digest_size=16)).hexdigest()


def _refuse_masks_of_others(table: pd.DataFrame, masks: pd.Series, root: Path) -> None:
    """See that a mask serves one scan, or several of one patient in one session, which lie in one space."""
    examination = table.loc[masks.index, "patient"] + "\0" + table.loc[masks.index, "session"]
    unknown = table.loc[masks.index, "patient"] == ""
    examination = examination.where(~unknown, table.loc[masks.index, "path"])
    shared = examination.groupby(masks).transform("nunique") > 1
    if not shared.any():
        return
    first = masks[shared].index[0]
    of_first = examination[masks == masks[first]].drop_duplicates()
    one, other = table["path"][of_first.index[:2]]
    raise MriadError(
        f"{one} and {other} in {root} have one mask, {table['mask'][first]}; a mask serves one scan, or "
        "several of one patient and session: give each its own, or a copy where both are meant."
    )


def _joined_patients(table: pd.DataFrame) -> pd.Series:
    """Patient ids, those of patients who share a file's content put together."""
    known = table[(table["content"] != "") & (table["patient"] != "")].drop_duplicates(["content", "patient"])
    shared = known[known["content"].duplicated(keep=False)]
    same: dict[str, set[str]] = {}
    for _, patients in shared.groupby("content")["patient"]:
        one = set().union(*({patient} | same.get(patient, set()) for patient in patients))
        same |= dict.fromkeys(one, one)
    if not same:
        return table["patient"]
    first = shared[shared["content"] == shared["content"].iat[0]]
    log.warning(
        "%d patients share a file of identical content with another and count as one person with them: "
        "%s is of %s, its copy %s of %s.",
        len(same),
        *first[["path", "patient"]].iloc[0],
        *first[["path", "patient"]].iloc[1],
    )
    names = {patient: SAME.join(sorted(one)) for patient, one in same.items()}
    return table["patient"].map(lambda patient: names.get(patient, patient))
