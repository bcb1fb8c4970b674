"""The table of scans that every later step starts from."""

from __future__ import annotations

import hashlib
import logging
from collections.abc import Iterable, Mapping
from dataclasses import dataclass, replace
from pathlib import Path

import pandas as pd

from mriad.errors import MriadError

log = logging.getLogger(__name__)

HEALTHY = "healthy"

COLUMNS = {
    "path": "file of the scan, relative to the catalog's root, with forward slashes",
    "label": "0 healthy, 1 anomalous",
    "class": "'healthy', or the kind of anomaly",
    "mask": "file of the lesion mask relative to root, 'file.json#key' for outlines, '' for none",
    "patient": "patient id, '' where unknown",
    "plane": "axial, coronal, sagittal, or ''",
    "contrast": "T1, T1c, T2, FLAIR, ..., or ''",
    "pool": "'labelled' where a scan may fill nothing but the labelled pool, else ''",
}


@dataclass(frozen=True, kw_only=True)
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

        Raises:
            MriadError: if a row has no path, a label other than 0 and 1, a healthy row has a mask,
                or a path stands twice.
        """
        table = pd.DataFrame(list(records))
        for column in ("path", "label"):
            if column not in table:
                raise MriadError(
                    f"The scans of {root} have no column '{column}'; a catalog needs path and label."
                )
        labels = pd.to_numeric(table["label"], errors="coerce")
        for path in table["path"][~labels.isin([0, 1])][:1]:
            raise MriadError(f"{path} in {root} has a label other than 0 (healthy) and 1 (anomalous); mend it.")
        table["label"] = labels.astype(int)
        default_class = table["label"].map({0: HEALTHY, 1: "anomaly"})
        classes = table["class"].fillna("").astype(str) if "class" in table else pd.Series("", table.index)
        table["class"] = classes.where(classes != "", default_class)
        for column in COLUMNS.keys() - {"label", "class"}:
            values = table[column] if column in table else pd.Series("", table.index)
            table[column] = values.fillna("").astype(str)
        table["path"] = table["path"].str.replace("\\", "/")
        for path in table["path"][table["path"].duplicated()][:1]:
            raise MriadError(f"{path} stands twice among the scans of {root}; list each scan once.")
        for path in table["path"][(table["label"] == 0) & (table["mask"] != "")][:1]:
            raise MriadError(f"{path} in {root} is labelled healthy but has a lesion mask; mend one of the two.")
        table = table[list(COLUMNS)].sort_values("path", ignore_index=True)
        return cls(root=Path(root), table=table)

    def __len__(self) -> int:
        return len(self.table)

    def files(self) -> list[Path]:
        """Absolute path of each scan, in the table's order."""
        return [self.root / path for path in self.table["path"]]

    def with_content(self) -> Catalog:
        """The same catalog with a column ``content``: a hash of each file's bytes ('' if it cannot be read)."""
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
                "%d files are identical but labelled both healthy and anomalous; left out: %s",
                len(paths),
                ", ".join(paths),
            )
        known = known[~contradictory]
        order = known.assign(no_mask=known["mask"] == "").sort_values(["no_mask", "pool", "path"])
        kept = pd.concat([order.drop_duplicates("content")[table.columns], table[table["content"] == ""]])
        if dropped := len(known) - len(order.drop_duplicates("content")):
            log.info("%d of %d files are copies of another and count once.", dropped, len(table))
        return replace(self, table=kept.sort_values("path", ignore_index=True))


def content_hash(file: Path) -> str:
    """Hash of a file's bytes as 32 hex digits; '' if the file cannot be read."""
    try:
        return hashlib.blake2b(file.read_bytes(), digest_size=16).hexdigest()
    except OSError:
        return ""
