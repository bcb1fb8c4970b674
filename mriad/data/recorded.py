"""Roles that were drawn before, given again scan by scan."""

from __future__ import annotations

import logging
from dataclasses import dataclass

import pandas as pd

from mriad.errors import MriadError

log = logging.getLogger(__name__)


@dataclass(frozen=True, kw_only=True, eq=False)
class RecordedSplit:
    """The roles that scans have had, such as those in a checkpoint: nothing is drawn.

    Args:
        scans: one row per scan and role: ``path`` as in the catalog, ``role`` and ``group``.
        published: whether they repeat a published protocol.
        source: where the roles come from, for messages.
    """

    scans: pd.DataFrame
    published: bool = False
    source: str = "the checkpoint"

    def __call__(self, table: pd.DataFrame) -> pd.DataFrame:
        """Give each scan the roles of its path; scans without one are left out, those not there are counted.

        Raises:
            MriadError: if no scan is there.
        """
        row_of = pd.Series(table.index, index=table["path"])
        there = self.scans["path"].isin(row_of.index)
        if not there.any():
            raise MriadError(
                f"No scan of the data set stands in {self.source}, whose first is {self.scans['path'].iat[0]}; "
                "give the data set that the roles were drawn for, and its data.root."
            )
        left_out = int((~table["path"].isin(self.scans["path"])).sum())
        if left_out or not there.all():
            log.warning(
                "%d of %d scans that %s names are not there; %d scans that are there are not named and are left out.",
                (~there).sum(),
                len(there),
                self.source,
                left_out,
            )
        kept = self.scans[there]
        return pd.DataFrame(
            {
                "row": row_of[kept["path"]].to_numpy(),
                "group": kept["group"].to_numpy(),
                "role": kept["role"].to_numpy(),
            }
        )
