"""Where the working grid of a volume lies in its scan, and the way back."""

from __future__ import annotations

from dataclasses import dataclass

import numpy as np
from numpy.typing import NDArray

from mriad.geometry.grid import Grid
from mriad.geometry.resample import resample, resample_mask

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
        """Mask on the scan's grid to the working grid; each lesion that reaches into it keeps a voxel."""
        return resample_mask(mask, self.scan, self.working)

    def to_scan(self, values: NDArray[np.float32], *, fill: float = 0.0) -> NDArray[np.float32]:
        """Map on the working grid back to the scan's own, linear; ``fill`` outside of it."""
        return resample(values, self.working, self.scan, kind="linear", fill=fill)

    def count_lesions(self, mask: NDArray[np.bool_]) -> tuple[int, int, int]:
        """Lesions of a mask on the scan's grid, those that reach into the working grid, and what they come to there.

        A lesion is a 26-connected component. Those whose fullest voxels lie in one component of ``mask_to_network``
        have come to one.
        """
        from scipy import ndimage  # a picture does without

        lesions, count = ndimage.label(mask, structure=_TOUCHING)
        components, _ = ndimage.label(self.mask_to_network(mask), structure=_TOUCHING)
        voxels = np.argwhere(mask)
        there = np.rint(self.working.to_index(self.scan.to_world(voxels))).astype(int)
        seen = ((there >= 0) & (there < self.working.shape)).all(axis=1)
        lesion, home = lesions[tuple(voxels[seen].T)], components[tuple(there[seen].T)]
        votes = np.zeros((count + 1, components.max(initial=0) + 1), dtype=np.int64)
        np.add.at(votes, (lesion, home), 1)
        inside, homes = votes.any(axis=1), votes[:, 1:]
        merged = len(np.unique(homes[homes.any(axis=1)].argmax(axis=1))) if homes.size else 0
        return count, int(inside.sum()), merged

    def as_record(self) -> dict[str, object]:
        """What is worth knowing of it as plain values, for a table row.

        ``depth``, ``height``, ``width`` and ``spacing`` (mm) are those of the scan with its axes turned to the house's.
        """
        turned = self.scan.reoriented()
        depth, height, width = turned.shape
        return {
            "depth": depth,
            "height": height,
            "width": width,
            "spacing": list(turned.spacing),
            "orientation": self.scan.orientation,
            "stripped": self.stripped,
            "voxel_volume": self.voxel_volume,
            "working_spacing": self.working.spacing[0],
        }

    @property
    def voxel_volume(self) -> float:
        """Volume in mm3 that a voxel of the working grid fills."""
        return self.working.voxel_volume
