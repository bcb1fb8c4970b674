"""Who trains, who validates, who is tested: roles drawn by group, independent of model, threshold and seed."""

from __future__ import annotations

from collections import Counter
from collections.abc import Mapping
from dataclasses import dataclass
from typing import Protocol

import numpy as np
import pandas as pd
from numpy.typing import NDArray

from mriad.data.grouping import Grouping, groups
from mriad.errors import MriadError

ROLES = ("train", "labelled", "val", "test")


class Split(Protocol):
    """Gives each scan its role."""

    published: bool
    """Whether the split repeats a published protocol and may break the rules that ``check`` holds."""

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
        group: what stays together, see ``mriad.data.grouping``.
        val: share of the healthy scans in val.
        test: share of the healthy scans in test; the rest trains.
        val_anomalies: share of the anomalous scans (those of the labelled pool aside) in val; the rest is tested.
        labelled: number of anomalous scans to set aside in the labelled pool, besides those that fill only it.
        seed: draws the roles; no other seed does.
    """

    group: Grouping = "patient"
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
        rows = table.assign(group=groups(table, self.group))
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
    """Every labelled scan is tested: for data that the model has never seen."""

    group: Grouping = "patient"
    published = False

    def __call__(self, table: pd.DataFrame) -> pd.DataFrame:
        """Test every row."""
        return pd.DataFrame({"row": table.index, "group": groups(table, self.group), "role": "test"})


@dataclass(frozen=True, kw_only=True)
class PublishedNavoneel:
    """The protocol of the published autoencoder on the Navoneel set, leaks included.

    Only files that end in .jpg (any letter case); every healthy one trains, the same ones are val, all are tested.
    """

    published = True

    def __call__(self, table: pd.DataFrame) -> pd.DataFrame:
        """Give the published roles; a healthy row has three."""
        rows = table[table["path"].str.lower().str.endswith(".jpg")]
        healthy = rows.index[rows["label"] == 0]
        roles = [("train", healthy), ("val", healthy), ("test", rows.index)]
        return _concatenate(table, roles)


@dataclass(frozen=True, kw_only=True)
class PublishedNickparvar:
    """The protocol of the published residual VAE on the Nickparvar set, leaks included.

    Training/notumor is shuffled scan by scan into 70 % train, 20 % val and 10 % test; of the Testing tumours 20 %
    join val to calibrate the threshold, the rest is tested. Near-duplicates stand on both sides.

    Args:
        seed: 42 in the published run.
    """

    seed: int = 42
    published = True

    def __call__(self, table: pd.DataFrame) -> pd.DataFrame:
        """Draw the published roles."""
        rng = np.random.default_rng(self.seed)
        in_training = table["path"].str.contains("Training/", regex=False)
        healthy = rng.permutation(table.index[in_training & (table["label"] == 0)])
        tumours = rng.permutation(table.index[~in_training & (table["label"] == 1)])
        train, val = round(0.7 * len(healthy)), round(0.9 * len(healthy))
        calibration = round(0.2 * len(tumours))
        roles = [
            ("train", healthy[:train]),
            ("val", np.concatenate([healthy[train:val], tumours[:calibration]])),
            ("test", np.concatenate([healthy[val:], tumours[calibration:]])),
        ]
        return _concatenate(table, roles)


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


def _concatenate(table: pd.DataFrame, roles: list[tuple[str, NDArray[np.int64] | pd.Index]]) -> pd.DataFrame:
    alone = groups(table, "none")
    parts = [pd.DataFrame({"row": rows, "group": alone[rows].to_numpy(), "role": role}) for role, rows in roles]
    return pd.concat(parts, ignore_index=True)


def _spread(rows: pd.DataFrame, shares: Mapping[str, float], rng: np.random.Generator) -> dict[str, str]:
    """Role of each group: shuffled groups, class by class, each to the role that lags most behind its share."""
    members = rows.groupby("group", sort=True)
    order = pd.DataFrame({"size": members.size(), "class": members["class"].max()})
    order = order.iloc[rng.permutation(len(order))].sort_values("class", kind="stable")
    asked = {role: share for role, share in shares.items() if share > 0}
    filled = dict.fromkeys(asked, 0)
    role_of: dict[str, str] = {}
    seen = 0
    for group, size in zip(order.index, order["size"], strict=True):
        seen += int(size)
        role = max(asked, key=lambda name: asked[name] * seen - filled[name])
        role_of[group] = role
        filled[role] += int(size)
    for empty in [role for role in asked if filled[role] == 0 and len(order) >= len(asked)]:
        # a small set must not lose a role to rounding: the fullest of several groups gives up its smallest
        groups_of = Counter(role_of.values())
        fullest = max((role for role in asked if groups_of[role] > 1), key=lambda role: filled[role])
        donor = min((g for g in role_of if role_of[g] == fullest), key=lambda g: int(order["size"][g]))
        role_of[donor] = empty
        filled[fullest] -= int(order["size"][donor])
        filled[empty] += int(order["size"][donor])
    return role_of
