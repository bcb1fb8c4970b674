"""Who trains, who validates, who is tested: roles drawn by group, independent of model, threshold and seed."""

from __future__ import annotations

import csv
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Protocol

import numpy as np
import pandas as pd

from mriad.data.delimited import read_delimited
from mriad.data.drawing import pool_groups, spread
from mriad.data.grouping import BITS, MIRRORED, Grouping, View, groups
from mriad.data.recorded import RecordedSplit
from mriad.errors import MriadError

HELD_OUT_BY = ("contrast", "plane")

ROLES = ("train", "labelled", "val", "test")


class Split(Protocol):
    """Gives each scan its role."""

    @property
    def published(self) -> bool:
        """Whether the split repeats a published protocol and may break the rules that ``check`` holds."""
        ...

    def __call__(self, table: pd.DataFrame) -> pd.DataFrame:
        """Draw the roles.

        Args:
            table: a catalog's rows, index 0..n-1.

        Returns:
            One row per scan and role: ``row`` (index into ``table``), ``group`` and ``role`` (one of ``ROLES``).
            A scan that is dropped has no row.
        """
        ...


@dataclass(frozen=True, kw_only=True)
class GroupedSplit:
    """Random split that keeps groups whole, class shares stratified and sizes near what is asked.

    Healthy groups are divided among train, val and test; groups with an anomalous scan among the labelled pool,
    val and test, their healthy scans with them. Scans of the catalog's ``labelled`` pool fill that pool only, and
    are dropped where their group has scans outside it.

    Args:
        group, bits, view, mirrored: what stays together, see ``mriad.data.grouping.groups``.
        val: share of the healthy scans in val (those in groups with an anomalous scan aside).
        test: share of the healthy scans in test; the rest trains.
        val_anomalies: share of the anomalous scans (those of the labelled pool aside) in val; the rest is tested.
        labelled: number of anomalous scans to set aside in the labelled pool, besides those that fill only it. Groups
            with masks come first; of such a group the scans with a mask are counted, and the others come on top. It
            takes no more than half of the anomalous scans.
        train_on: values of ``contrast`` or ``plane``, as in ``{"contrast": ["T2", "FLAIR"]}``, that scans of train,
            val and the labelled pool must have; the others are dropped. None keeps all.
        test_on: the same for test. Roles are drawn before scans are dropped, so neither changes a role.
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
    seed: int = 0
    published = False

    def __post_init__(self) -> None:
        if not (0 < self.val < 1 and 0 < self.test < 1 and self.val + self.test < 1):
            raise MriadError(
                f"data.split.val={self.val} and test={self.test} leave nothing to train on; "
                "each must be above 0 and their sum below 1."
            )
        if not 0 < self.val_anomalies < 1:
            raise MriadError(f"data.split.val_anomalies={self.val_anomalies} is no share; choose one between 0 and 1.")
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
        return split[kept].reset_index(drop=True)

    def _draw(self, table: pd.DataFrame) -> pd.DataFrame:
        rng = np.random.default_rng(self.seed)
        rows = table.assign(group=groups(table, self.group, bits=self.bits, view=self.view, mirrored=self.mirrored))
        rows = rows[~_pool_only_beside_others(rows)]
        roles = pd.Series("", index=rows.index)
        roles[rows["pool"] == "labelled"] = "labelled"
        open_rows = rows[rows["pool"] != "labelled"]
        diseased = open_rows.groupby("group")["label"].transform("max") == 1
        healthy_part, diseased_part = open_rows[~diseased], open_rows[diseased]
        healthy_shares = {"train": 1 - self.val - self.test, "val": self.val, "test": self.test}
        roles[healthy_part.index] = healthy_part["group"].map(spread(healthy_part, healthy_shares, rng))
        anomalous = diseased_part[diseased_part["label"] == 1]
        pool = pool_groups(anomalous, self.labelled, rng)
        anomaly_shares = {"val": self.val_anomalies, "test": 1 - self.val_anomalies}
        role_of = spread(anomalous[~anomalous["group"].isin(pool)], anomaly_shares, rng)
        roles[diseased_part.index] = diseased_part["group"].map(role_of | dict.fromkeys(pool, "labelled"))
        return pd.DataFrame({"row": rows.index, "group": rows["group"], "role": roles}).reset_index(drop=True)


@dataclass(frozen=True, kw_only=True)
class AllTest:
    """Every labelled scan is tested: for data that the model has never seen.

    Args:
        group, bits, view, mirrored: what counts as one group, see ``mriad.data.grouping.groups``.
    """

    group: Grouping = "auto"
    bits: int = BITS
    view: View = "either"
    mirrored: bool = MIRRORED
    published = False

    def __call__(self, table: pd.DataFrame) -> pd.DataFrame:
        """Test every row."""
        group = groups(table, self.group, bits=self.bits, view=self.view, mirrored=self.mirrored)
        return pd.DataFrame({"row": table.index, "group": group, "role": "test"})


@dataclass(frozen=True, kw_only=True)
class SplitFromCSV:
    """The roles that a file lists, such as the ``split.csv`` of a run: the same scans in the same roles again.

    Scans that the file does not name have no role, those that it names and that are not there are counted in a warning.

    Args:
        file: CSV with columns ``path`` (as in the catalog) and ``role`` (one of ``ROLES``), and ``group`` where groups
            are known; without it they are found as by ``group=auto``.
        bits, view, mirrored: what counts as near duplicates, see ``mriad.data.grouping.groups``.
    """

    file: str | Path
    bits: int = BITS
    view: View = "either"
    mirrored: bool = MIRRORED
    published = False

    def __call__(self, table: pd.DataFrame) -> pd.DataFrame:
        """Give each scan the role of its path.

        Raises:
            MriadError: if the file cannot be read, lacks a column, has an unknown role or an empty group, or names no
                scan of the table.
        """
        listed = self._read()
        if "group" not in listed:
            named = table[table["path"].isin(listed["path"])]
            found = groups(named, "auto", bits=self.bits, view=self.view, mirrored=self.mirrored)
            listed["group"] = listed["path"].map(found.set_axis(named["path"]))
        return RecordedSplit(scans=listed, source=str(self.file))(table)

    def _read(self) -> pd.DataFrame:
        try:
            table = read_delimited(Path(self.file).expanduser(), ("path", "role", "group"))
            for line, row in table.rows:
                if len(row) != len(table.header):
                    raise ValueError(f"line {line} has {len(row)} entries but the header has {len(table.header)}")
            listed = pd.DataFrame([row for _, row in table.rows], columns=table.header, dtype=str)
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


def check(split: pd.DataFrame, table: pd.DataFrame) -> None:
    """Hold the rules that keep an evaluation honest.

    Args:
        split: what a ``Split`` returned for ``table``.
        table: a catalog's rows.

    Raises:
        MriadError: if a train row is anomalous, a group stands in two roles, or a row in two.
    """
    train = split["row"][split["role"] == "train"]
    if (anomalous := int(table["label"].loc[train].sum())) > 0:
        raise MriadError(f"The split puts {anomalous} anomalous scans into train; only healthy scans may train.")
    if split["row"].duplicated().any():
        raise MriadError("The split uses a scan twice; give each scan one role.")
    roles_of_group = split.groupby("group")["role"].nunique()
    for group in roles_of_group.index[roles_of_group > 1][:1]:
        raise MriadError(f"The split puts group '{group}' into two roles, which leaks; keep groups whole.")


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
