"""Near duplicates in one role and across roles: what a split has parted, and what leaks."""

from __future__ import annotations

import numpy as np
import pandas as pd
from numpy.typing import NDArray

from mriad.data.roles import ROLES
from mriad.data.roles.grouping import BITS, MIRRORED, View, has_near_duplicate, near_duplicate_clusters

LABELS = ("healthy", "anomalous")


def leaks(scans: pd.DataFrame, *, bits: int = BITS, view: View = "either", mirrored: bool = MIRRORED) -> pd.DataFrame:
    """Count the scans of each role whose near duplicates or patients stand in a role before it, by label.

    Args:
        scans: one row per scan and role, with ``role``, ``label``, ``patient``, ``phash``, ``phash_head``.
        bits, view, mirrored: what counts as near duplicates, see ``mriad.data.roles.grouping.groups``.

    Returns:
        One row per role, label and role before it, all with scans in them: ``role``, ``label`` (0 or 1), ``among``,
        ``scans`` and ``leaked``, the number of scans and of those that leak.
    """
    records = []
    parts = {role: scans[scans["role"] == role] for role in ROLES}
    for later, role in enumerate(ROLES):
        for among in ROLES[:later]:
            part, others = parts[role], parts[among]
            patients = others["patient"][others["patient"] != ""]
            alike = has_near_duplicate(part, others, bits=bits, view=view, mirrored=mirrored)
            leaked = alike | part["patient"].isin(patients).to_numpy()
            for label in np.unique(part["label"]) if len(others) else ():
                chosen = (part["label"] == label).to_numpy()
                record = {"role": role, "label": label, "among": among, "scans": chosen.sum()}
                records.append(record | {"leaked": leaked[chosen].sum()})
    return pd.DataFrame(records, columns=["role", "label", "among", "scans", "leaked"])


def leaks_in_words(found: pd.DataFrame, *, patients: bool) -> str:
    """What leaks into test, or where nothing does into the other roles, as a clause; '' where nothing leaks.

    Args:
        found: what ``leaks`` returned.
        patients: whether any scan has a patient id.
    """
    likes = "a near duplicate or their patient" if patients else "a near duplicate"
    leaking = found[found["leaked"] > 0]
    if (leaking["role"] == "test").any():
        leaking = leaking[leaking["role"] == "test"]
    clauses = [
        f"{100 * row.leaked / row.scans:.0f} % of the {LABELS[row.label]} {row.role} scans "
        f"({row.leaked} of {row.scans}) have {likes} in {row.among}"
        for row in leaking.itertuples()
    ]
    return ", ".join(clauses)


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
    order = {role: place for place, role in enumerate(ROLES)}
    table = table.sort_values(
        ["role", "label", "within"],
        key=lambda column: column.map(lambda value: order.get(value, value)),
        ignore_index=True,
    )
    return table.assign(label=table["label"].map(dict(enumerate(LABELS))))


def is_repeated(clusters: NDArray[np.int64]) -> NDArray[np.bool_]:
    """Whether each scan shares its cluster with another, (n,) booleans."""
    _, member, size = np.unique(clusters, return_inverse=True, return_counts=True)
    return size[member] > 1


def _inside(part: pd.DataFrame) -> pd.DataFrame:
    repeated = part.assign(repeated=is_repeated(near_duplicate_clusters(part)))
    counts = repeated.groupby(["role", "label"])["repeated"].agg(scans="size", duplicated="sum").reset_index()
    return counts.assign(within=counts["role"])
