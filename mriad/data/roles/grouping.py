"""Which scans belong together and must never stand on both sides of a split."""

from __future__ import annotations

import logging
from typing import Any, Literal, get_args

import numpy as np
import pandas as pd
from numpy.typing import NDArray
from scipy.sparse import coo_array
from scipy.sparse.csgraph import connected_components

from mriad.data.roles.hashes import BITS, MIRRORED, Integers, View, has_near_duplicate, linkage, patients_of
from mriad.errors import unknown

__all__ = [
    "BITS",
    "MIRRORED",
    "REASONS",
    "Grouping",
    "Patients",
    "View",
    "facts_of",
    "groups",
    "has_near_duplicate",
    "joined",
    "near_duplicate_clusters",
    "recognised",
]

log = logging.getLogger(__name__)

Grouping = Literal["auto", "patient", "near_duplicate", "none"]
Patients = Literal["same", "unrelated"]

REASONS = ("", "near duplicate", "patient", "content")
"""By what a scan can be known again, the surest last."""

# a chain of more scans than both is cut; the largest natural cluster of the Kaggle sets holds 19 scans, under 1.5 %
_LARGEST_SHARE, _LARGEST_SIZE = 0.05, 20


def groups(
    table: pd.DataFrame, grouping: Grouping, *, bits: int = BITS, view: View = "either", mirrored: bool = MIRRORED
) -> pd.Series:
    """Group of each scan.

    Near duplicates are scans whose perceptual hashes differ in a few bits, and so are those that a chain of such
    pairs connects. A chain that holds more than 5 % of the scans, and more than 20, is cut with a warning: the
    distance that joins its scans is lowered bit by bit until its parts are small. Identical hashes, files of identical
    content and the scans of a patient stay together.

    Args:
        table: a catalog's rows; near duplicates need columns ``phash`` and ``phash_head`` (see ``Fingerprint``), and
            files of identical content are known by a column ``content``.
        grouping: 'patient' keeps the scans of a patient together, a scan without a patient id stands alone;
            'near_duplicate' keeps near duplicates together, whoever the patients are; 'auto' keeps both together, but
            takes no two scans with patient ids for near duplicates, for registered slices of two patients may look
            alike; 'none' lets every scan stand alone, which leaks.
        bits: bits of 256 in which the hashes of near duplicates differ at most.
        view: what is compared: the 'whole' image, the 'head' alone, or 'either' of them.
        mirrored: whether copies that are flipped left to right count too.

    Returns:
        Series of group names, aligned with ``table``; they do not depend on its order.

    Raises:
        MriadError: on an unknown grouping or view, bits out of range, or hashes that are missing.
    """
    if grouping not in get_args(Grouping):
        raise unknown("data.split.group", grouping, get_args(Grouping))
    path = table["path"]
    alone = "scan:" + path
    if grouping == "none":
        return alone
    if grouping == "patient":
        return ("patient:" + table["patient"]).where(table["patient"] != "", alone)
    scans = table if grouping == "auto" else table.assign(patient="")
    together = ("patient", "content") if "content" in scans else ("patient",)
    labels = _without_long_chains(linkage(scans, together=together, bits=bits, view=view, mirrored=mirrored))
    name = ("cluster:" + path.groupby(labels).transform("min")).where(_sizes(labels) > 1, alone)
    patient = scans["patient"].where(scans["patient"] != "").groupby(labels).transform("min")
    return ("patient:" + patient).where(patient.notna(), name)


def near_duplicate_clusters(
    facts: pd.DataFrame, *, bits: int = BITS, view: View = "either", mirrored: bool = MIRRORED
) -> Integers:
    """Near-duplicate cluster of each scan, transitive, however long the chain.

    Args:
        facts: scans with columns ``phash`` and ``phash_head``; where they have ``patient`` too, scans that have
            patient ids are not compared with each other.
        bits, view, mirrored: see ``groups``.

    Returns:
        (n,) labels 0, 1, ...

    Raises:
        MriadError: see ``groups``.
    """
    return np.unique(linkage(facts, together=(), bits=bits, view=view, mirrored=mirrored)[-1], return_inverse=True)[1]


def facts_of(table: pd.DataFrame, **nearness: Any) -> pd.Series:
    """What belongs together as far as it is known, whatever a split says: the groups of 'auto'.

    Args:
        table: see ``groups``; where it has a column ``group``, that is what was found before.
        **nearness: ``bits``, ``view`` and ``mirrored``.
    """
    return table["group"] if "group" in table else groups(table, "auto", **nearness)


def joined(facts: pd.Series, claimed: pd.Series) -> pd.Series:
    """Groups that keep together what either of two groupings does, with the names of the first.

    Args:
        facts, claimed: names of the groups, of the same scans.
    """
    fact, names = pd.factorize(facts, sort=True)
    claim, claims = pd.factorize(claimed)
    nodes = len(names) + len(claims)
    graph = coo_array((np.ones(len(fact)), (fact, claim + len(names))), shape=(nodes, nodes))
    part = pd.Series(connected_components(graph, directed=False)[1][: len(names)])
    first = part.index.to_series().groupby(part).transform("min").to_numpy()
    return pd.Series(np.asarray(names, dtype=object)[first[fact]], index=facts.index)


def recognised(
    of: pd.DataFrame,
    seen: pd.DataFrame,
    *,
    patients: Patients = "same",
    bits: int = BITS,
    view: View = "either",
    mirrored: bool = MIRRORED,
) -> NDArray[np.str_]:
    """By what each scan of one data set is known from another: itself, or what it shares a group with.

    Both sets are grouped together: near duplicates, files of identical content and patients join scans, transitively.

    Args:
        of: scans with columns ``content``, ``patient``, ``phash`` and ``phash_head``. A scan of a patient with several
            ids has a row for each.
        seen: the scans of the other set, with the same columns; ``patient`` may be missing.
        patients: whether an id that both sets use is that of one patient ('same'), or means nothing ('unrelated')
            unless they share one of the patient's files.
        bits, view, mirrored: see ``groups``.

    Returns:
        (n,) of ``REASONS``, aligned with ``of``: 'content' where the very file is among the others, else 'patient'
        where its patient is, else 'near duplicate' where it resembles one of them or hangs together with one that
        does; '' for a scan that is new.

    Raises:
        MriadError: on an unknown value of ``patients``, and see ``groups``.
    """
    if patients not in get_args(Patients):
        raise unknown("patients", patients, get_args(Patients))
    prefixes = ("", "") if patients == "same" else ("of:", "seen:")
    here, there = (part.assign(patient=_prefixed(part, name)) for part, name in zip((of, seen), prefixes, strict=True))
    both = pd.concat([here, there])
    labels = _without_long_chains(
        linkage(both, together=("patient", "content"), bits=bits, view=view, mirrored=mirrored)
    )
    # a scan may have lost the one that it resembles where a chain was cut, or because both have patient ids: those of
    # two data sets do not say that the patients differ
    anonymous = seen.drop(columns="patient", errors="ignore")
    alike = has_near_duplicate(of, anonymous, bits=bits, view=view, mirrored=mirrored)
    own, theirs = labels[: len(of)], labels[len(of) :]
    holds = (np.isin(own, theirs) | np.isin(own, own[alike]), *(_among(here[c], there[c]) for c in REASONS[2:]))
    return np.asarray(REASONS)[np.max([rank * held for rank, held in enumerate(holds, start=1)], axis=0)]


def _without_long_chains(levels: Integers) -> Integers:
    """Labels at the widest distance, and at a stricter one wherever they join too many scans."""
    labels = levels[-1]
    limit = max(_LARGEST_SHARE * len(labels), _LARGEST_SIZE)
    distance = len(levels) - 1
    while distance > 0 and (large := _sizes(labels) > limit).any():
        distance -= 1
        labels = np.unique(np.where(large, levels[distance] + len(labels), labels), return_inverse=True)[1]
    chained = _sizes(levels[-1]) > limit
    chains, parts = len(np.unique(levels[-1][chained])), len(np.unique(labels[chained]))
    if parts > chains:
        log.warning(
            "%d of %d scans hang together in %d long chain(s) of near duplicates, which are cut into %d groups at down "
            "to %d differing bits; scans of different groups may resemble each other.",
            chained.sum(),
            len(labels),
            chains,
            parts,
            distance,
        )
    return labels


def _among(texts: pd.Series, others: pd.Series) -> NDArray[np.bool_]:
    return ((texts != "") & texts.isin(others)).to_numpy()


def _sizes(labels: Integers) -> Integers:
    return np.bincount(labels)[labels]


def _prefixed(scans: pd.DataFrame, prefix: str) -> pd.Series:
    patient = pd.Series(patients_of(scans), index=scans.index, dtype=object)
    return (prefix + patient).where(patient != "", "")
