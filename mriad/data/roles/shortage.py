"""Why a role stays empty though there are scans that could fill it."""

from __future__ import annotations

import pandas as pd

from mriad.data.roles.grouping import Grouping, View, groups

_FEWEST = 3  # groups that fill train, val and test


def why_none_is_left(
    scans: pd.DataFrame, label: int | None, *, group: Grouping, bits: int, view: View, mirrored: bool
) -> str:
    """What keeps a role of a ``GroupedSplit`` empty and what to do about it, as a clause; '' where scans are just few.

    Args:
        scans: all scans that can be read: catalog columns, ``diseased``, ``phash`` and ``phash_head``.
        label: of the scans that the role lacks; None for any.
        group, bits, view, mirrored: of the split.
    """
    scans = scans.drop(columns="group", errors="ignore")
    scans["group"] = groups(scans, group, bits=bits, view=view, mirrored=mirrored)
    sick = ((scans["label"] == 1) | scans["diseased"]).groupby(scans["group"]).transform("any")
    wanted = scans if label is None else scans[scans["label"] == label]
    free = wanted[~sick[wanted.index]] if label == 0 else wanted
    if len(wanted) < _FEWEST or free["group"].nunique() >= _FEWEST:
        return ""
    looser = (
        f"take fewer for near duplicates (lower data.split.bits={bits}, or set data.split.view=whole or "
        "data.split.mirrored=false)"
    )
    patients = wanted["patient"].where(wanted["patient"] != "", "scan:" + wanted["path"])
    if len(free) < _FEWEST:
        of_sick_patients = wanted["patient"].isin(scans["patient"][sick & (scans["patient"] != "")]).all()
        whose = "their patient has" if of_sick_patients else "their patient or a near duplicate of theirs has"
        remedy = "add scans of healthy people" + ("" if of_sick_patients else f", or {looser}")
        return f"{len(wanted) - len(free)} healthy scans never train, for {whose} an anomaly; {remedy}"
    if patients.nunique() < _FEWEST:
        return (
            f"its {len(wanted)} scans are of {patients.nunique()} patient(s), and each stays in one role; add patients"
        )
    return (
        f"{len(free)} scans hang together as near duplicates in {free['group'].nunique()} group(s), and a group stays "
        f"in one role; add scans that differ, or {looser}"
    )
