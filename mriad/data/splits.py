"""Who trains, who validates, who is tested: roles drawn by group, independent of model, threshold and seed."""

from __future__ import annotations

from collections import Counter
from collections.abc import Mapping
from dataclasses import dataclass
from pathlib import Path
from typing import Protocol

import numpy as np
import pandas as pd

from mriad.data.grouping import BITS, MIRRORED, Grouping, View, groups
from mriad.data.recorded import RecordedSplit
from mriad.errors import MriadError

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
        labelled: number of anomalous scans to set aside in the labelled pool, besides those that fill only it.
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
        """Draw the roles of a catalog's rows."""
        rng = np.random.default_rng(self.seed)
        rows = table.assign(group=groups(table, self.group, bits=self.bits, view=self.view, mirrored=self.mirrored))
        rows = rows[~_pool_only_beside_others(rows)]
        roles = pd.Series("", index=rows.index)
        roles[rows["pool"] == "labelled"] = "labelled"
        open_rows = rows[rows["pool"] != "labelled"]
        diseased = open_rows.groupby("group")["label"].transform("max") == 1
        healthy_part, diseased_part = open_rows[~diseased], open_rows[diseased]
        healthy_shares = {"train": 1 - self.val - self.test, "val": self.val, "test": self.test}
        anomalous = diseased_part[diseased_part["label"] == 1]
        pool = min(1.0, self.labelled / max(len(anomalous), 1))
        rest = 1 - pool
        anomaly_shares = {
            "labelled": pool,
            "val": rest * self.val_anomalies,
            "test": rest * (1 - self.val_anomalies),
        }
        for part, scans, shares in (
            (healthy_part, healthy_part, healthy_shares),
            (diseased_part, anomalous, anomaly_shares),
        ):
            roles[part.index] = part["group"].map(_spread(scans, shares, rng))
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
            listed = pd.read_csv(Path(self.file).expanduser(), dtype=str, keep_default_na=False)
        except (OSError, ValueError) as error:  # pandas' and Unicode errors are ValueErrors
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


def _spread(rows: pd.DataFrame, shares: Mapping[str, float], rng: np.random.Generator) -> dict[str, str]:
    """Role of each group, class by class, so that no class misses a role's share of it by more than its largest group.

    Large groups are placed first, while there is room to make up for them: at random among the roles that have room,
    in proportion to it; if none has, in the one with the most.
    """
    counts = rows.groupby(["group", "class"], sort=True).size().reset_index(name="scans")
    counts = counts.sort_values("scans", kind="stable")
    order = counts.drop_duplicates("group", keep="last").set_index("group")[["class"]]  # the class of most of its scans
    order["size"] = rows.groupby("group").size()
    order = order.sort_index().iloc[rng.permutation(len(order))]
    asked = np.array([share for share in shares.values() if share > 0])
    roles = [role for role, share in shares.items() if share > 0]
    owed = np.zeros(len(roles))
    role_of: dict[str, str] = {}
    for _, part in order.groupby("class", sort=True):
        # classes make up for each other's rounding, but not for large groups: each shall have its share
        room = asked * part["size"].sum() + owed.clip(-1, 1)
        owed += asked * part["size"].sum()
        part = part.sort_values("size", ascending=False, kind="stable")
        for group, size in zip(part.index, part["size"], strict=True):
            open_room = np.where(room >= size, room, 0.0)
            fits = open_room.sum() > 0
            chosen = rng.choice(len(roles), p=open_room / open_room.sum()) if fits else int(room.argmax())
            role_of[group] = roles[chosen]
            room[chosen] -= size
            owed[chosen] -= size
    sizes = order["size"]
    filled = {role: sum(int(sizes[g]) for g in role_of if role_of[g] == role) for role in roles}
    for empty in [role for role in roles if filled[role] == 0 and len(order) >= len(roles)]:
        # a small set must not lose a role to rounding: the fullest of several groups gives up its smallest
        groups_of = Counter(role_of.values())
        fullest = max((role for role in roles if groups_of[role] > 1), key=lambda role: filled[role])
        donor = min((g for g in role_of if role_of[g] == fullest), key=lambda g: int(sizes[g]))
        role_of[donor] = empty
        filled[fullest] -= int(sizes[donor])
        filled[empty] += int(sizes[donor])
    return role_of
