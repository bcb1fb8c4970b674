"""Which scans belong together and must never stand on both sides of a split."""

from __future__ import annotations

from typing import Literal, get_args

import pandas as pd

from mriad.errors import MriadError

Grouping = Literal["none", "patient"]


def groups(table: pd.DataFrame, grouping: Grouping) -> pd.Series:
    """Group of each scan.

    Args:
        table: a catalog's rows.
        grouping: 'patient' keeps the scans of a patient together, a scan without a patient id stands alone;
            'none' lets every scan stand alone, which leaks where patients have several scans.

    Returns:
        Series of group names, aligned with ``table``.

    Raises:
        MriadError: on an unknown grouping.
    """
    if grouping not in get_args(Grouping):
        raise MriadError(f"data.split.group={grouping} is unknown; choose {' or '.join(get_args(Grouping))}.")
    alone = "scan:" + table["path"]
    if grouping == "none":
        return alone
    return ("patient:" + table["patient"]).where(table["patient"] != "", alone)
