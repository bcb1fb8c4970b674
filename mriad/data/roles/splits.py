"""Who trains, who validates, who is tested: roles drawn by group, independent of model, threshold and seed."""

from __future__ import annotations

import csv
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any, Protocol

import numpy as np
import pandas as pd

from mriad.data.reading.delimited import read_delimited
from mriad.data.roles import ROLES
from mriad.data.roles.grouping import (
    BITS,
    MIRRORED,
    Grouping,
    View,
    facts_of,
    groups,
)
from mriad.data.roles.lots import pool_groups, spread
from mriad.data.roles.recorded import RecordedSplit
from mriad.errors import MriadError
from mriad.tables import unguarded

HELD_OUT_BY = ("contrast", "plane")


class Split(Protocol):
    """Gives each scan its role."""

    @property
    def published(self) -> bool:
        """Whether the split repeats a published protocol and may break the rules that ``check`` holds."""
        ...

    def __call__(self, table: pd.DataFrame) -> pd.DataFrame:
        """Draw the roles.

        Args:
            table: a catalog's rows, index 0..n-1; a column ``group`` says what is known to belong together, see
                ``mriad.data.roles.grouping.facts_of``.

        Returns:
            One row per scan and role: ``row`` (index into ``table``), ``group`` and ``role`` (one of ``ROLES``).
            A scan that is dropped has no row. Groups are what intervals draw whole: what is known to belong together,
            and what the split besides says so of.
        """
        ...


@dataclass(frozen=True, kw_only=True)
class GroupedSplit:
    """Random split that keeps groups whole, class shares stratified and sizes near what is asked.

    Healthy groups are divided among train, val and test; groups with an anomalous scan among the labelled pool,
    val and test, their healthy scans with them. Scans of the catalog's ``labelled`` pool fill that pool only, and
    are dropped where their group has scans outside it.

    Args:
        group, bits, view, mirrored: what stays together, see ``mriad.data.roles.grouping.groups``.
        val: share of the healthy scans in val (those in groups with an anomalous scan aside).
        test: share of the healthy scans in test; the rest trains.
        val_anomalies: share of the anomalous scans (those of the labelled pool aside) in val; the rest is tested.
        labelled: number of anomalous scans to set aside in the labelled pool, besides those that fill only it. Groups
            with masks come first; of such a group the scans with a mask are counted, and the others come on top. It
            takes no more than half of the anomalous scans.
        train_on: values of ``contrast`` or ``plane``, as in ``{"contrast": ["T2", "FLAIR"]}``, that scans of train,
            val and the labelled pool must have; the others are dropped. None keeps all.
        test_on: the same for test. Roles are drawn before scans are dropped, so neither changes a role.
        train_scans: number of healthy scans that train at most; the others of train are dropped, by their contents,
            which is as good as random: fewer are always among more. None keeps all.
        published: let it part what belongs together, as published protocols do; a run that uses it is tagged so.
        seed: draws the roles; no other seed does.
    """

    group: Grouping = "auto"
    bits: int = BITS
    view: View = "either"
    mirrored: bool = MIRRORED
    val: float = 0.1
    test: float = 0.2
    val_anomalies: float = 0.2
    labelled: int = 0
    train_on: Mapping[str, Sequence[str]] | None = None
    test_on: Mapping[str, Sequence[str]] | None = None
    train_scans: int | None = None
    published: bool = False
    seed: int = 0

    def __post_init__(self) -> None:
        _require_a_choice(self.published)
        if not (0 < self.val < 1 and 0 < self.test < 1 and self.val + self.test < 1):
            raise MriadError(
                f"data.split.val={self.val} and test={self.test} leave nothing to train on; "
                "each must be above 0 and their sum below 1."
            )
        if not 0 < self.val_anomalies < 1:
            raise MriadError(f"data.split.val_anomalies={self.val_anomalies} is no share; choose one between 0 and 1.")
        if self.train_scans is not None and self.train_scans < 1:
            raise MriadError(
                f"data.split.train_scans={self.train_scans} is no number of scans; give 1 or more, or null for all."
            )
        if self.labelled < 0:
            raise MriadError(f"data.split.labelled={self.labelled} is negative; give a number of scans.")

    def __call__(self, table: pd.DataFrame) -> pd.DataFrame:
        """Draw the roles of a catalog's rows.

        Raises:
            MriadError: if ``train_on`` or ``test_on`` names a column or value that is not there.
        """
        may_train, may_be_tested = _matches(table, "train_on", self.train_on), _matches(table, "test_on", self.test_on)
        split = self._draw(table)
        kept = np.where(split["role"] == "test", may_be_tested[split["row"]], may_train[split["row"]]).astype(bool)
        split = split[kept]
        if self.train_scans is not None:
            train = split["row"][split["role"] == "train"]
            order = table["content" if "content" in table else "path"].loc[train].sort_values(kind="stable").index
            split = split[~split["row"].isin(order[self.train_scans :])]
        return split.reset_index(drop=True)

    def _draw(self, table: pd.DataFrame) -> pd.DataFrame:
        rng = np.random.default_rng(self.seed)
        rows = table.assign(group=_grouped(table, self.group, **_nearness(self)))
        diseased = (rows["label"] == 1) | rows.get("diseased", False)
        rows["diseased"] = diseased.groupby(rows["group"]).transform("any")
        rows = rows[~_pool_only_beside_others(rows)]
        roles = pd.Series("", index=rows.index)
        roles[rows["pool"] == "labelled"] = "labelled"
        open_rows = rows[rows["pool"] != "labelled"]
        healthy_part, diseased_part = open_rows[~open_rows["diseased"]], open_rows[open_rows["diseased"]]
        healthy_shares = {"train": 1 - self.val - self.test, "val": self.val, "test": self.test}
        roles[healthy_part.index] = healthy_part["group"].map(spread(healthy_part, healthy_shares, rng))
        anomalous = diseased_part[diseased_part["label"] == 1]
        pool = pool_groups(anomalous, self.labelled, rng)
        anomaly_shares = {"val": self.val_anomalies, "test": 1 - self.val_anomalies}
        role_of = spread(anomalous[~anomalous["group"].isin(pool)], anomaly_shares, rng)
        role_of |= dict.fromkeys(pool, "labelled")
        # healthy scans of a patient whose anomalous ones cannot be used
        beside = diseased_part[~diseased_part["group"].isin(role_of)]
        if not beside.empty:
            share = self.val / (self.val + self.test)
            role_of |= spread(beside, {"val": share, "test": 1 - share}, rng)
        roles[diseased_part.index] = diseased_part["group"].map(role_of)
        group = table["group"].loc[rows.index] if "group" in table else rows["group"]
        return pd.DataFrame({"row": rows.index, "group": group, "role": roles}).reset_index(drop=True)


@dataclass(frozen=True, kw_only=True)
class AllTest:
    """Every labelled scan is tested: for data that the model has never seen.

    Args:
        group, bits, view, mirrored: what counts as one group, see ``mriad.data.roles.grouping.groups``.
    """

    group: Grouping = "auto"
    bits: int = BITS
    view: View = "either"
    mirrored: bool = MIRRORED
    published = False

    def __call__(self, table: pd.DataFrame) -> pd.DataFrame:
        """Test every row."""
        group = _grouped(table, self.group, **_nearness(self))
        return pd.DataFrame({"row": table.index, "group": group, "role": "test"})


@dataclass(frozen=True, kw_only=True)
class SplitFromCSV:
    """The roles that a file lists, such as the ``split.csv`` of a run: the same scans in the same roles again.

    Scans that the file does not name have no role, those that it names and that are not there are counted in a warning.

    Args:
        file: CSV with columns ``path`` (as in the catalog) and ``role`` (one of ``ROLES``); with ``content``, the
            catalog's hash of the file, a scan is known by that wherever it lies; with ``group`` scans stay together
            besides those that are found to, as by ``group=auto``.
        bits, view, mirrored: what counts as near duplicates, see ``mriad.data.roles.grouping.groups``.
        published: let it part what belongs together, as published protocols do; a run that uses it is tagged so.
    """

    file: str | Path
    bits: int = BITS
    view: View = "either"
    mirrored: bool = MIRRORED
    published: bool = False

    def __post_init__(self) -> None:
        _require_a_choice(self.published)

    def __call__(self, table: pd.DataFrame) -> pd.DataFrame:
        """Give each scan the role that the file says.

        Raises:
            MriadError: if the file cannot be read, lacks a column, has an unknown role or an empty group, or names no
                scan of the table.
        """
        listed = self._read()
        if "group" not in listed:
            table = table.assign(group=facts_of(table, **_nearness(self)))
        return RecordedSplit(scans=listed, source=str(self.file))(table)

    def _read(self) -> pd.DataFrame:
        try:
            table = read_delimited(Path(self.file).expanduser(), ("path", "role", "group", "content"))
            for line, row in table.rows:
                if len(row) != len(table.header):
                    raise ValueError(f"line {line} has {len(row)} entries but the header has {len(table.header)}")
            listed = pd.DataFrame([row for _, row in table.rows], columns=table.header, dtype=str).map(unguarded)
        except (OSError, ValueError, csv.Error) as error:  # Unicode errors are ValueErrors
            reason = " ".join(str(getattr(error, "strerror", None) or error).split())
            raise MriadError(f"The split cannot be read from {self.file} ({reason}); set data.split.file.") from error
        for column in ("path", "role"):
            if column not in listed:
                raise MriadError(f"{self.file} has no column '{column}'; a split needs path and role.")
        if listed.empty:
            raise MriadError(f"{self.file} names no scan; give the split.csv of a run.")
        for fault, wrong in {
            f"an unknown role; choose {', '.join(ROLES)}": ~listed["role"].isin(ROLES),
            "no path; name its file": listed["path"] == "",
            "no group; fill the column or drop it": listed.get("group", listed["path"]) == "",
        }.items():
            for row, path in listed["path"][wrong][:1].items():
                raise MriadError(f"{path or f'Row {row}'} in {self.file} has {fault}.")
        return listed


def _require_a_choice(published: object) -> None:
    if not isinstance(published, bool):
        raise MriadError(f"data.split.published={published} is neither true nor false.")


def _nearness(split: GroupedSplit | AllTest | SplitFromCSV) -> dict[str, Any]:
    return {"bits": split.bits, "view": split.view, "mirrored": split.mirrored}


def _grouped(table: pd.DataFrame, grouping: Grouping, **nearness: Any) -> pd.Series:
    """The groups of a grouping, as they are found or as they have been."""
    return facts_of(table, **nearness) if grouping == "auto" else groups(table, grouping, **nearness)


def _pool_only_beside_others(rows: pd.DataFrame) -> pd.Series:
    pool_only = rows["pool"] == "labelled"
    return pool_only & ~pool_only.groupby(rows["group"]).transform("all")


def _matches(table: pd.DataFrame, option: str, condition: Mapping[str, Sequence[str]] | None) -> pd.Series:
    """Which scans have one of the values that are named, in every column that is named."""
    matches = pd.Series(True, index=table.index)
    if condition is not None and not isinstance(condition, Mapping):
        raise MriadError(
            f"data.split.{option}={condition} names no column; give {' or '.join(HELD_OUT_BY)} with its values, as in "
            f"data.split.{option}={{contrast: [T2]}}."
        )
    for column, wanted in (condition or {}).items():
        if column not in HELD_OUT_BY:
            raise MriadError(f"data.split.{option} names the column '{column}'; choose {' or '.join(HELD_OUT_BY)}.")
        values = [wanted] if isinstance(wanted, str) else wanted
        if not isinstance(values, Sequence) or len(values) == 0:
            raise MriadError(
                f"data.split.{option} names the {column} '{wanted}', which is no list of values; give one, as in "
                f"data.split.{option}={{{column}: [...]}}."
            )
        there = sorted(set(table[column]) - {""})
        for value in values:
            if value not in there:
                raise MriadError(
                    f"data.split.{option} names the {column} '{value}', which no scan has; "
                    f"there are: {', '.join(there) or 'none'}."
                )
        matches &= table[column].isin(values)
    return matches
