"""Connected components of what a map calls anomalous, counted against the lesions, scan by scan and level by level."""

from __future__ import annotations

from dataclasses import dataclass
from typing import Self

import cv2
import numpy as np
from numpy.typing import NDArray

LEAST_COVERED = 10  # % of a lesion that its components cover: alpha of MSSEG
LEAST_INSIDE = 30  # % of a component that lies in lesions: 100 - beta of MSSEG
LEVELS = 50
STRICTEST, LAXEST = 1e-5, 0.2  # share of all pixels that a level calls
SCANS_AT_ONCE = 64  # their labels take 4 MB at 128 x 128 pixels

Maps = NDArray[np.float32]
Masks = NDArray[np.bool_]
Counts = NDArray[np.int64]


@dataclass(frozen=True)
class ComponentCounts:
    """Lesions and components of each of N scans at each of L levels.

    A lesion is a connected component of the mask, a component one of ``map > level`` (2D, 8-connected). As in the MSSEG
    challenge (Commowick et al., Scientific Reports 8:13650, 2018), a lesion is hit where components cover at least
    ``LEAST_COVERED`` % of it, in one piece or several, of which each has at least ``LEAST_INSIDE`` % of its pixels in
    lesions. (MSSEG spares the smallest pieces this second condition, by a parameter gamma; here it holds for each.)

    The second condition is what keeps a component as large as the brain, which covers every lesion, from hitting any
    where lesions make up less than three tenths of it. A least intersection over union has to be high to do that,
    and then misses a lesion of which only the core is found; MSSEG sets the two conditions apart.

    Every component without part in a hit is false, whether or not it touches a lesion: so is a detection below the
    least overlap in PASCAL VOC (Everingham et al., IJCV 2010), from which object detection has it.
    """

    hits: Counts  # (N, L) lesions that are hit
    false: Counts  # (N, L) components without part in a hit
    lesions: Counts  # (N,)

    @classmethod
    def of(cls, maps: Maps, masks: Masks, levels: NDArray[np.floating]) -> Self:
        """Count (N, H, W) float32 maps and boolean masks, which may be empty, at (L,) levels."""
        hits, false = (np.zeros((len(maps), len(levels)), dtype=np.int64) for _ in range(2))
        lesions = np.zeros(len(maps), dtype=np.int64)
        for start in range(0, len(maps), SCANS_AT_ONCE):
            part = slice(start, start + SCANS_AT_ONCE)
            lesion = _Components.of(masks[part])
            lesions[part] = lesion.per_scan()
            for column, level in enumerate(levels.tolist()):  # a Python float is compared in the map's float32
                components = _Components.of(maps[part] > level)
                hits[part, column], false[part, column] = _match(lesion, components)
        return cls(hits, false, lesions)


def sweep_levels(maps: Maps) -> Maps:
    """Levels at which to count components of (N, H, W) maps, falling from the maximum, above which nothing lies.

    The distinct values where these are at most ``LEVELS``; else, beside the maximum, the quantiles above which lie
    ``STRICTEST`` to ``LAXEST`` of all pixels, each share a fifth larger than the one before.
    """
    ordered = np.sort(maps, axis=None)
    first = np.append(True, ordered[1:] != ordered[:-1])
    if np.count_nonzero(first) <= LEVELS:
        return ordered[first][::-1]
    above = (np.geomspace(STRICTEST, LAXEST, LEVELS) * ordered.size).astype(np.int64)
    return np.unique(ordered[-1 - np.append(0, above)])[::-1]


@dataclass(frozen=True)
class _Components:
    """The K components of a stack of N scans, numbered from 1; number 0 is what belongs to none."""

    labels: NDArray[np.int32]  # (N, H + 1, W) number of the component; a line of 0 keeps a scan from the next
    inside: Counts  # places of the pixels of all components in the flat stack
    areas: Counts  # (K + 1,) pixels, 0 for number 0
    scan: Counts  # (K + 1,) row of the scan

    @classmethod
    def of(cls, pixels: Masks) -> Self:
        apart = np.pad(pixels, ((0, 0), (0, 1), (0, 0)))
        count, numbers = cv2.connectedComponents(apart.view(np.uint8).reshape(-1, apart.shape[2]), connectivity=8)
        labels = np.asarray(numbers, dtype=np.int32).reshape(apart.shape)
        inside = np.flatnonzero(apart)  # of booleans, which takes a quarter of the time of bytes
        component = labels.ravel()[inside]
        scan = np.zeros(count, dtype=np.int64)
        scan[component] = inside // apart[0].size
        return cls(labels, inside, np.bincount(component, minlength=count), scan)

    def per_scan(self, chosen: NDArray[np.bool_] | None = None) -> Counts:
        """(N,) number of the chosen components, of all if None; ``chosen`` is (K + 1,)."""
        scan = self.scan if chosen is None else np.where(chosen, self.scan, -1)
        return np.bincount(scan[1:] + 1, minlength=len(self.labels) + 1)[1:]


def _match(lesion: _Components, called: _Components) -> tuple[Counts, Counts]:
    """(N,) lesions hit and (N,) false components."""
    inner, outer = (components.labels.ravel()[lesion.inside] for components in (lesion, called))
    precise = 100 * np.bincount(outer, minlength=len(called.areas)) >= LEAST_INSIDE * called.areas
    precise[0] = False
    inner, outer = inner[precise[outer]], outer[precise[outer]]
    hit = 100 * np.bincount(inner, minlength=len(lesion.areas)) >= LEAST_COVERED * lesion.areas
    false = np.ones(len(called.areas), dtype=bool)
    false[outer[hit[inner]]] = False
    return lesion.per_scan(hit), called.per_scan(false)
