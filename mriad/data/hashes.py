"""Comparison of perceptual hashes, many against many, block by block: memory does not grow with the number of pairs."""

from __future__ import annotations

from collections.abc import Iterator
from typing import Literal

import numpy as np
import pandas as pd
from numpy.typing import NDArray
from scipy.sparse import coo_array
from scipy.sparse.csgraph import connected_components

from mriad.errors import MriadError

View = Literal["either", "whole", "head"]
BITS = 10
"""Bits of 256 in which the hashes of near duplicates differ at most."""
MIRRORED = True
"""Whether copies that are flipped left to right count as near duplicates."""

_COLUMNS = {"either": ("phash", "phash_head"), "whole": ("phash",), "head": ("phash_head",)}
_HASH_BITS = 256
_MOST_BITS = 64  # unrelated brains differ in about 110
# the cosine coefficients of odd columns change their sign with left and right, and their median lies near 0
_FLIP = np.tile(np.where(np.arange(16) % 2, -1, 1), 16).astype(np.float32)
_BLOCK = 1024  # scans on either side of one comparison
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
    codes, others = _codes(of, bits, view), _codes(among, bits, view)
    named, others_named = patients_of(of) != "", patients_of(among) != ""
    found = np.zeros(len(of), dtype=bool)
    for rows in _blocks(0, len(of)):
        for columns in _blocks(0, len(among)):
            comparable = ~(named[rows, None] & others_named[None, columns])
            if comparable.any():
                near = _likeness(codes, rows, others, columns, mirrored) >= _HASH_BITS - 2 * bits
                found[rows] |= (near & comparable).any(axis=1)
    return found


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
    order = np.argsort(patients_of(scans) != "", kind="stable")  # a pair of two patients' scans is not even looked at
    scans = scans.iloc[order]
    anonymous = int((patients_of(scans) == "").sum())
    codes = _codes(scans, bits, view)
    levels = np.tile(np.arange(len(scans)), (bits + 1, 1))
    for key in together:
        levels = _merged(levels, _sharing(scans[key].to_numpy(dtype=str)))
    pending: list[Integers] = []
    for rows in _blocks(0, anonymous):
        for columns in _blocks(rows.start, len(scans)):
            likeness = _likeness(codes, rows, codes, columns, mirrored)
            row, column = np.nonzero(likeness >= _HASH_BITS - 2 * bits)
            distance = ((_HASH_BITS - likeness[row, column]) / 2).astype(np.int64)
            edges = np.stack([row + rows.start, column + columns.start, distance])
            pending.append(edges[:, levels[distance, edges[0]] != levels[distance, edges[1]]])
            if sum(part.shape[1] for part in pending) > _PENDING:
                levels, pending = _merged(levels, *pending), []
    levels = _merged(levels, *pending)
    return levels[:, np.argsort(order)]


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


def _codes(scans: pd.DataFrame, bits: int, view: View) -> list[NDArray[np.float32]]:
    """(n, 256) vectors of -1 and 1 for each hash that is compared; zeros, like no other, for a scan without one."""
    if view not in _COLUMNS:
        raise MriadError(f"data.split.view={view} is unknown; choose {' or '.join(_COLUMNS)}.")
    if not (isinstance(bits, int) and 0 <= bits <= _MOST_BITS):
        raise MriadError(f"data.split.bits={bits} is no number of differing bits; give one from 0 to {_MOST_BITS}.")
    codes = []
    for column in _COLUMNS[view]:
        if column not in scans:
            raise MriadError(f"Near duplicates are found by their hashes, but the scans have no column '{column}'.")
        known = scans[column].notna().to_numpy()
        packed = np.frombuffer(bytes.fromhex("".join(scans[column][known])), dtype=np.uint8)
        code = np.zeros((len(scans), _HASH_BITS), dtype=np.float32)
        code[known] = 2 * np.unpackbits(packed.reshape(-1, _HASH_BITS // 8), axis=1).astype(np.int8) - 1
        codes.append(code)
    return codes


def _likeness(
    codes: list[NDArray[np.float32]], rows: slice, others: list[NDArray[np.float32]], columns: slice, mirrored: bool
) -> NDArray[np.float32]:
    """256 minus twice the number of differing bits, of the hashes that are most alike."""
    sides = [(code[rows], other[columns].T) for code, other in zip(codes, others, strict=True)]
    if mirrored:
        sides += [(side * _FLIP, other) for side, other in sides]
    likeness, *products = (side @ other for side, other in sides)
    for product in products:
        np.maximum(likeness, product, out=likeness)
    return likeness


def _blocks(start: int, stop: int) -> Iterator[slice]:
    for first in range(start, stop, _BLOCK):
        yield slice(first, min(first + _BLOCK, stop))
