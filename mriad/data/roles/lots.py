"""Which groups a role gets: at random, class by class, in the sizes that are asked."""

from __future__ import annotations

from collections import Counter
from collections.abc import Mapping

import numpy as np
import pandas as pd


def pool_groups(anomalous: pd.DataFrame, wanted: int, rng: np.random.Generator) -> list[str]:
    """Groups for the labelled pool: at random, each class in its proportion, those with masks first.

    They hold no more than half of the scans, so that enough are left for val and test.

    Args:
        anomalous: scans with columns ``group``, ``class`` and ``mask``.
        wanted: number of scans with masks that the groups shall hold together; groups without any mask count all their
            scans.
        rng: draws them.
    """
    if wanted == 0 or anomalous.empty:
        return []
    scans = anomalous.assign(masks=anomalous["mask"] != "").sort_values(["group", "class"]).groupby("group")
    drawn = scans.agg(kind=("class", "first"), masks=("masks", "sum"), scans=("masks", "size"))
    drawn = drawn.iloc[rng.permutation(len(drawn))].assign(unmasked=lambda groups: groups["masks"] == 0)
    peers = drawn.groupby(["unmasked", "kind"])["masks"]
    drawn["turn"] = (peers.cumcount() + 0.5) / peers.transform("size")  # classes take turns by their sizes
    drawn = drawn.sort_values(["unmasked", "turn"], kind="stable")
    counted = drawn["masks"].where(~drawn["unmasked"], drawn["scans"])
    enough = counted.cumsum() - counted >= wanted
    too_many = drawn["scans"].cumsum() > len(anomalous) / 2
    return list(drawn.index[~enough & ~too_many])


def spread(rows: pd.DataFrame, shares: Mapping[str, float], rng: np.random.Generator) -> dict[str, str]:
    """Role of each group, class by class, so that no class misses a role's share of it by more than its largest group.

    Large groups are placed first, while there is room to make up for them: at random among the roles that have room,
    in proportion to it; if none has, in the one with the most.

    Args:
        rows: scans with columns ``group`` and ``class``.
        shares: share of the scans that each role shall have.
        rng: draws the roles.
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
