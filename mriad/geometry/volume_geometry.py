"""Where the working grid of a volume lies in its scan, and the way back."""

from __future__ import annotations

from dataclasses import dataclass

import numpy as np
from numpy.typing import NDArray
from scipy import ndimage

from mriad.geometry.grid import Grid
from mriad.geometry.resample import resample

_TOUCHING = np.ones((3, 3, 3), dtype=bool)


@dataclass(frozen=True, kw_only=True)
class VolumeGeometry:
    """The path from a scan's voxels to the network's.

    Args:
        scan: grid of the scan, in its file's order of axes.
        working: grid of what the network sees.
        stripped: whether the scan shows a brain without its skull.
    """

    scan: Grid
    working: Grid
    stripped: bool = False

    def mask_to_network(self, mask: NDArray[np.bool_]) -> NDArray[np.bool_]:
        """Mask on the scan's grid to the working grid; each lesion that reaches into it keeps a voxel.

        A voxel is lesion where at least half of it is, around a lesion that fills no voxel so far where it has at least
        half of its own largest share, as in ``ScanGeometry``.
        """
        share = resample(mask, self.scan, self.working, kind="share")
        regions, count = ndimage.label(share > 0, structure=_TOUCHING)
        peaks = np.asarray(ndimage.maximum(share, regions, range(count + 1)))
        threshold = np.where(peaks >= 0.5, 0.5, peaks / 2)[regions]
        inside: NDArray[np.bool_] = (share > 0) & (share >= threshold)
        lesion, voxel = self._lesions(mask)
        found = np.bincount(lesion, weights=inside.ravel()[voxel], minlength=1)
        lost = found[lesion] == 0
        inside.ravel()[_fullest(lesion[lost], voxel[lost])] = True
        return inside

    def count_lesions(self, mask: NDArray[np.bool_]) -> tuple[int, int, int]:
        """Lesions of a mask on the scan's grid, those that reach into the working grid, and what they come to there.

        A lesion is a 26-connected component. Those of which most lies in one component of ``mask_to_network`` have come
        to one.
        """
        _, count = ndimage.label(mask, structure=_TOUCHING)
        lesion, voxel = self._lesions(mask)
        components, _ = ndimage.label(self.mask_to_network(mask), structure=_TOUCHING)
        home = components.ravel()[voxel].astype(np.int64)
        seen = home > 0
        return count, len(np.unique(lesion)), len(np.unique(_fullest(lesion[seen], home[seen])))

    def to_scan(self, values: NDArray[np.float32], *, fill: float = 0.0) -> NDArray[np.float32]:
        """Map on the working grid back to the scan's own, linear; ``fill`` outside of it."""
        return resample(values, self.working, self.scan, kind="linear", fill=fill)

    @property
    def pixel_area(self) -> float:
        """Volume in mm3 that a voxel of the working grid fills."""
        return self.working.voxel_volume

    def _lesions(self, mask: NDArray[np.bool_]) -> tuple[NDArray[np.int64], NDArray[np.int64]]:
        """Of each lesion voxel in the working grid: the number of its lesion, and the place of the voxel it lies in."""
        labels, _ = ndimage.label(mask, structure=_TOUCHING)
        index = np.argwhere(mask)
        there = np.floor(self.working.to_index(self.scan.to_world(index)) + 0.5).astype(np.int64)
        inside = ((there >= 0) & (there < self.working.shape)).all(axis=1)
        lesion = labels[tuple(index[inside].T)].astype(np.int64)
        return lesion, np.ravel_multi_index(tuple(there[inside].T), self.working.shape)


def _fullest(lesion: NDArray[np.int64], voxel: NDArray[np.int64]) -> NDArray[np.int64]:
    """For each lesion the number that most of its voxels have."""
    pairs, counts = np.unique(np.stack([lesion, voxel]), axis=1, return_counts=True)
    order = np.lexsort((-counts, pairs[0]))
    _, first = np.unique(pairs[0, order], return_index=True)
    return pairs[1, order][first]
