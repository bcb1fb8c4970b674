"""Connected components of what a map calls anomalous, counted against the lesions, scan by scan and level by level."""

from __future__ import annotations

from dataclasses import dataclass
from typing import Self

import numpy as np
from numpy.typing import NDArray
from scipy import ndimage

HIT_IOU = 0.1
LEVELS = 50
STRICTEST, LAXEST = 1e-5, 0.2  # share of all pixels that a level calls
SCANS_AT_ONCE = 64  # their labels take 4 MB at 128 x 128 pixels

Maps = NDArray[np.float32]
Masks = NDArray[np.bool_]
Counts = NDArray[np.int64]

_WITHIN_A_SCAN = np.zeros((3, 3, 3), dtype=bool)
_WITHIN_A_SCAN[1] = True  # eight neighbours, none of them in the scan before or after


@dataclass(frozen=True)
class ComponentCounts:
    """Lesions and false components of each of N scans at each of L levels.

    A lesion is a connected component of the mask, a component one of ``map > level`` (2D, 8-connected). A lesion is
    hit where it and all components that touch it, taken together, have an intersection over union of at least
    ``HIT_IOU``. To take the touching components together is the matching of BraTS-METS (Moawad et al.,
    arXiv 2306.00838, 2023): a lesion found in pieces is found. The least overlap is that of nnDetection (Baumgartner
    et al., MICCAI 2021) and PI-CAI (Saha et al., Lancet Oncol 2024). Without it a component as large as the brain
    would hit every lesion; so it hits none smaller than a tenth of itself, and a single pixel hits none larger than
    ten. A false component touches no lesion pixel. One that touches a lesion without hitting it is neither.
    """

    hits: Counts  # (N, L) lesions that are hit
    false: Counts  # (N, L) false components
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
                hits[part, column], false[part, column] = _match(lesion, _Components.of(maps[part] > level))
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

    labels: NDArray[np.int32]  # (N, H, W) number of the component
    inside: Counts  # places of the pixels of all components in the flat stack
    areas: Counts  # (K + 1,) pixels, 0 for number 0
    scan: Counts  # (K + 1,) row of the scan

    @classmethod
    def of(cls, pixels: Masks) -> Self:
        labels, count = ndimage.label(pixels, structure=_WITHIN_A_SCAN)
        inside = np.flatnonzero(pixels)
        component = labels.ravel()[inside]
        scan = np.zeros(count + 1, dtype=np.int64)
        scan[component] = inside // pixels[0].size
        return cls(labels, inside, np.bincount(component, minlength=count + 1), scan)

    def per_scan(self, chosen: NDArray[np.bool_] | None = None) -> Counts:
        """(N,) number of the chosen components, of all if None; ``chosen`` is (K + 1,)."""
        scan = self.scan if chosen is None else np.where(chosen, self.scan, -1)
        return np.bincount(scan[1:] + 1, minlength=len(self.labels) + 1)[1:]


def _match(lesion: _Components, called: _Components) -> tuple[Counts, Counts]:
    """(N,) lesions hit and (N,) false components."""
    inner, outer = (components.labels.ravel()[lesion.inside] for components in (lesion, called))
    inner, outer = inner[outer > 0], outer[outer > 0]
    count = len(lesion.areas)
    # each component that touches a lesion once
    touching, touched = np.divmod(np.unique(inner.astype(np.int64) * len(called.areas) + outer), len(called.areas))
    covered = np.bincount(inner, minlength=count)
    union = lesion.areas + np.bincount(touching, called.areas[touched], minlength=count) - covered
    hit = covered / np.maximum(union, 1) >= HIT_IOU
    false = np.ones(len(called.areas), dtype=bool)
    false[touched] = False
    return lesion.per_scan(hit), called.per_scan(false)
