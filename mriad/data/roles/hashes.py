"""Comparison of perceptual hashes, many against many: only such pairs are looked at as may be near."""

from __future__ import annotations

from collections.abc import Callable, Iterator
from typing import Literal

import numpy as np
import pandas as pd
from numpy.typing import NDArray
from scipy.sparse import coo_array
from scipy.sparse.csgraph import connected_components

from mriad.errors import MriadError, unknown

View = Literal["either", "whole", "head"]
BITS = 10
"""Bits of 256 in which the hashes of near duplicates differ at most."""
MIRRORED = True
"""Whether copies that are flipped left to right count as near duplicates."""

_COLUMNS = {"either": ("phash", "phash_head"), "whole": ("phash",), "head": ("phash_head",)}
_HASH_BITS = 256
_MOST_BITS = 64  # unrelated brains differ in about 110
# the cosine coefficients of odd columns change their sign with left and right, and their median lies near 0
_FLIP = np.packbits(np.tile(np.arange(16) % 2, 16))
_FEWEST_PARTS = 5  # a part must fit into 63 bits
_PENDING = 1_000_000  # edges that wait to be merged

Integers = NDArray[np.int64]


def has_near_duplicate(
    of: pd.DataFrame, among: pd.DataFrame, *, bits: int = BITS, view: View = "either", mirrored: bool = MIRRORED
) -> NDArray[np.bool_]:
    """Whether each scan has a near duplicate among other scans.

    Args:
        of, among: scans with columns ``phash`` and ``phash_head``; where both have ``patient`` too, scans that have
            patient ids are not compared with each other, for registered slices of two patients may look alike.
        bits: bits of 256 in which the hashes of near duplicates differ at most.
        view: what is compared: the 'whole' image, the 'head' alone, or 'either' of them.
        mirrored: whether copies that are flipped left to right count too.

    Returns:
        (n,) booleans, aligned with ``of``.

    Raises:
        MriadError: on an unknown view, bits out of range, or hashes that are missing.
    """
    _require(of, among, bits=bits, view=view)
    first, others = _first_alike(of, view), np.unique(_first_alike(among, view))
    own = np.unique(first)
    sides = pd.concat([part.iloc[rows] for part, rows in ((of, own), (among, others))])
    theirs = np.arange(len(sides)) >= len(own)
    named = np.concatenate([patients_of(of)[own], patients_of(among)[others]]) != ""

    def comparable(one: Integers, other: Integers) -> NDArray[np.bool_]:
        return (theirs[one] != theirs[other]) & ~(named[one] & named[other])

    found = np.zeros(len(sides), dtype=bool)
    for one, other, _ in _near(sides, bits=bits, view=view, mirrored=mirrored, comparable=comparable):
        found[one] = found[other] = True
    return found[np.searchsorted(own, first)]


def linkage(scans: pd.DataFrame, *, together: tuple[str, ...], bits: int, view: View, mirrored: bool) -> Integers:
    """Clusters of near duplicates, transitive, at every distance up to ``bits``.

    Args:
        scans: with columns as for ``has_near_duplicate``.
        together: columns whose values join scans at any distance, except ''.
        bits, view, mirrored: see ``has_near_duplicate``.

    Returns:
        (bits + 1, n) labels; those of row d join scans that differ in at most d bits.

    Raises:
        MriadError: see ``has_near_duplicate``.
    """
    _require(scans, bits=bits, view=view)
    first = _first_alike(scans, view)
    levels = np.tile(np.arange(len(scans)), (bits + 1, 1))
    twins = np.stack([np.arange(len(scans)), first, np.zeros_like(first)])
    for edges in (twins, *(_sharing(scans[key].to_numpy(dtype=str)) for key in together)):
        levels = _merged(levels, edges)
    rows = np.unique(first)
    named = patients_of(scans)[rows] != ""
    if named.all():
        return levels
    pending: list[Integers] = []
    waiting = 0
    for one, other, distance in _near(
        scans.iloc[rows], bits=bits, view=view, mirrored=mirrored, comparable=lambda i, j: ~(named[i] & named[j])
    ):
        edges = np.stack([rows[one], rows[other], distance])
        edges = edges[:, levels[distance, edges[0]] != levels[distance, edges[1]]]
        pending.append(edges)
        waiting += edges.shape[1]
        if waiting > _PENDING:
            levels, pending, waiting = _merged(levels, *pending), [], 0
    return _merged(levels, *pending)


def patients_of(scans: pd.DataFrame) -> NDArray[np.str_]:
    """(n,) patient ids, '' where unknown."""
    return scans["patient"].to_numpy(dtype=str) if "patient" in scans else np.full(len(scans), "")


def _merged(levels: Integers, *edges: Integers) -> Integers:
    """The levels after edges, rows (one end, other end, distance), have joined their ends from the distance on."""
    if not edges:
        return levels
    i, j, distance = np.concatenate(edges, axis=1)
    merged = np.empty_like(levels)
    for level, labels in enumerate(levels):
        counts = distance <= level
        ends = labels[i[counts]], labels[j[counts]]
        graph = coo_array((np.ones(len(ends[0])), ends), shape=(len(labels), len(labels)))
        merged[level] = connected_components(graph, directed=False)[1][labels]
    return merged


def _sharing(keys: NDArray[np.str_]) -> Integers:
    """Edges of distance 0 from each scan to the first of its key."""
    rows = np.flatnonzero(keys != "")
    _, first, key = np.unique(keys[rows], return_index=True, return_inverse=True)
    return np.stack([rows, rows[first[key]], np.zeros_like(rows)])


def _first_alike(scans: pd.DataFrame, view: View) -> Integers:
    """(n,) row of the first scan with the very same hashes; its own for a scan with a patient or without a hash."""
    columns = scans[list(_COLUMNS[view])].reset_index(drop=True)
    rows = columns.index.to_series()
    alone = (patients_of(scans) != "") | columns.isna().any(axis=1)
    others = rows[~alone].groupby([columns[name] for name in columns]).transform("min")
    return others.reindex(rows.index).fillna(rows).to_numpy(dtype=np.int64)


def _require(*tables: pd.DataFrame, bits: int, view: View) -> None:
    if view not in _COLUMNS:
        raise unknown("data.split.view", view, _COLUMNS)
    if not (isinstance(bits, int) and 0 <= bits <= _MOST_BITS):
        raise MriadError(f"data.split.bits={bits} is no number of differing bits; give one from 0 to {_MOST_BITS}.")
    for column in _COLUMNS[view]:
        if any(column not in table for table in tables):
            raise MriadError(f"Near duplicates are found by their hashes, but the scans have no column '{column}'.")


def _near(
    scans: pd.DataFrame,
    *,
    bits: int,
    view: View,
    mirrored: bool,
    comparable: Callable[[Integers, Integers], NDArray[np.bool_]],
) -> Iterator[Integers]:
    """Edges (one, other, distance) between comparable scans whose hashes differ in at most ``bits`` bits.

    Of ``bits`` + 1 parts of two such hashes one at least is the same in both, so only scans that agree in a part are
    compared (multi-index hashing, Norouzi et al. 2012); a pair that agrees in more comes more often. Memory grows with
    the number of scans, not with that of pairs.
    """
    for column in _COLUMNS[view]:
        rows = np.flatnonzero(scans[column].notna())
        digits = "".join(scans[column].iloc[rows])
        packed = np.frombuffer(bytes.fromhex(digits), dtype=np.uint8).reshape(-1, _HASH_BITS // 8)
        flipped = np.zeros(len(rows), dtype=bool)
        if mirrored:
            flipped = np.repeat([False, True], len(rows))
            rows, packed = np.tile(rows, 2), np.concatenate([packed, packed ^ _FLIP])
        words = np.ascontiguousarray(packed).view(np.uint64)
        bitwise = np.unpackbits(packed, axis=1)
        for part in range(bits + 1):
            key = bitwise[:, part :: max(bits + 1, _FEWEST_PARTS)]
            for i, j in _equal(key @ (1 << np.arange(key.shape[1]))):
                one, other = rows[i], rows[j]
                worth = ~(flipped[i] & flipped[j]) & (one != other) & comparable(one, other)
                distance = np.bitwise_count(words[i[worth]] ^ words[j[worth]]).sum(axis=1, dtype=np.int64)
                yield np.stack([one[worth], other[worth], distance])[:, distance <= bits]


def _equal(keys: Integers) -> Iterator[tuple[Integers, Integers]]:
    """All pairs of positions with equal keys, each pair once, no more at a time than there are keys."""
    order = np.argsort(keys, kind="stable")
    keys = keys[order]
    start = np.arange(len(keys))
    for step in range(1, len(keys)):
        start = start[: np.searchsorted(start, len(keys) - step)]
        start = start[keys[start] == keys[start + step]]
        if len(start) == 0:
            return
        yield order[start], order[start + step]
