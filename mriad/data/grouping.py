"""Which scans belong together and must never stand on both sides of a split."""

from __future__ import annotations

import logging
from typing import Literal, get_args

import numpy as np
import pandas as pd
from numpy.typing import NDArray

from mriad.data.hashes import BITS, MIRRORED, Integers, View, has_near_duplicate, linkage, patients_of
from mriad.errors import unknown

__all__ = [
    "BITS",
    "MIRRORED",
    "Grouping",
    "View",
    "groups",
    "has_near_duplicate",
    "in_group_of",
    "near_duplicate_clusters",
]

log = logging.getLogger(__name__)

Grouping = Literal["auto", "patient", "near_duplicate", "none"]

# a chain of more scans than both is cut; the largest natural cluster of the Kaggle sets holds 19 scans, under 1.5 %
_LARGEST_SHARE, _LARGEST_SIZE = 0.05, 20


def groups(
    table: pd.DataFrame, grouping: Grouping, *, bits: int = BITS, view: View = "either", mirrored: bool = MIRRORED
) -> pd.Series:
    """Group of each scan.

    Near duplicates are scans whose perceptual hashes differ in a few bits, and so are those that a chain of such
    pairs connects. A chain that holds more than 5 % of the scans, and more than 20, is cut with a warning: the
    distance that joins its scans is lowered bit by bit until its parts are small. Identical hashes and the scans of a
    patient stay together.

    Args:
        table: a catalog's rows; near duplicates need columns ``phash`` and ``phash_head`` (see ``Fingerprint``).
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
    labels = _without_long_chains(linkage(scans, together=("patient",), bits=bits, view=view, mirrored=mirrored))
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


def in_group_of(
    of: pd.DataFrame, seen: pd.DataFrame, *, bits: int = BITS, view: View = "either", mirrored: bool = MIRRORED
) -> NDArray[np.bool_]:
    """Whether each scan of one data set shares a group with a scan of another, the two sets grouped together.

    Near duplicates, files of identical content and the patients of either set join scans, transitively. A patient id
    that both sets use is not taken for one patient, unless they share one of the patient's files.

    Args:
        of: scans with columns ``content``, ``patient``, ``phash`` and ``phash_head``.
        seen: the other scans, with the same columns; ``patient`` may be missing.
        bits, view, mirrored: see ``groups``.

    Returns:
        (n,) booleans, aligned with ``of``.

    Raises:
        MriadError: see ``groups``.
    """
    both = pd.concat([part.assign(patient=_prefixed(part, name)) for part, name in ((of, "of:"), (seen, "seen:"))])
    labels = _without_long_chains(
        linkage(both, together=("patient", "content"), bits=bits, view=view, mirrored=mirrored)
    )
    shared: NDArray[np.bool_] = np.isin(labels[: len(of)], labels[len(of) :])
    # a scan may have lost the one that it resembles where a chain was cut, or because both have patient ids: those of
    # two data sets do not say that the patients differ
    anonymous = seen.drop(columns="patient", errors="ignore")
    alike = has_near_duplicate(of, anonymous, bits=bits, view=view, mirrored=mirrored)
    return shared | np.isin(labels[: len(of)], labels[: len(of)][alike])


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


def _sizes(labels: Integers) -> Integers:
    return np.bincount(labels)[labels]


def _prefixed(scans: pd.DataFrame, prefix: str) -> pd.Series:
    patient = pd.Series(patients_of(scans), index=scans.index, dtype=object)
    return (prefix + patient).where(patient != "", "")
