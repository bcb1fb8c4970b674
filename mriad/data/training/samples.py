"""What a network sees of a scan: a picture, slices of a volume, or a whole volume."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from typing import TYPE_CHECKING, Any, cast

import numpy as np
from numpy.typing import NDArray

from mriad.data.preparing.cache import ScanCache
from mriad.errors import MriadError
from mriad.geometry.planes import AXES, slice_of

if TYPE_CHECKING:
    from mriad.data.preparing.prepared import Preparation
    from mriad.data.preparing.volumes import PrepareVolume

_TISSUE = 13  # levels of 255 from which a pixel is no background, 0.05 of the range


@dataclass(frozen=True, kw_only=True)
class SliceChoice:
    """Which slices of a volume a detector learns from.

    Args:
        least_brain: share of a slice that shows tissue, below which it is left out, in [0, 1].
        every: mm from a slice that is taken to the next, from the middle of the volume on; None takes all.

    Raises:
        MriadError: if a number is out of range.
    """

    least_brain: float = 0.1
    every: float | None = None

    def __post_init__(self) -> None:
        if not 0 <= self.least_brain <= 1:
            raise MriadError(
                f"data.slices.least_brain={self.least_brain} is no share of a slice; choose one from 0 to 1."
            )
        if self.every is not None and not self.every > 0:
            raise MriadError(f"data.slices.every={self.every} is no distance in mm; choose one above 0, or null.")

    def options(self, preparation: Preparation) -> dict[str, Any]:
        """What ``Samples`` takes of volumes that were prepared so."""
        spacing = cast("PrepareVolume", preparation).spacing
        return {"least": self.least_brain, "every": max(1, round((self.every or 0) / spacing))}


class Samples:
    """The samples of some rows of a cache, numbered in the rows' order, those of one volume after the other.

    Args:
        cache: the prepared scans.
        rows: (n,) rows; a row may stand there more than once.
        planes: of a volume's slices, each of which is a sample; None where a whole scan is one, as any picture is.
        least: share of a slice's pixels that show tissue, below which it is left out.
        every: number of slices from one that is taken to the next.
        lesions_only: leave out slices without a lesion in the mask.

    Attributes:
        rows: (m,) catalog row of each sample.
    """

    def __init__(
        self,
        *,
        cache: ScanCache,
        rows: NDArray[np.int64],
        planes: Sequence[str] | None = None,
        least: float = 0.0,
        every: int = 1,
        lesions_only: bool = False,
    ) -> None:
        self._cache = cache
        self._planes = planes
        if planes is None:
            self.rows = rows
            return
        found = {row: self._slices_of(row, planes, least, every, lesions_only) for row in np.unique(rows)}
        self._places = np.concatenate([np.empty((0, 2), dtype=np.int64), *(found[row] for row in rows)])
        self.rows = np.repeat(rows, [len(found[row]) for row in rows])

    def __len__(self) -> int:
        return len(self.rows)

    def followed_by(self, other: Samples) -> Samples:
        """These samples, and then those of other rows of the same cache, of the same planes."""
        both = Samples(cache=self._cache, rows=np.concatenate([self.rows, other.rows]))
        both._planes = self._planes
        if self._planes is not None:
            both._places = np.concatenate([self._places, other._places])
        return both

    def images(self, index: NDArray[np.int64] | Sequence[int]) -> NDArray[np.uint8]:
        """(n, *spatial) uint8 of samples."""
        if self._planes is None:
            return self._cache.images[self.rows[index]]
        return self._slices(self._cache.images[self.rows[index]], index)

    def masks(self, index: NDArray[np.int64] | Sequence[int]) -> NDArray[np.bool_]:
        """(n, *spatial) lesion masks of samples of rows that have one."""
        masks = self._cache.masks_of(self.rows[index])
        return masks if self._planes is None else self._slices(masks, index)

    def _slices(self, volumes: NDArray[Any], index: NDArray[np.int64] | Sequence[int]) -> NDArray[Any]:
        assert self._planes is not None
        chosen = self._places[index]
        return np.stack([slice_of(v, self._planes[p], n) for v, (p, n) in zip(volumes, chosen, strict=True)])

    def _slices_of(
        self, row: int, planes: Sequence[str], least: float, every: int, lesions_only: bool
    ) -> NDArray[np.int64]:
        """(n, 2) number of the plane, and place in it, of the slices of a row that are samples."""
        shown = self._cache.images[row] >= _TISSUE
        lesion = self._cache.masks_of(np.array([row]))[0] if lesions_only else None
        side = shown.shape[1]
        found = []
        for number, plane in enumerate(planes):
            others = tuple(axis for axis in range(3) if axis != AXES[plane])
            takes = (shown.sum(axis=others) >= max(1, least * side**2)) & _each(shown.shape[AXES[plane]], every)
            if lesion is not None:
                takes &= lesion.any(axis=others)
            found += [(number, place) for place in np.flatnonzero(takes)]
        return np.array(found, dtype=np.int64).reshape(-1, 2)


def _each(count: int, every: int) -> NDArray[np.bool_]:
    """(count,) every so many from the middle on in both directions."""
    return (np.arange(count) - count // 2) % every == 0
