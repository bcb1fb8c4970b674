"""Healthy scans drawn from those that could be tested, none of them related to another."""

from __future__ import annotations

import hashlib

import numpy as np
import pandas as pd
from numpy.typing import NDArray

from mriad.errors import MriadError


def draw_healthy(scans: pd.DataFrame, count: int, *, seed: int) -> NDArray[np.int64]:
    """Draw one healthy scan of each of so many groups.

    Each group with a healthy scan has the same chance, however many scans it holds, and so has each healthy scan in it:
    those that are drawn are exchangeable with one healthy scan of any group that is not. What is drawn hangs on the
    contents of the scans and on ``seed``: neither on their paths and order, nor on which other groups there are.

    Args:
        scans: columns ``content``, ``label`` and ``group``.
        count: number of groups.
        seed: draws them.

    Returns:
        (count,) index values of the scans, ascending.

    Raises:
        MriadError: if there are fewer groups with a healthy scan.
    """
    healthy = scans[scans["label"] == 0]
    first = healthy.groupby("group")["content"].transform("min")
    chance = pd.DataFrame(
        {
            "group": healthy["group"],
            "of_group": [_chance(seed, "group", content) for content in first],
            "of_scan": [_chance(seed, "scan", content) for content in healthy["content"]],
        },
        index=healthy.index,
    )
    chosen = chance.sort_values(["of_group", "of_scan"], kind="stable").drop_duplicates("group")
    if len(chosen) < count:
        total = f"{len(healthy)} healthy scans" if len(healthy) != 1 else "1 healthy scan"
        raise MriadError(
            f"calibrate_scans={count} asks for more healthy scans than can be tested: {total} of "
            f"{len(chosen)} patients or groups of near duplicates, of which each counts once; "
            + (f"set calibrate_scans={len(chosen)} or fewer." if len(chosen) else "give data with healthy scans.")
        )
    return np.sort(chosen.index[:count].to_numpy(dtype=np.int64))


def _chance(seed: int, kind: str, content: str) -> str:
    return hashlib.blake2b(f"{seed} {kind} {content}".encode(), digest_size=8).hexdigest()
