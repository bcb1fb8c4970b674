"""What a network sees of a scan: a picture, slices or slabs of a volume, or a whole volume."""

from __future__ import annotations

from collections.abc import Collection, Sequence
from dataclasses import dataclass
from typing import TYPE_CHECKING, Any, TypeVar, cast

import numpy as np
from numpy.typing import NDArray

from mriad.data.preparing.cache import ScanCache
from mriad.data.preparing.packs import Rows
from mriad.errors import MriadError
from mriad.geometry.planes import AXES, slab_of

if TYPE_CHECKING:
    from mriad.data.preparing.prepared import Preparation
    from mriad.data.preparing.volumes import PrepareVolume
    from mriad.data.training.simulation.tissues import Slab, TissueMap

_Level = TypeVar("_Level", np.uint8, np.bool_)

TISSUE = 13  # levels of 255 from which a pixel is no background, 0.05 of the range


@dataclass(frozen=True, kw_only=True)
class SliceChoice:
    """Which slices of a volume a detector learns from, and what it sees beside each.

    Args:
        least_brain: share of a slice that shows tissue, below which it is left out, in [0, 1].
        every: mm from a slice that is taken to the next, from the middle of the volume on; None takes all.
        neighbours: number of slices on each side that are shown beside it: a slab of 2 neighbours + 1 slices.

    Raises:
        MriadError: if a number is out of range.
    """

    least_brain: float = 0.1
    every: float | None = None
    neighbours: int = 0

    def __post_init__(self) -> None:
        if not 0 <= self.least_brain <= 1:
            raise MriadError(
                f"data.slices.least_brain={self.least_brain} is no share of a slice; choose one from 0 to 1."
            )
        if self.every is not None and not self.every > 0:
            raise MriadError(f"data.slices.every={self.every} is no distance in mm; choose one above 0, or null.")
        if not isinstance(self.neighbours, int) or self.neighbours < 0:
            raise MriadError(f"data.slices.neighbours={self.neighbours} is no number of slices; give 0 or more.")

    def options(self, preparation: Preparation) -> dict[str, Any]:
        """What ``Samples`` takes of volumes that were prepared so."""
        spacing = cast("PrepareVolume", preparation).spacing
        every = max(1, round((self.every or 0) / spacing))
        return {"least": self.least_brain, "every": every, "neighbours": self.neighbours, "spacing": spacing}


class Samples:
    """The samples of some rows of a cache, numbered in the rows' order, those of one volume after the other.

    Args:
        cache: the prepared scans.
        rows: (n,) rows, each once.
        planes: of a volume's slices, each of which is a sample; None where a whole scan is one, as any picture is.
        least: share of a slice's pixels that show tissue, below which it is left out.
        every: number of slices from one that is taken to the next.
        neighbours: k slices on each side of a volume's slice that are part of its sample, a slab of C = 2 k + 1 slices
            with the sample's own in the middle; beyond the ends of the volume it is 0. 0 for the slice alone.
        spacing: of volumes, mm per voxel; for ``slabs`` alone.
        labelled: rows with a mask, of which every slice with a lesion is a sample and no other: what a patient shows
            beside a lesion is not known to be healthy.

    Attributes:
        rows: (m,) catalog row of each sample.
        neighbours: as given.
    """

    def __init__(
        self,
        *,
        cache: ScanCache,
        rows: NDArray[np.int64],
        planes: Sequence[str] | None = None,
        least: float = 0.0,
        every: int = 1,
        neighbours: int = 0,
        spacing: float = 1.0,
        labelled: Collection[int] = (),
    ) -> None:
        self._cache, self._planes, self._spacing = cache, planes, spacing
        self._tissues: dict[int, TissueMap] = {}
        self.neighbours = neighbours
        self.rows = rows
        if planes is not None:
            found = [self._slices_of(row, planes, least, every, row in labelled) for row in rows]
            self._places = np.concatenate([np.empty((0, 2), dtype=np.int64), *found])
            self.rows = np.repeat(rows, [len(places) for places in found])

    def __len__(self) -> int:
        return len(self.rows)

    def images(self, index: NDArray[np.int64] | Sequence[int]) -> NDArray[np.uint8]:
        """(n, *spatial) uint8 of samples; slabs are (n, C, S, S)."""
        if self._planes is None:
            return self._cache.images[self.rows[index]]
        slabs = self._slabs(self._cache.images, self.rows[index], index, self.neighbours)
        return slabs if self.neighbours else slabs[:, 0]

    def judged(self, images: NDArray[_Level]) -> NDArray[_Level]:
        """(n, *spatial) what is judged of images of samples: of slabs the slices in their middle, else all of them."""
        return images[:, self.neighbours] if self.neighbours else images

    def slabs(self, index: NDArray[np.int64] | Sequence[int]) -> list[Slab]:
        """Samples of healthy T1-weighted volumes with what is known of their tissues, slabs of C slices each."""
        from mriad.data.training.simulation.tissues import TissueMap  # of other volumes nobody asks

        found = []
        for row, (plane, place) in zip(self.rows[index], self._places[index], strict=True):
            volume = self._cache.images[row]
            if row not in self._tissues:
                self._tissues[row] = TissueMap(volume, spacing=self._spacing)
            planes = cast(Sequence[str], self._planes)
            found.append(self._tissues[row].slab(volume, planes[plane], place, self.neighbours))
        return found

    def masks(self, index: NDArray[np.int64] | Sequence[int]) -> NDArray[np.bool_]:
        """(n, *spatial) lesion masks of samples of rows that have one, of what is judged."""
        if self._planes is None:
            return self._cache.masks_of(self.rows[index])
        return self._slabs(self._cache.masks, self._cache.mask_index(self.rows[index]), index)[:, 0].astype(bool)

    def _slabs(
        self,
        volumes: Rows,
        rows: NDArray[np.int64],
        index: NDArray[np.int64] | Sequence[int],
        neighbours: int = 0,
    ) -> NDArray[np.uint8]:
        """(n, C, S, S); of each volume its slices alone are read: a batch has as many volumes as samples."""
        planes = cast(Sequence[str], self._planes)
        chosen = zip(rows, self._places[index], strict=True)
        return np.stack([slab_of(volumes[row], planes[plane], place, neighbours) for row, (plane, place) in chosen])

    def _slices_of(
        self, row: int, planes: Sequence[str], least: float, every: int, labelled: bool
    ) -> NDArray[np.int64]:
        """(n, 2) number of the plane, and place in it, of the slices of a row that are samples."""
        shown = self._cache.images[row] >= TISSUE
        lesion = self._cache.masks_of(np.array([row]))[0] if labelled else None
        side = shown.shape[1]
        found = []
        for number, plane in enumerate(planes):
            others = tuple(axis for axis in range(3) if axis != AXES[plane])
            if lesion is not None:
                takes = lesion.any(axis=others)
            else:
                enough = shown.sum(axis=others) >= max(1, least * side**2)
                takes = enough & _each(shown.shape[AXES[plane]], every)
            found += [(number, place) for place in np.flatnonzero(takes)]
        return np.array(found, dtype=np.int64).reshape(-1, 2)


def mixed(
    healthy: NDArray[np.int64],
    labelled: NDArray[np.int64] | None = None,
    *,
    share: float = 0.0,
    least: int | None = None,
) -> NDArray[np.int64]:
    """Samples of an epoch: healthy ones in turn until they are ``least``, labelled ones until they are ``share``.

    Each is there at least once, and at most once more often than another of its kind.

    Args:
        healthy: healthy samples.
        labelled: anomalous samples with masks; None for none.
        share: share of all samples that the labelled ones make up.
        least: number of healthy samples at least; None for each once.
    """
    if least is not None and 0 < len(healthy) < least:
        healthy = np.resize(healthy, least)
    if labelled is None or len(labelled) == 0:
        return healthy
    wanted = round(share / (1 - share) * len(healthy))
    return np.concatenate([healthy, np.resize(labelled, max(wanted, len(labelled)))])


def _each(count: int, every: int) -> NDArray[np.bool_]:
    """(count,) every so many from the middle on in both directions."""
    return (np.arange(count) - count // 2) % every == 0
