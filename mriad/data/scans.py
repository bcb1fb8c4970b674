"""Scans in their roles, as tables: who stands where, what leaks, and what a detector has seen."""

from __future__ import annotations

import logging
from typing import Any

import numpy as np
import pandas as pd
from numpy.typing import NDArray

from mriad.data.preparing.cache import ScanCache
from mriad.data.roles.draw import draw_healthy
from mriad.data.roles.grouping import REASONS, Patients, joined, recognised
from mriad.data.roles.identity import marks, one_id_each
from mriad.data.roles.leakage import leaks, leaks_in_words
from mriad.data.roles.recorded import RecordedSplit
from mriad.data.roles.rules import check, why_none_is_left
from mriad.data.roles.splits import GroupedSplit, Split
from mriad.errors import MriadError

log = logging.getLogger(__name__)

_SEEN = ["content", "patient", "phash", "phash_head"]


class ScansInRoles:
    """What can be asked of scans that have their roles.

    Attributes:
        split: has drawn the roles.
        table: catalog rows of all scans.
        split_table: a row per scan and role: row (of ``table``), group, role.
        cache: facts and slices of the scans.
    """

    split: Split
    table: pd.DataFrame
    split_table: pd.DataFrame
    cache: ScanCache
    _groups: pd.Series  # of what belongs together as far as it is known, by catalog row

    @property
    def labels(self) -> NDArray[np.int64]:
        """(N,) label of every catalog row, 0 or 1."""
        return self.table["label"].to_numpy(dtype=np.int64)

    def rows(self, role: str, label: int | None = None) -> NDArray[np.int64]:
        """Catalog rows of a role, ascending; only those of one label if given."""
        rows = np.sort(self.split_table["row"][self.split_table["role"] == role].to_numpy(dtype=np.int64))
        return rows if label is None else rows[self.labels[rows] == label]

    def scans(self, role: str) -> pd.DataFrame:
        """The scans of a role: catalog columns, ``group`` and ``role``, indexed by catalog row."""
        part = self.split_table[self.split_table["role"] == role].set_index("row").sort_index()
        return self.table.loc[part.index].assign(group=part["group"], role=role)

    def split_as_csv(self) -> pd.DataFrame:
        """The split as a table: path, role, group, label, class, content."""
        scans = self.table.loc[self.split_table["row"], ["path", "label", "class", "content"]].reset_index(drop=True)
        split = pd.concat([scans, self.split_table[["group", "role"]]], axis=1)
        columns = ["path", "role", "group", "label", "class", "content"]
        return split[columns].sort_values(["role", "path"], ignore_index=True)

    def roles(self, key: str) -> pd.DataFrame:
        """The split as ``RecordedSplit`` knows it, without a word of what patients and files are called.

        Args:
            key: what contents and paths are marked with, see ``mriad.data.roles.identity.marks``.

        Returns:
            One row per scan and role, in an order that says nothing: ``content`` and ``path`` (marks), ``role``, and
            ``group``, a number.
        """
        split = self.split_as_csv()[["content", "path", "role", "group"]]
        for kind in ("content", "path"):
            split[kind] = marks(split[kind], kind=kind, key=key)
        split = split.sort_values(["path", "role"], ignore_index=True)
        return split.assign(group=pd.factorize(split["group"])[0])

    def leaks(self) -> pd.DataFrame:
        """How many scans of a role have near duplicates or their patient in another.

        The split's ``bits``, ``view`` and ``mirrored`` say what a near duplicate is; their defaults where it has none.
        """
        rows = self.split_table["row"].to_numpy()
        return leaks(self._with_hashes(rows).assign(role=self.split_table["role"].to_numpy()), **self._nearness())

    def seen(self, key: str | None = None) -> pd.DataFrame:
        """The scans that a detector learns from, in train, the labelled pool and val, as ``recognise`` knows them.

        Args:
            key: what contents and patients are marked with, see ``roles.identity.marks``; None for plain ones.

        Returns:
            One row per scan and id of its patient: ``content``, ``patient``, ``phash`` and ``phash_head``, all text.
        """
        rows = np.unique(self.split_table["row"][self.split_table["role"] != "test"])
        seen = self._marked(rows, key)
        return seen.sort_values("content" if key else "path", kind="stable", ignore_index=True)[_SEEN]

    def recognise(self, seen: pd.DataFrame, *, key: str | None = None, patients: Patients = "same") -> pd.Series:
        """By what each scan with a role is known from scans that a detector has seen; '' for those that are new.

        Both data sets are grouped together, see ``mriad.data.roles.grouping.recognised``, by the options of this split.

        Args:
            seen: what ``seen`` returned, for these data or others; ``patient`` may be missing.
            key: what it was given.
            patients: whether an id in both data sets is that of one patient ('same'), or means nothing ('unrelated').

        Returns:
            'content', 'patient', 'near duplicate' or '', by catalog row.
        """
        readable = np.flatnonzero(self.cache.facts["error"] == "")
        scans = self._marked(readable, key)
        reasons = pd.Series(recognised(scans, seen, patients=patients, **self._nearness()), index=scans.index)
        surest = reasons.map(REASONS.index).groupby(level=0).max()
        return surest.loc[np.unique(self.split_table["row"])].map(dict(enumerate(REASONS)))

    def drop_seen(self, seen: pd.DataFrame, *, key: str | None = None, patients: Patients = "same") -> dict[str, int]:
        """Drop every test scan that is recognised as seen, or whose group holds one that is, see ``recognise``.

        Returns:
            The number of test scans that were dropped, by the reason.
        """
        reason = self.split_table["row"].map(self.recognise(seen, key=key, patients=patients))
        dropped = (self.split_table["role"] == "test") & (reason != "")
        self.split_table = self.split_table[~dropped].reset_index(drop=True)
        return reason[dropped].value_counts().to_dict()

    def set_aside_healthy(self, count: int, *, seed: int) -> int:
        """Let healthy test scans stand in val instead, see ``mriad.data.roles.draw``, and drop all other roles.

        The other scans of their groups are dropped too: no patient and no near duplicate stands on both sides, whatever
        the split takes for a group.

        Args:
            count: number of groups, of each of which one healthy scan is drawn.
            seed: draws them.

        Returns:
            The number of test scans that were dropped because they are of the same groups.

        Raises:
            MriadError: if there are too few of them, or nothing else is left to be tested.
        """
        test = self.scans("test")
        test["group"] = joined(self._groups.loc[test.index], test["group"])
        drawn = draw_healthy(test, count, seed=seed)
        beside = test.index[test["group"].isin(test["group"].loc[drawn])].difference(drawn)
        left = test.index.difference(drawn).difference(beside)
        if left.empty:
            raise MriadError(
                f"calibrate_scans={count} takes all {test['group'].nunique()} patients or groups of near duplicates "
                "that can be tested, so nothing is left to test; set fewer."
            )
        split = self.split_table[(self.split_table["role"] == "test") & ~self.split_table["row"].isin(beside)]
        role = split["role"].where(~split["row"].isin(drawn), "val")
        self.split_table = split.assign(role=role).reset_index(drop=True)
        return len(beside)

    def _check(self) -> None:
        """Hold the rules against all that is known, be it of scans that cannot be read or have no role.

        A published split may break them; what leaks is said of any.

        Raises:
            MriadError: if the roles break a rule.
        """
        if not self.split.published:
            self._require_rules()
        if leaking := leaks_in_words(self.leaks(), patients=(self.table["patient"] != "").any()):
            log.warning("%s; %s.", leaking, self._remedy())

    def _require_rules(self) -> None:
        rows, group = self.split_table["row"], self.split_table["group"]
        if getattr(self.split, "group", None) == "auto":  # found by mriad, perhaps among fewer scans
            self._groups.loc[rows] = group.to_numpy()
        known = self.table.join(self.cache.facts[["phash", "phash_head"]])
        known["group"] = self._groups.reindex(known.index).fillna("unreadable:" + known["path"])
        if isinstance(self.split, RecordedSplit):  # what came later says nothing of how it was trained
            known = known.loc[rows.unique()].drop(columns="diseased")
        check(self.split_table, known, remedy=self._way_out(), **self._nearness())

    def _why_none_is_left(self, label: int | None) -> str:
        """Why a role has no scan of a label, as a clause; '' where scans are just few."""
        if not isinstance(self.split, GroupedSplit):
            return ""
        scans = self._with_hashes(self._groups.index.to_numpy())
        return why_none_is_left(scans, label, group=self.split.group, **self._nearness())

    def _with_hashes(self, rows: NDArray[np.int64]) -> pd.DataFrame:
        return self.table.loc[rows].join(self.cache.facts[["phash", "phash_head"]])

    def _marked(self, rows: NDArray[np.int64], key: str | None) -> pd.DataFrame:
        """The scans of some rows with their hashes, marked, one row for each id of a patient."""
        scans = one_id_each(self._with_hashes(rows))
        return scans.assign(**{kind: marks(scans[kind], kind=kind, key=key) for kind in ("content", "patient")})

    def _nearness(self) -> dict[str, Any]:
        options = ("bits", "view", "mirrored")
        return {option: getattr(self.split, option) for option in options if hasattr(self.split, option)}

    def _remedy(self) -> str:
        group = getattr(self.split, "group", None)
        if group is None:
            return "split=grouped keeps them together"
        return "a chain was cut there" if group == "auto" else "data.split.group=auto keeps them together"

    def _way_out(self) -> str:
        """What to do about a split that leaks."""
        if isinstance(self.split, RecordedSplit):
            return "more is known of the scans now than when they were given their roles; train anew"
        if self._remedy() == "a chain was cut there":
            return "keep them together"
        return (
            f"{self._remedy()}, or run it with data.split.published=true, as published protocols are: tagged, with a "
            "warning and without intervals"
        )
