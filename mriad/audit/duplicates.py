"""Near-duplicates inside roles and across them."""

from __future__ import annotations

import numpy as np
import pandas as pd
from numpy.typing import NDArray

from mriad.data.roles.grouping import near_duplicate_clusters
from mriad.data.roles.leakage import leaks

LABELS = ("healthy", "anomalous")
_ROLES = ("train", "labelled", "val", "test")


def is_repeated(clusters: NDArray[np.int64]) -> NDArray[np.bool_]:
    """Whether each scan shares its cluster with another, (n,) booleans."""
    _, member, size = np.unique(clusters, return_inverse=True, return_counts=True)
    return size[member] > 1


def duplicates_by_role(scans: pd.DataFrame) -> pd.DataFrame:
    """Count the scans of each role that have a near-duplicate in it or in a role before it, by label.

    Inside a role a scan is compared with the others. Across roles a scan of the same patient counts too, and so does
    the scan itself where a published protocol uses it twice. Scans of two known patients never count, however alike:
    registered slices of two people may be.

    Args:
        scans: one row per scan and role: ``role``, ``label``, ``patient``, ``phash`` and ``phash_head``.

    Returns:
        a row per role, label and other role, in the order of the roles: ``role``, ``label`` ('healthy' or
        'anomalous'), ``within`` (the other role, or the same), ``scans``, ``duplicated`` and ``share`` in [0, 1].
    """
    across = leaks(scans).rename(columns={"among": "within", "leaked": "duplicated"})
    inside = [_inside(part) for _, part in scans.groupby("role")]
    table = pd.concat([across, *inside]).astype({"scans": int, "duplicated": int})
    table["share"] = table["duplicated"] / table["scans"]
    order = {role: place for place, role in enumerate(_ROLES)}
    table = table.sort_values(
        ["role", "label", "within"],
        key=lambda column: column.map(lambda value: order.get(value, value)),
        ignore_index=True,
    )
    return table.assign(label=table["label"].map(dict(enumerate(LABELS))))


def _inside(part: pd.DataFrame) -> pd.DataFrame:
    repeated = part.assign(repeated=is_repeated(near_duplicate_clusters(part)))
    counts = repeated.groupby(["role", "label"])["repeated"].agg(scans="size", duplicated="sum").reset_index()
    return counts.assign(within=counts["role"])
