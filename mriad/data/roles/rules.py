"""The rules that roles keep, and why a role stays empty though there are scans that could fill it."""

from __future__ import annotations

from typing import Any

import numpy as np
import pandas as pd
from numpy.typing import NDArray

from mriad.data.roles.grouping import Grouping, View, facts_of, groups, has_near_duplicate
from mriad.errors import MriadError

_FEWEST = 3  # groups that fill train, val and test


def check(split: pd.DataFrame, table: pd.DataFrame, *, remedy: str = "keep them together", **nearness: Any) -> None:
    """Hold the rules that keep an evaluation honest against what is known of the scans, whatever the split says.

    Args:
        split: what a ``Split`` returned for ``table``.
        table: a catalog's rows, and whatever else is known of them: ``content``, ``diseased`` (see
            ``Catalog.with_persons``), ``group`` (see ``facts_of``).
        remedy: what to do about scans that belong together and stand apart.
        **nearness: what counts as near duplicates, see ``facts_of``.

    Raises:
        MriadError: if a train row is anomalous or of a patient or group with an anomalous scan, a row stands in two
            roles, or a patient, a file content, or a group of near duplicates or of the split's own does.
    """
    scans = table.loc[split["row"]].assign(role=split["role"].to_numpy(), claimed=split["group"].to_numpy())
    train = scans[scans["role"] == "train"]
    if (anomalous := int(train["label"].sum())) > 0:
        raise MriadError(f"The split puts {anomalous} anomalous scans into train; only healthy scans may train.")
    if split["row"].duplicated().any():
        raise MriadError("The split uses a scan twice; give each scan one role.")
    known = table.assign(group=facts_of(table, **nearness))
    scans["group"] = known["group"].loc[scans.index]
    train = scans.loc[train.index]
    alike = _apart(scans, "group")
    for (one_kind, kinds), apart in {
        ("a patient", "patients"): _apart(scans, "patient"),
        ("a file content", "file contents"): _apart(scans, "content"),
        ("a group of near duplicates", "groups of near duplicates"): alike[_resembles(alike, **nearness)],
        ("a group of its own", "groups of its own"): _apart(scans, "claimed"),
    }.items():
        if not apart.empty:
            one, other = apart[apart["key"] == apart["key"].iat[0]].drop_duplicates("role").iloc[:2].itertuples()
            count = apart["key"].nunique()
            raise MriadError(
                f"The split leaks: it puts {one_kind if count == 1 else f'{count} {kinds}'} ({len(apart)} scans) into "
                f"two roles, such as {one.path} into {one.role} and {other.path} into {other.role}; {remedy}."
            )
    _require_healthy(train, known, **nearness)


def _apart(scans: pd.DataFrame, column: str) -> pd.DataFrame:
    """The scans whose value of a column stands in two roles, that value as ``key``."""
    if column not in scans:
        return scans.iloc[:0].assign(key="")
    named = scans[scans[column] != ""].assign(key=lambda rows: rows[column])
    return named[named.groupby("key")["role"].transform("nunique") > 1]


def _resembles(scans: pd.DataFrame, **nearness: Any) -> NDArray[np.bool_]:
    """Whether the scans' groups hold one that looks like a scan of another role.

    Others hang together by a scan that has no role.
    """
    found = np.zeros(len(scans), dtype=bool)
    for role in scans["role"].unique():
        own = (scans["role"] == role).to_numpy()
        found[own] = has_near_duplicate(scans[own], scans[~own], **nearness)
    return scans["group"].isin(scans["group"][found]).to_numpy()


def _require_healthy(train: pd.DataFrame, known: pd.DataFrame, **nearness: Any) -> None:
    """Raise a MriadError if a train scan is of a patient with an anomalous scan, or looks like an anomalous scan."""
    sick = known[known["label"] == 1]
    of_sick = train["patient"].isin(set(sick["patient"]) - {""}) | train.get("diseased", False)
    if "content" in train:
        of_sick |= train["content"].isin(sick["content"])
    hang_together = train["group"].isin(sick["group"])
    if hang_together.any() and not of_sick.any():
        near = has_near_duplicate(train[hang_together], sick[sick["group"].isin(train["group"])], **nearness)
        of_sick |= train.index.isin(train.index[hang_together][near])
    for path in train["path"][of_sick][:1]:
        raise MriadError(
            f"The split puts {of_sick.sum()} healthy scans into train whose patient, or a near duplicate, has an "
            f"anomaly elsewhere in the data set, such as {path}; they go where their patient goes, never to train."
        )


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
