"""Cubes of volumes at random places, for a detector of three dimensions that does not see the whole."""

from __future__ import annotations

import logging
from collections.abc import Mapping
from dataclasses import dataclass
from typing import TYPE_CHECKING, Any

import numpy as np
import torch
from numpy.typing import NDArray
from torch.utils.data import Dataset

from mriad.data.batches import as_tensor
from mriad.data.preparing.cache import ScanCache
from mriad.data.training.datasets import SeededIndices, TrainBatch
from mriad.data.training.samples import TISSUE
from mriad.errors import MriadError

if TYPE_CHECKING:
    from mriad.data.training.augment import Augment

log = logging.getLogger(__name__)


@dataclass(frozen=True, kw_only=True)
class PatchChoice:
    """Which cubes of a volume a detector learns from.

    Args:
        size: side of a cube in voxels.
        per_scan: number of cubes of each volume in an epoch.
        least_brain: share of a cube that shows tissue, below which it is not taken, in [0, 1].
        overlap: of the cubes of a scan that is scored; the detector reads it, training does not.

    Raises:
        MriadError: if a number is out of range.
    """

    size: int
    per_scan: int = 8
    least_brain: float = 0.1
    overlap: float = 0.5

    def __post_init__(self) -> None:
        if isinstance(self.per_scan, bool) or not isinstance(self.per_scan, int) or self.per_scan < 1:
            raise MriadError(f"data.patches.per_scan={self.per_scan} is no number of cubes; give 1 or more.")
        if not isinstance(self.least_brain, int | float) or not 0 <= self.least_brain <= 1:
            raise MriadError(
                f"data.patches.least_brain={self.least_brain} is no share of a cube; choose one from 0 to 1."
            )

    @classmethod
    def of(cls, options: Mapping[str, Any] | None, shape: tuple[int, ...]) -> PatchChoice | None:
        """The choice of the options ``data.patches``; None where ``size`` is None.

        Args:
            options: of the names of the arguments.
            shape: of prepared scans, in pixels or voxels.

        Raises:
            MriadError: if scans are pictures, or too small.
        """
        if options is None or options.get("size") is None:
            return None
        choice = cls(**options)
        if len(shape) != 3:
            raise MriadError(
                f"data.patches.size={choice.size} cuts volumes into cubes, and these data are pictures; drop it, or "
                "choose data of volumes, as data=volumes is."
            )
        if choice.size > min(shape):
            raise MriadError(
                f"Cubes of data.patches.size={choice.size} do not fit into volumes of {shape} voxels; choose smaller "
                "ones, or null for whole volumes."
            )
        return choice


class PatchDataset(Dataset[TrainBatch]):
    """Cubes of healthy volumes to train on; each time that one is served, its place is drawn from torch's generator.

    All places at which a cube shows enough tissue are equally likely.

    Args:
        scans: the prepared volumes.
        labels: (N,) label of every catalog row.
        rows: (n,) rows to serve a cube of, in this order; one may stand there often. Rows that have no such place are
            left out, with a warning.
        choice: which cubes.
        augment: applied to all cubes of a batch; None for none.

    Raises:
        MriadError: if no row has such a place.
    """

    def __init__(
        self,
        *,
        scans: ScanCache,
        labels: NDArray[np.int64],
        rows: NDArray[np.int64],
        choice: PatchChoice,
        augment: Augment | None = None,
    ) -> None:
        self._scans, self._labels, self._augment, self._size = scans, labels, augment, choice.size
        found = {row: _Places.of(scans.images[row], choice) for row in np.unique(rows).tolist()}
        self._places = {row: places for row, places in found.items() if places.count}
        if not self._places:
            raise MriadError(
                f"No cube of data.patches.size={choice.size} shows tissue in at least data.patches.least_brain="
                f"{choice.least_brain:g} of it in any healthy train scan; lower one of the two."
            )
        if few := len(found) - len(self._places):
            log.warning(
                "%d of %d healthy train scans have no cube with enough tissue (data.patches.least_brain=%g) and do "
                "not train.",
                few,
                len(found),
                choice.least_brain,
            )
        self._rows = rows[np.isin(rows, list(self._places))]

    def __len__(self) -> int:
        return len(self._rows)

    def __getitems__(self, indices: list[int]) -> TrainBatch:
        if isinstance(indices, SeededIndices):
            torch.manual_seed(indices.seed)
        rows = self._rows[indices]
        cubes = np.stack([self._drawn(row) for row in rows.tolist()])
        if self._augment is not None:
            cubes = self._augment(cubes)
        label, row = torch.from_numpy(self._labels[rows]), torch.from_numpy(rows)
        return TrainBatch(image=as_tensor(cubes), label=label, row=row)

    def _drawn(self, row: int) -> NDArray[np.uint8]:
        """(S, S, S) a cube of a volume."""
        corner = self._places[row].draw()
        return self._scans.images[row][tuple(slice(start, start + self._size) for start in corner)]


@dataclass(frozen=True, kw_only=True)
class _Places:
    """The places in a volume at which a cube shows enough tissue.

    Args:
        shape: number of all places along each axis.
        bits: which of them are taken, eight in a byte: a list of them would be larger than the volume.
        count: number of those that are.
    """

    shape: tuple[int, ...]
    bits: NDArray[np.uint8]
    count: int

    @classmethod
    def of(cls, volume: NDArray[np.uint8], choice: PatchChoice) -> _Places:
        shown = _sums(volume >= TISSUE, choice.size)
        taken = shown >= max(1, choice.least_brain * choice.size**3)
        return cls(shape=taken.shape, bits=np.packbits(taken), count=int(taken.sum()))

    def draw(self) -> tuple[int, ...]:
        """First voxel of a cube."""
        taken = np.flatnonzero(np.unpackbits(self.bits))
        drawn = taken[int(torch.randint(self.count, ()))]
        return tuple(map(int, np.unravel_index(drawn, self.shape)))


def _sums(values: NDArray[Any], size: int) -> NDArray[np.int32]:
    """(D - size + 1, H - size + 1, W - size + 1) sums of all cubes of values (D, H, W)."""
    for axis in range(3):
        running = np.insert(values.cumsum(axis, dtype=np.int32), 0, 0, axis)
        places = np.arange(running.shape[axis] - size)
        values = running.take(places + size, axis) - running.take(places, axis)
    return values
