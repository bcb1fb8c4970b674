"""Where the voxels of a scan lie: shape, place and size as one value."""

from __future__ import annotations

import math
from collections.abc import Sequence
from dataclasses import dataclass, replace
from itertools import permutations
from typing import Any, Literal

import numpy as np
from numpy.typing import ArrayLike, NDArray

Triple = tuple[float, float, float]
Space = Literal["scanner", "plane", "pixels"]

CANONICAL = "SPL"
"""The axes of the house: superior, posterior, left. ``values[d]`` is an axial slice as radiologists look at it."""

_CODES = ("LR", "PA", "IS")  # towards less and more of the three world axes
_PICTURE = np.array([[0.0, 0, -1, 0], [0, -1, 0, 0], [1, 0, 0, 0], [0, 0, 0, 1]])  # axes SPL, a unit apart
_UNKNOWN = {"scanner": 0, "plane": 1, "pixels": 3}  # how many axes, from the first on, have no known spacing


@dataclass(frozen=True, kw_only=True, eq=False)
class Grid:
    """The voxels of an array and where they lie; a value.

    World points are millimetres towards right, anterior, superior (RAS+). An index (i, j, k) names the centre of a
    voxel, which reaches half a step to either side; the field of view is the union of the voxels.

    Args:
        shape: voxels along each axis of the array (depth, height, width).
        affine: (4, 4) float64 from indices, in the array's own order of axes, to world points.
        space: what the world is: 'scanner', the one of the scan; 'plane', that of a picture whose pixels have a known
            size, but no known place and thickness; 'pixels', that of a picture of which nothing is known.

    Raises:
        ValueError: if it is no grid: a shape that is not three positive sizes, an affine that cannot be inverted.
    """

    shape: tuple[int, int, int]
    affine: NDArray[np.float64]
    space: Space = "scanner"

    def __post_init__(self) -> None:
        shape = tuple(int(size) for size in self.shape)
        affine = np.array(self.affine, dtype=np.float64)
        if len(shape) != 3 or min(shape) < 1:
            raise ValueError(f"a grid has three positive sizes, not {self.shape}")
        if affine.shape != (4, 4) or not np.isfinite(affine).all() or np.any(affine[3] != (0, 0, 0, 1)):
            raise ValueError(f"an affine is (4, 4), finite, and ends in 0 0 0 1; not {affine.tolist()}")
        with np.errstate(over="ignore", invalid="ignore", divide="ignore"):
            steps = np.linalg.norm(affine[:3, :3], axis=0)
            spanned = abs(np.linalg.det(affine[:3, :3] / steps))
        if not spanned > 1e-6:
            raise ValueError(f"the axes of an affine span a space, unlike those of {affine.tolist()}")
        affine.flags.writeable = False
        object.__setattr__(self, "shape", shape)
        object.__setattr__(self, "affine", affine)

    @classmethod
    def of_picture(cls, height: int, width: int, *, spacing: tuple[float, float] | None = None) -> Grid:
        """The grid (1, height, width) of a picture, in the axes of the house.

        Args:
            spacing: millimetres per pixel, (row, column); None where unknown, the world is counted in pixels then.
        """
        scale = np.diag([1.0, *(spacing or (1.0, 1.0)), 1.0])
        return cls(shape=(1, height, width), affine=_PICTURE @ scale, space="pixels" if spacing is None else "plane")

    def __eq__(self, other: object) -> bool:
        return isinstance(other, Grid) and self._key == other._key

    def __hash__(self) -> int:
        return hash(self._key)

    @property
    def _key(self) -> tuple[object, ...]:
        return self.shape, tuple((self.affine + 0.0).ravel()), self.space

    @property
    def steps(self) -> Triple:
        """World units from a voxel to the next along each axis: mm, but pixels where nothing else is known."""
        return _triple(np.linalg.norm(self.affine[:3, :3], axis=0))

    @property
    def spacing(self) -> Triple:
        """Millimetres from a voxel to the next along each axis, NaN where unknown."""
        return _triple(np.where(np.arange(3) < _UNKNOWN[self.space], math.nan, self.steps))

    @property
    def voxel_volume(self) -> float:
        """Cubic millimetres that a voxel fills (1000 are a ml); NaN where the spacing is unknown."""
        return abs(float(np.linalg.det(self.affine[:3, :3]))) if self.space == "scanner" else math.nan

    @property
    def pixel_area(self) -> float:
        """Square millimetres that a voxel fills in its slice, along the last two axes; NaN where unknown."""
        return float(np.linalg.norm(np.cross(*self.affine[:3, 1:3].T))) if self.space != "pixels" else math.nan

    @property
    def extent(self) -> Triple:
        """Millimetres of the field of view along each axis, NaN where unknown."""
        return _triple(np.multiply(self.shape, self.spacing))

    @property
    def orientation(self) -> str:
        """Codes of where the axes lead, one of R L, A P, S I each, such as 'LPS'; each goes to the axis nearest to it.

        Those of a picture are what the house takes it for.
        """
        directions = self.affine[:3, :3] / np.array(self.steps)
        strength = np.square(directions)
        _, worlds = max((sum(strength[world, axis] for axis, world in enumerate(p)), p) for p in permutations(range(3)))
        return "".join(_CODES[world][int(directions[world, axis] > 0)] for axis, world in enumerate(worlds))

    @property
    def shear(self) -> float:
        """Degrees by which the two axes that are least at right angles miss them."""
        directions = self.affine[:3, :3] / np.array(self.steps)
        cosines = np.abs(directions.T @ directions - np.eye(3))
        return math.degrees(math.asin(min(1.0, float(cosines.max()))))

    @property
    def bounds(self) -> NDArray[np.float64]:
        """(2, 3) lowest and highest world point of the field of view's corners."""
        corners = self.to_world(self._lattice(2))
        return np.stack([corners.min(axis=0), corners.max(axis=0)])

    def to_world(self, index: ArrayLike) -> NDArray[np.float64]:
        """World points (..., 3) of indices (..., 3)."""
        return np.asarray(index, dtype=np.float64) @ self.affine[:3, :3].T + self.affine[:3, 3]

    def to_index(self, point: ArrayLike) -> NDArray[np.float64]:
        """Indices (..., 3), in fractions of a voxel, of world points (..., 3)."""
        return (np.asarray(point, dtype=np.float64) - self.affine[:3, 3]) @ np.linalg.inv(self.affine[:3, :3]).T

    def index_map(self, there: Grid) -> NDArray[np.float64]:
        """(4, 4) from the indices of another grid to those of this one.

        Raises:
            ValueError: if the two lie in different kinds of space.
        """
        if self.space != there.space:
            raise ValueError(f"a grid in the space '{self.space}' shares no points with one in '{there.space}'")
        return np.linalg.inv(self.affine) @ there.affine

    def agrees(self, there: Grid, *, within: float = 0.1) -> bool:
        """Whether both have the same shape and no voxel centre lies further apart than ``within`` voxels."""
        if self.shape != there.shape or self.space != there.space:
            return False
        corners = self._lattice(2)
        moved = corners @ self.index_map(there)[:3, :3].T + self.index_map(there)[:3, 3]
        return bool(np.abs(moved - corners).max() <= within)

    def overlap(self, there: Grid) -> float:
        """Share of another grid's field of view that lies within this one's, as counted at 13^3 points."""
        points = self.to_index(there.to_world(there._lattice(13)))
        inside = ((points >= -0.5) & (points <= np.array(self.shape) - 0.5)).all(axis=1)
        return float(inside.mean())

    def cropped(self, box: tuple[slice, slice, slice]) -> Grid:
        """The grid of ``values[box]``; slices of step 1 with what they leave out given by non-negative bounds."""
        spans = [part.indices(size) for part, size in zip(box, self.shape, strict=True)]
        return self._moved([start for start, _, _ in spans], [stop - start for start, stop, _ in spans])

    def padded(self, widths: Sequence[tuple[int, int]]) -> Grid:
        """The grid of ``np.pad(values, widths)``."""
        shape = [size + before + after for size, (before, after) in zip(self.shape, widths, strict=True)]
        return self._moved([-before for before, _ in widths], shape)

    def flipped(self, *axes: int) -> Grid:
        """The grid of ``np.flip(values, axes)``."""
        ends = [size - 1 if axis in axes else 0 for axis, size in enumerate(self.shape)]
        signs = [-1.0 if axis in axes else 1.0 for axis in range(3)]
        return self._scaled(signs, ends, self.shape)

    def permuted(self, axes: Sequence[int]) -> Grid:
        """The grid of ``values.transpose(axes)``."""
        affine = self.affine[:, [*axes, 3]]
        return replace(self, shape=_sizes([self.shape[axis] for axis in axes]), affine=affine)

    def reoriented(self, codes: str = CANONICAL) -> Grid:
        """The same voxels with axes that lead where the codes say, as nearly as they do; see ``reorient``.

        Raises:
            ValueError: if the codes are not one of R L, one of A P and one of S I.
        """
        axes, flips = self.turns(codes)
        return self.permuted(axes).flipped(*flips)

    def turns(self, codes: str) -> tuple[tuple[int, int, int], tuple[int, ...]]:
        """Axes to transpose to, and those of the result to flip, for other codes.

        Raises:
            ValueError: if the codes are not one of R L, one of A P and one of S I.
        """
        worlds = {letter: world for world, pair in enumerate(_CODES) for letter in pair}
        if sorted(worlds.get(code, -1) for code in codes) != [0, 1, 2]:
            raise ValueError(f"'{codes}' names no three axes: one of R L, one of A P, one of S I")
        here = self.orientation
        places = [next(axis for axis in range(3) if worlds[here[axis]] == worlds[code]) for code in codes]
        flips = tuple(axis for axis, place in enumerate(places) if here[place] != codes[axis])
        return (places[0], places[1], places[2]), flips

    def resized(self, shape: Sequence[int]) -> Grid:
        """The same field of view in another number of voxels."""
        factors = [old / new for old, new in zip(self.shape, shape, strict=True)]
        return self._scaled(factors, [(factor - 1) / 2 for factor in factors], shape)

    def at_spacing(self, mm: float | Triple) -> Grid:
        """Voxels of exactly this size, around the same centre.

        The field of view is the same, or larger by less than a voxel where the size does not divide it.

        Args:
            mm: millimetres along each axis, or along all.

        Raises:
            ValueError: if the spacing of this grid is unknown.
        """
        if self.space != "scanner":
            raise ValueError("a picture has no spacing along all its axes")
        wanted = np.broadcast_to(np.asarray(mm, dtype=np.float64), 3)
        shape = np.maximum(1, np.ceil(np.divide(self.extent, wanted) - 1e-3)).astype(int)
        factors = wanted / np.array(self.steps)
        first = (np.array(self.shape) - 1) / 2 - factors * (shape - 1) / 2
        return self._scaled(factors, first, shape)

    def _moved(self, first: Sequence[int], shape: Sequence[int]) -> Grid:
        return self._scaled((1.0, 1.0, 1.0), first, shape)

    def _scaled(self, factors: ArrayLike, first: ArrayLike, shape: Sequence[int] | NDArray[np.int_]) -> Grid:
        """The grid whose index i lies at ``factors * i + first`` of this one."""
        change = np.diag([*np.asarray(factors, dtype=np.float64), 1.0])
        change[:3, 3] = first
        return replace(self, shape=_sizes(shape), affine=self.affine @ change)

    def _lattice(self, points: int) -> NDArray[np.float64]:
        """(points^3, 3) indices spread evenly over the field of view, its corners among them."""
        along = [np.linspace(-0.5, size - 0.5, points) for size in self.shape]
        return np.stack(np.meshgrid(*along, indexing="ij"), axis=-1).reshape(-1, 3)


def reorient(values: NDArray[Any], here: Grid, codes: str = CANONICAL) -> NDArray[Any]:
    """A view of values on ``here`` that lies on ``here.reoriented(codes)``.

    The way back: ``reorient(values, here.reoriented(codes), here.orientation)``.
    """
    axes, flips = here.turns(codes)
    return np.flip(values.transpose(axes), flips)


def _triple(values: ArrayLike) -> Triple:
    first, second, third = (float(value) for value in np.asarray(values))
    return first, second, third


def _sizes(values: Sequence[int] | NDArray[np.int_]) -> tuple[int, int, int]:
    first, second, third = (int(value) for value in values)
    return first, second, third
