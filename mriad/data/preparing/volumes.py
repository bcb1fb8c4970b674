"""From a volume as it was read to the working grid that networks see."""

from __future__ import annotations

import math
from dataclasses import dataclass
from typing import Any, Literal, get_args

import numpy as np
from numpy.typing import NDArray

from mriad.data.preparing import brain_extraction
from mriad.data.preparing.bias_field import without_bias_field
from mriad.data.preparing.preprocess import BlankScanError, Preprocess, require_percentiles
from mriad.data.reading.decode import DecodedImage
from mriad.data.reading.scan import Scan
from mriad.errors import MriadError, unknown
from mriad.geometry import Grid, VolumeGeometry, reorient, resample
from mriad.volume_anatomy import deep_brain, head_mask_of_volume, is_stripped

Crop = Literal["head", "none"]
Strip = Literal["none", "mask", "deepbet"]

_WIDEST = 300.0  # mm: no head is larger along any axis
_LEAST = 20.0  # mm: no head is smaller
_HEAD = 190.0  # mm from the forehead to the back of the head, the middle of what anthropometry finds
_SAMPLE = 2_000_000  # voxels over which percentiles are taken, evenly spread


@dataclass(frozen=True, kw_only=True)
class PrepareVolume:
    """Turn, cut to the head, scale and resample; the same for training, testing and prediction.

    A volume's axes are turned to run up, backwards and to the left, without resampling; then it is resampled once, to
    the working grid: cubes of ``spacing`` mm along the volume's own axes, (depth, image_size, image_size) of them. The
    head lies in its middle and reaches its top; below it ends where the grid ends, about 170 mm further down at the
    default size, which cuts through the neck as FSL's robustfov does. A head that is longer or wider than the grid gets
    larger cubes.

    Intensities become ``clip((x - p_low) / (p_high - p_low), 0, 1)``, one window for the whole scan, and are kept as
    uint8. The upper percentile is taken deep inside the brain, for the fat of a scalp outshines it, and a scan without
    one would look different; the lower over the head. What the scan does not show is 0.

    Args:
        image_size: side of an axial slice in voxels.
        depth: number of axial slices.
        spacing: mm per voxel.
        crop: 'head' as told; 'none' centres the grid on the volume.
        low, high: percentiles, of the head and of the deep brain, that become 0 and 1.
        bias_field: correct the scan for a bias field first (N4, Tustison et al. 2010), which takes its time.
        strip: 'mask' sets all outside the brain mask to 0 where a scan comes with one; 'deepbet' does so with the brain
            that a network finds in T1-weighted scans, see ``brain_extraction``, unless a scan comes stripped; 'none'
            leaves heads as they are.

    Raises:
        MriadError: on an unknown choice, a size that is none, percentiles out of order, or if the network is not
            installed.
    """

    image_size: int = 128
    depth: int = 96
    spacing: float = 1.8
    crop: Crop = "head"
    low: float = 0.5
    high: float = 99.5
    bias_field: bool = False
    strip: Strip = "none"

    def __post_init__(self) -> None:
        for option, legal in (("crop", Crop), ("strip", Strip)):
            if getattr(self, option) not in get_args(legal):
                raise unknown(f"data.preprocess.{option}", getattr(self, option), get_args(legal))
        for option in ("image_size", "depth"):
            value = getattr(self, option)
            if isinstance(value, bool) or not isinstance(value, int) or value < 1:
                raise MriadError(f"data.preprocess.{option}={value} is no size in voxels; give a positive number.")
        if self.depth > self.image_size:
            raise MriadError(
                f"data.preprocess.depth={self.depth} is more than data.image_size={self.image_size}; give no more."
            )
        if not isinstance(self.spacing, int | float) or not 0 < self.spacing < math.inf:
            raise MriadError(f"data.spacing={self.spacing} is no spacing in mm; give a number above 0, such as 2.")
        require_percentiles(self.low, self.high)
        if self.finds_brain:
            brain_extraction.version()

    @property
    def wants_brain(self) -> bool:
        """Whether it has a use for the brain mask of a scan."""
        return self.strip == "mask"

    @property
    def finds_brain(self) -> bool:
        """Whether it finds the brain of a scan by itself."""
        return self.strip == "deepbet"

    @property
    def libraries(self) -> tuple[str, ...]:
        """Libraries, with their versions, whose weights what it makes hangs on."""
        return (brain_extraction.version(),) if self.finds_brain else ()

    @property
    def spatial(self) -> tuple[int, int, int]:
        """Voxels of what it makes along each axis."""
        return self.depth, self.image_size, self.image_size

    @property
    def of_pictures(self) -> Preprocess:
        """Prepares pictures as axial slices: heads are taken for 190 mm long, and are as large as in volumes."""
        filled = min(1.0, _HEAD / (self.spacing * self.image_size))
        return Preprocess(image_size=self.image_size, low=self.low, high=self.high, filled=filled)

    def __call__(
        self, scan: Scan, *, brain: NDArray[np.bool_] | None = None
    ) -> tuple[NDArray[np.uint8], VolumeGeometry]:
        """Prepare one scan.

        Args:
            scan: a volume.
            brain: its brain mask, on its grid; None where there is none.

        Returns:
            (depth, image_size, image_size) uint8, and the geometry that leads back to the scan.

        Raises:
            BlankScanError: if nothing is to be seen: all voxels are alike, or there is no head's worth of them.
            MriadError: if no brain is found where one is looked for.
        """
        grid = scan.grid.reoriented()
        levels = np.ascontiguousarray(reorient(scan.levels, scan.grid), dtype=np.float32)
        if levels.max() <= levels.min():
            raise BlankScanError("The scan is blank: all its voxels are equal; replace it or leave it out.")
        if brain is not None and self.wants_brain:
            head = np.ascontiguousarray(reorient(brain, scan.grid))
            if not head.any():
                raise MriadError("its brain mask covers nothing; mend it, or set data.preprocess.strip=none.")
            levels = np.where(head, levels, levels.min())
        else:
            head = head_mask_of_volume(levels, grid.spacing)
        if self.finds_brain and not is_stripped(head, grid.spacing):
            head = brain_extraction.extracted_brain(levels, grid)
            levels = np.where(head, levels, levels.min())
        if self.bias_field:
            levels = without_bias_field(levels, head, grid.spacing)
        low, high = self._window(levels, head, deep_brain(head, grid.spacing))
        working = self._working(grid, head)
        carried = resample(levels, grid, working, kind="linear", fill=low)
        image = np.rint(np.clip((carried - low) / (high - low), 0, 1) * 255).astype(np.uint8)
        geometry = VolumeGeometry(scan=scan.grid, working=working, stripped=is_stripped(head, grid.spacing))
        return image, geometry

    def _window(
        self, levels: NDArray[np.float32], head: NDArray[np.bool_], deep: NDArray[np.bool_]
    ) -> tuple[float, float]:
        low, high = (
            np.percentile(inside[:: max(1, inside.size // _SAMPLE)], percent, overwrite_input=True)
            for inside, percent in ((levels[head], self.low), (levels[deep], self.high))
        )
        if high <= low:
            raise BlankScanError("The scan is blank: its head's voxels are all but equal; replace it or leave it out.")
        return float(low), float(high)

    def _working(self, grid: Grid, head: NDArray[np.bool_]) -> Grid:
        """The working grid of a head on a canonical grid."""
        box = _box(head) if self.crop == "head" else [(0, size) for size in grid.shape]
        mm = np.array(grid.spacing)
        extents = np.array([stop - start for start, stop in box]) * mm
        if extents.min() < _LEAST:
            raise BlankScanError(
                f"The scan shows no head: what stands out of its background is {_told(extents)} mm large; "
                "replace it or leave it out."
            )
        if extents.max() > _WIDEST * 2:
            raise MriadError(
                f"the scan is {_told(extents)} mm large, which no head is: its spacing cannot be right; mend it."
            )
        spacing = max(self.spacing, float(extents[1:].max()) / self.image_size)
        factors = spacing / mm
        middle = [(start + stop - 1) / 2 for start, stop in box]
        half = [(size - 1) / 2 for size in self.spatial]
        first = [centre - factor * offset for centre, factor, offset in zip(middle, factors, half, strict=True)]
        if self.crop == "head":
            top = box[0][1] - 0.5  # the upper face of the uppermost voxel
            first[0] = top - factors[0] * (self.depth - 0.5)
        change = np.diag([*factors, 1.0])
        change[:3, 3] = first
        return Grid(shape=self.spatial, affine=grid.affine @ change)


def middle_slice(scan: Scan, geometry: VolumeGeometry) -> DecodedImage:
    """The axial slice in the middle of the working grid, as its file keeps it: what a hash and a thumbnail see."""
    grid = scan.grid.reoriented()
    centre = geometry.working.to_world([(size - 1) / 2 for size in geometry.working.shape])
    place = int(np.clip(round(grid.to_index(centre)[0]), 0, grid.shape[0] - 1))
    low, high = float(scan.levels.min()), float(scan.levels.max())
    levels = (reorient(scan.levels, scan.grid)[place].astype(np.float32) - low) / (high - low)
    return DecodedImage(levels=levels, format=scan.facts.format, mode=scan.facts.mode)


def _box(mask: NDArray[np.bool_]) -> list[tuple[int, int]]:
    spans = []
    for axis in range(3):
        there = np.flatnonzero(mask.any(axis=tuple(other for other in range(3) if other != axis)))
        spans.append((int(there[0]), int(there[-1]) + 1))
    return spans


def _told(extents: NDArray[Any]) -> str:
    return " x ".join(f"{extent:.0f}" for extent in extents)
