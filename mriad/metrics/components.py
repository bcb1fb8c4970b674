"""Connected components of what a map calls anomalous, counted against the lesions, scan by scan and level by level."""

from __future__ import annotations

from dataclasses import dataclass
from typing import Self

import cc3d
import cv2
import numpy as np
from numpy.typing import NDArray

from mriad.metrics.scans import Scans, are_volumes, parts, sampled

LEAST_COVERED = 10  # % of a lesion that its components cover: alpha of MSSEG
LEAST_INSIDE = 30  # % of a component that lies in lesions: 100 - beta of MSSEG
LEVELS = 50
STRICTEST, LAXEST = 1e-5, 0.2  # share of all pixels that a level calls
SAMPLE = 2**23  # of the voxels of volumes at most so many set the levels

Maps = NDArray[np.float32]
Masks = NDArray[np.bool_]
Counts = NDArray[np.int64]


@dataclass(frozen=True)
class ComponentCounts:
    """Lesions and components of each of N scans at each of L levels.

    A lesion is a connected component of the mask, a component one of ``map > level``: 8-connected in pictures,
    26-connected in volumes, whose pixels are voxels. As in the MSSEG challenge (Commowick et al., Scientific Reports
    8:13650, 2018), a lesion is hit where components cover at least ``LEAST_COVERED`` % of it, in one piece or several,
    of which each has at least ``LEAST_INSIDE`` % of its pixels in lesions. (MSSEG spares the smallest pieces this
    second condition, by a parameter gamma; here it holds for each.)

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
    def of(cls, maps: Scans, masks: Scans | None, levels: NDArray[np.floating]) -> Self:
        """Count (N, *spatial) maps, taken as float32, and boolean masks, which may be empty, at (L,) levels."""
        hits, false = (np.zeros((len(maps), len(levels)), dtype=np.int64) for _ in range(2))
        lesions = np.zeros(len(maps), dtype=np.int64)
        for part in parts(maps):
            values = np.asarray(maps[part], dtype=np.float32)
            mask = np.zeros(values.shape, dtype=bool) if masks is None else np.asarray(masks[part], dtype=bool)
            lesion = _Components.of(mask)
            lesions[part] = lesion.per_scan()
            for column, level in enumerate(levels.tolist()):  # a Python float is compared in the map's float32
                components = _Components.of(values > level)
                hits[part, column], false[part, column] = _match(lesion, components)
        return cls(hits, false, lesions)


def sweep_levels(maps: Scans) -> Maps:
    """Levels at which to count components of (N, *spatial) maps, falling from the maximum, above which nothing lies.

    The distinct values where these are at most ``LEVELS``; else, beside the maximum, the quantiles above which lie
    ``STRICTEST`` to ``LAXEST`` of all pixels, each share a fifth larger than the one before. Where volumes have more
    than ``SAMPLE`` voxels, values and quantiles are those of a sample.
    """
    if are_volumes(maps):
        ordered = np.sort(sampled(maps, SAMPLE))
        highest = np.float32(max(values.max() for values in maps))
        ordered = np.append(ordered, highest) if highest > ordered[-1] else ordered
    else:
        ordered = np.sort(np.asarray(maps), axis=None)
    first = np.append(True, ordered[1:] != ordered[:-1])
    if np.count_nonzero(first) <= LEVELS:
        return ordered[first][::-1]
    above = (np.geomspace(STRICTEST, LAXEST, LEVELS) * ordered.size).astype(np.int64)
    return np.unique(ordered[-1 - np.append(0, above)])[::-1]


def connected(pixels: Masks) -> NDArray[np.integer]:
    """Number the components of an (H, W) picture, 8-connected, or a (D, H, W) volume, 26-connected, from 1."""
    if pixels.ndim == 2:
        return np.asarray(cv2.connectedComponents(pixels.view(np.uint8), connectivity=8)[1])
    return np.asarray(cc3d.connected_components(pixels, connectivity=26, binary_image=True))


@dataclass(frozen=True)
class _Components:
    """The K components of a stack of N scans, numbered from 1; number 0 is what belongs to none."""

    labels: NDArray[np.integer]  # (N, H + 1, W) or (N, D + 1, H, W) number; a line or slice of 0 parts the scans
    inside: Counts  # places of the pixels of all components in the flat stack
    areas: Counts  # (K + 1,) pixels, 0 for number 0
    scan: Counts  # (K + 1,) row of the scan

    @classmethod
    def of(cls, pixels: Masks) -> Self:
        spatial = pixels.ndim - 1
        apart = np.pad(pixels, ((0, 0), (0, 1), *[(0, 0)] * (spatial - 1)))
        labels = connected(apart.reshape(-1, *apart.shape[2:])).reshape(apart.shape)
        inside = np.flatnonzero(apart)  # of booleans, which takes a quarter of the time of bytes
        component = labels.ravel()[inside]
        areas = np.bincount(component, minlength=1)
        scan = np.zeros(len(areas), dtype=np.int64)
        scan[component] = inside // apart[0].size
        return cls(labels, inside, areas, scan)

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
