"""Maps and masks of some scans, taken up a few at a time: those of volumes may be larger than the memory."""

from __future__ import annotations

from collections.abc import Iterable, Iterator, Sequence
from dataclasses import dataclass
from math import prod
from typing import Any, Protocol, Self

import numpy as np
from numpy.typing import DTypeLike, NDArray

PIXELS_AT_ONCE = 2**20  # 64 slices of 128 x 128 pixels

Rows = NDArray[np.int64]


class Scans(Protocol):
    """(N, *spatial) values, an array or a ``Stack``: (H, W) spatial axes are pictures, (D, H, W) volumes."""

    @property
    def shape(self) -> tuple[int, ...]:
        """(N, *spatial)."""

    def __len__(self) -> int: ...

    def __getitem__(self, index: Any, /) -> Any: ...

    def __iter__(self) -> Iterator[Any]: ...


@dataclass(frozen=True, kw_only=True)
class Stack:
    """Some of many scans, of which ``[...]`` reads no more than it is asked for.

    ``np.asarray`` reads all.

    Args:
        values: (*spatial) of each of the many, an array that may be mapped from a file or what reads one at a time;
            None stands for zeros.
        rows: (N,) which of them.
        spatial: their shape.
        dtype: of what is read.
    """

    values: Sequence[NDArray[Any] | None] | NDArray[Any]
    rows: Rows
    spatial: tuple[int, ...]
    dtype: DTypeLike

    @classmethod
    def of(cls, values: Scans, rows: Rows) -> Self:
        """Some scans of an array or of another stack."""
        if isinstance(values, Stack):
            return cls(values=values.values, rows=values.rows[rows], spatial=values.spatial, dtype=values.dtype)
        array = np.asanyarray(values)
        return cls(values=array, rows=np.asarray(rows, dtype=np.int64), spatial=array.shape[1:], dtype=array.dtype)

    @property
    def shape(self) -> tuple[int, ...]:
        """(N, *spatial)."""
        return len(self.rows), *self.spatial

    def __len__(self) -> int:
        return len(self.rows)

    def __getitem__(self, index: Any) -> NDArray[Any]:
        rows = self.rows[index]
        if np.ndim(rows) == 0:
            return self._read(int(rows))
        if isinstance(self.values, np.ndarray):
            return np.asarray(self.values[rows], dtype=self.dtype)
        read = np.empty((len(rows), *self.spatial), dtype=self.dtype)
        for place, row in enumerate(rows):
            read[place] = self._read(int(row))
        return read

    def __iter__(self) -> Iterator[NDArray[Any]]:
        return (self._read(int(row)) for row in self.rows)

    def __array__(self, dtype: DTypeLike | None = None, copy: bool | None = None) -> NDArray[Any]:
        read = self[:]
        return read if dtype is None else read.astype(dtype, copy=False)

    def _read(self, row: int) -> NDArray[Any]:
        found = self.values[row]
        return np.zeros(self.spatial, dtype=self.dtype) if found is None else np.asarray(found, dtype=self.dtype)


def are_volumes(scans: Scans) -> bool:
    """Whether (N, *spatial) values have three spatial axes."""
    return len(scans.shape) > 3


def parts(scans: Scans) -> Iterator[slice]:
    """Slices of the first axis, of ``PIXELS_AT_ONCE`` pixels or of one scan."""
    step = max(1, PIXELS_AT_ONCE // max(1, prod(scans.shape[1:])))
    return (slice(start, start + step) for start in range(0, len(scans), step))


def sampled(values: Iterable[NDArray[np.float32]], most: int) -> NDArray[np.float32]:
    """Every k-th of values that come in parts, k the least power of three that leaves at most ``most`` of them.

    A power of two would meet the same columns in each line of an image.
    """
    kept, count, step = [np.empty(0, dtype=np.float32)], 0, 1
    for part in values:
        kept.append(part.ravel()[::step].astype(np.float32))  # a copy, which lets go of the part
        count += len(kept[-1])
        while count > most:
            kept = [np.concatenate(kept)[::3]]
            count, step = len(kept[0]), 3 * step
    return np.concatenate(kept)
