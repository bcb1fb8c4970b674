"""Scans that a split has parted from their likes: what leaks from one role into another."""

from __future__ import annotations

import numpy as np
import pandas as pd

from mriad.data.roles.grouping import BITS, MIRRORED, View, has_near_duplicate

_ROLES = ("train", "labelled", "val", "test")  # a scan leaks into the later role
_KINDS = ("healthy", "anomalous")


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
    parts = {role: scans[scans["role"] == role] for role in _ROLES}
    for later, role in enumerate(_ROLES):
        for among in _ROLES[:later]:
            part, others = parts[role], parts[among]
            patients = others["patient"][others["patient"] != ""]
            alike = has_near_duplicate(part, others, bits=bits, view=view, mirrored=mirrored)
            leaked = alike | part["patient"].isin(patients).to_numpy()
            for label in np.unique(part["label"]) if len(others) else ():
                chosen = (part["label"] == label).to_numpy()
                record = {"role": role, "label": label, "among": among, "scans": chosen.sum()}
                records.append(record | {"leaked": leaked[chosen].sum()})
    return pd.DataFrame(records, columns=["role", "label", "among", "scans", "leaked"])


def told(found: pd.DataFrame, *, patients: bool) -> str:
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
        f"{100 * row.leaked / row.scans:.0f} % of the {_KINDS[row.label]} {row.role} scans "
        f"({row.leaked} of {row.scans}) have {likes} in {row.among}"
        for row in leaking.itertuples()
    ]
    return ", ".join(clauses)
