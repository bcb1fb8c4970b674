"""Roles that were drawn before, given again scan by scan."""

from __future__ import annotations

import logging
from dataclasses import dataclass

import numpy as np
import pandas as pd
from numpy.typing import NDArray

from mriad.data.roles.grouping import BITS, MIRRORED, View, joined
from mriad.data.roles.identity import marks
from mriad.errors import MriadError

log = logging.getLogger(__name__)

_SCAN = ["content", "path"]


@dataclass(frozen=True, kw_only=True)
class SplitFromInit:
    """The roles that scans had in the training of the detector of ``init``; a training gives them in its place.

    Args:
        bits, view, mirrored: what counts as near duplicates, see ``mriad.data.roles.grouping.groups``.
    """

    bits: int = BITS
    view: View = "either"
    mirrored: bool = MIRRORED
    published = False

    def __call__(self, table: pd.DataFrame) -> pd.DataFrame:
        """Say that there is no such detector.

        Raises:
            MriadError: always.
        """
        raise MriadError(
            "split=from_init gives scans the roles that they had when the detector of init= was trained, and there is "
            "no init; set init=RUN_ID, or choose another split."
        )


@dataclass(frozen=True, kw_only=True, eq=False)
class RecordedSplit:
    """The roles that scans have had, such as those in a checkpoint: nothing is drawn.

    A scan is known by what its file holds, wherever it lies and whatever it is called now; by its path alone where no
    content was recorded.

    Args:
        scans: one row per scan and role: ``path`` as in the catalog, ``role``, and where they are known ``content`` and
            ``group``.
        key: what contents and paths are marked with, see ``mriad.data.roles.identity.marks``; None for plain ones.
        bits, view, mirrored: what counts as near duplicates, see ``mriad.data.roles.grouping.groups``.
        published: whether they repeat a published protocol.
        takes_new: whether scans that have had no role get one: healthy ones train, those of the catalog's ``labelled``
            pool fill it; but for those that belong to a scan with a role, or to an anomalous one.
        source: where the roles come from, for messages.
    """

    scans: pd.DataFrame
    key: str | None = None
    bits: int = BITS
    view: View = "either"
    mirrored: bool = MIRRORED
    published: bool = False
    takes_new: bool = False
    source: str = "the checkpoint"

    def __call__(self, table: pd.DataFrame) -> pd.DataFrame:
        """Give each scan the roles it has had; scans without one are left out, those not there are counted.

        A file that holds something else than then takes no part, for nothing says what it is, and is counted too.
        Groups are those that were recorded; with a column ``group``, scans that it keeps together stay together too.

        Raises:
            MriadError: if no scan is there.
        """
        listed = self.scans.assign(content=self.scans.get("content", ""))
        own = pd.DataFrame(
            {name: marks(table[name], kind=name, key=self.key) if name in table else "" for name in ("content", "path")}
        )
        known = listed[_SCAN].drop_duplicates(ignore_index=True)
        known["row"] = _rows(known, own, by_content="content" in table)
        idle = ~own.index.isin(known["row"])
        changed = idle & own["path"].isin(known["path"])
        new = _new(table, idle & ~changed) if self.takes_new else pd.DataFrame({"row": [], "group": [], "role": []})
        self._tell(known, own, table["path"], idle=idle, changed=changed, new=new)
        found = listed.merge(known.dropna(), on=_SCAN)
        row = found["row"].astype(int)
        split = pd.DataFrame({"row": row, "role": found["role"]})
        facts = table["group"].loc[row].reset_index(drop=True) if "group" in table else None
        claimed = found["group"].astype(str) if "group" in found else facts
        split.insert(1, "group", claimed if facts is None else joined(facts, claimed))
        return pd.concat([split, new], ignore_index=True) if len(new) else split

    def _tell(
        self,
        known: pd.DataFrame,
        own: pd.DataFrame,
        paths: pd.Series,
        *,
        idle: NDArray[np.bool_],
        changed: pd.Series,
        new: pd.DataFrame,
    ) -> None:
        """Say which scans are not there, hold something else, or are new.

        Raises:
            MriadError: if none is there.
        """
        unnamed = int(idle.sum() - changed.sum() - len(new))
        missing = int(known["row"].isna().sum() - changed.sum())
        example = paths[changed].iat[0] if changed.any() else ""
        if known["row"].isna().all():
            if changed.any():
                raise MriadError(
                    f"All {changed.sum()} files that stand in {self.source} and are there hold something else than "
                    f"then, {example} for one; give the files that the roles were drawn for, and their data.root."
                )
            first = "" if self.key else f", whose first is {known['path'].iat[0]}"
            raise MriadError(
                f"No scan of the data set stands in {self.source}{first}; "
                "give the data set that the roles were drawn for, and its data.root."
            )
        if changed.any():
            log.warning(
                "%d files that stand in %s, such as %s, hold something else than then and take no part.",
                changed.sum(),
                self.source,
                example,
            )
        if len(new):
            log.info(
                "%d scans are new: %d healthy ones train, %d stand in the labelled pool.",
                len(new),
                (new["role"] == "train").sum(),
                (new["role"] == "labelled").sum(),
            )
        if missing or unnamed:
            log.warning(
                "%d of %d scans that %s names are not there; %d scans that are there are not named and are left out.",
                missing,
                len(known),
                self.source,
                unnamed,
            )
        here = known.dropna()
        renamed = int((own["path"].loc[here["row"].astype(int)].to_numpy() != here["path"].to_numpy()).sum())
        if renamed:
            log.info("%d scans have other names than in %s, and are known by their content.", renamed, self.source)


def _new(table: pd.DataFrame, idle: NDArray[np.bool_] | pd.Series) -> pd.DataFrame:
    """Row, group and role of scans that have had none and belong to none that has."""
    group = table["group"] if "group" in table else table["path"]
    sick = group.isin(group[(table["label"] == 1) | table.get("diseased", False)])
    is_new = idle & ~group.isin(group[~idle])
    healthy, labelled = (table["label"] == 0) & ~sick, (table["label"] == 1) & (table["pool"] == "labelled")
    roles = [(is_new & healthy, "train"), (is_new & labelled, "labelled")]
    parts = [pd.DataFrame({"row": table.index[rows], "group": group[rows], "role": role}) for rows, role in roles]
    return pd.concat(parts, ignore_index=True)


def _rows(known: pd.DataFrame, own: pd.DataFrame, *, by_content: bool) -> pd.Series:
    """Row of each scan that is known, NaN where it is not there.

    Args:
        known: content ('' where unknown) and path of the scans that have had roles.
        own: content and path of the scans that are there.
        by_content: whether the contents of these are known.
    """
    place = pd.Series(own.index, index=own["path"]).reindex(known["path"]).set_axis(known.index)
    there = known["content"].to_numpy() == own["content"].reindex(place).to_numpy()
    row = place.where(there | (known["content"] == "") | (not by_content))
    # what lies elsewhere now: one file for one scan, for the same content may stand several times
    lost, idle = known[row.isna() & (known["content"] != "")], own[~own.index.isin(row)]
    lost, idle = (part.assign(turn=part.groupby("content").cumcount()) for part in (lost, idle))
    moved = lost.reset_index().merge(idle.reset_index(names="row"), on=["content", "turn"]).set_index("index")
    return row.fillna(moved["row"])
