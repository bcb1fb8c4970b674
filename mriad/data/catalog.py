"""The table of scans that every later step starts from."""

from __future__ import annotations

import hashlib
import logging
import re
from collections.abc import Iterable, Mapping
from dataclasses import dataclass, replace
from pathlib import Path

import pandas as pd

from mriad.errors import MriadError
from mriad.tables import printable

log = logging.getLogger(__name__)

HEALTHY = "healthy"

COLUMNS = {
    "path": "file of the scan, relative to the catalog's root or absolute, with forward slashes",
    "label": "0 healthy, 1 anomalous",
    "class": "'healthy', or the kind of anomaly",
    "mask": "file of the lesion mask, like path, or 'file.json#name' for outlines, '' for none",
    "patient": "patient id, '' where unknown",
    "plane": "axial, coronal, sagittal, or ''",
    "contrast": "T1, T1c, T2, FLAIR, ..., or ''",
    "spacing": "millimetres per pixel: one number, or 'row x column' as in '0.5 x 0.6'; '' where unknown",
    "pool": "'labelled' where a random split may put a scan into nothing but the labelled pool, else ''",
}

SPACING = re.compile(r"(?P<row>\d*\.?\d+)(?:\s*x\s*(?P<column>\d*\.?\d+))?")

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
                than 0 and 1, a class that contradicts its label, a mask though healthy, a spacing that is none, or an
                unknown plane or pool.
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
        for column in ("path", "mask"):
            table[column] = table[column].str.replace("\\", "/")
        natural_class = labels.map({0: HEALTHY, 1: "anomaly"})
        table["class"] = table["class"].where(table["class"] != "", natural_class)

        faults = {
            "has no path; name its file": table["path"] == "",
            "stands twice; list each scan once": table["path"].duplicated(),
            "has a label other than 0 (healthy) and 1 (anomalous); mend it": ~labels.isin([0, 1]),
            "is healthy by its label or by its class but not by both; mend one of the two": (
                (labels == 0) != (table["class"] == HEALTHY)
            ),
            "is labelled healthy but has a lesion mask; mend one of the two": ((labels == 0) & (table["mask"] != "")),
        }
        no_spacing = (table["spacing"] != "") & table["spacing"].map(spacing_of).isna()
        faults["has a spacing that is none; use millimetres per pixel, as in 0.5 or 0.5 x 0.6"] = no_spacing
        for column, legal in LEGAL.items():
            words = ", ".join(word for word in legal if word)
            faults[f"has an unknown {column}; use {words} or leave it empty"] = ~table[column].isin(legal)
        for fault, rows in faults.items():
            for row, path in table["path"][rows][:1].items():
                raise MriadError(f"{path or f'Scan number {row}'} in {root} {fault}.")
        table = table.assign(label=labels.astype(int))[list(COLUMNS)]
        return cls(root=Path(root), table=table.sort_values("path", ignore_index=True))

    def __len__(self) -> int:
        return len(self.table)

    def files(self) -> list[Path]:
        """Absolute path of each scan, in the table's order."""
        return [self.root / path for path in self.table["path"]]

    def with_content(self) -> Catalog:
        """The same catalog with a column ``content``: a hash of each file's bytes, '' if unreadable."""
        return replace(self, table=self.table.assign(content=[content_hash(file) for file in self.files()]))

    def without_identical_files(self) -> Catalog:
        """Keep one row per file content: one with a mask, outside the labelled pool, first by path.

        Files that stand under both labels contradict themselves: all their rows go, with a warning.
        """
        table = self.table if "content" in self.table else self.with_content().table
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
        unique = known.loc[preferred.drop_duplicates("content").index]
        if copies := len(known) - len(unique):
            log.info("%d of %d files are copies of another and count once.", copies, len(table))
        kept = pd.concat([unique, table[table["content"] == ""]])
        return replace(self, table=kept.sort_values("path", ignore_index=True))


def spacing_of(text: str) -> tuple[float, float] | None:
    """Millimetres per pixel, (row, column), that the column ``spacing`` states; None if it states none."""
    found = SPACING.fullmatch(text.strip())
    if found is None:
        return None
    row = float(found["row"])
    column = float(found["column"] or row)
    return (row, column) if row > 0 and column > 0 else None


def content_hash(file: Path) -> str:
    """Hash of a file's bytes as 32 hex digits; '' if the file cannot be read."""
    try:
        with file.open("rb") as stream:
            return hashlib.file_digest(stream, lambda: hashlib.blake2b(digest_size=16)).hexdigest()
    except OSError:
        return ""
