"""What a healthy T1-weighted volume says of its tissues, and where in the brain a voxel lies."""

from __future__ import annotations

from dataclasses import dataclass, replace
from typing import Any

import cv2
import numpy as np
from numpy.typing import NDArray
from scipy import ndimage

from mriad.data.training.simulation.fields import Floats
from mriad.geometry.planes import AXES, slab_of, window_about
from mriad.volume_anatomy import brain_mask_of_volume

_INNER = 18.0  # mm below the surface of the brain there is no fluid but that of the ventricles
_SMALLEST = 300.0  # mm3; smaller pieces are vessels, or folds that reach far down
_STARTS = (10, 45, 80)  # percentiles of the brain at which k-means starts
_HALF = 2  # distances are kept at half the resolution, in mm: they are smooth


@dataclass(frozen=True, kw_only=True)
class Slab:
    """A few slices of a volume, one above the other, with what is known of each voxel; arrays (C, S, S).

    Args:
        levels: intensities in [0, 1].
        brain: what is brain, or fluid in it.
        fluid, grey, white: share of each tissue in [0, 1], 0 outside the brain.
        depth: mm below the surface of the brain.
        ventricles: mm to the ventricles.
        spacing: mm per voxel.
        halfway: share of fluid that white matter must hold to look grey.
    """

    levels: Floats
    brain: NDArray[np.bool_]
    fluid: Floats
    grey: Floats
    white: Floats
    depth: Floats
    ventricles: Floats
    spacing: float
    halfway: float

    def window(self, side: int) -> Slab:
        """The part of ``side`` by ``side`` voxels about the middle of the brain; all of it where it is no larger."""
        rows, columns = window_about(np.asarray(self.brain.any(axis=0)), side)
        arrays = ("levels", "brain", "fluid", "grey", "white", "depth", "ventricles")
        return replace(self, **{name: getattr(self, name)[:, rows, columns] for name in arrays})


class TissueMap:
    """Fluid, grey and white matter of one volume, by k-means of its intensities, and its ventricles.

    Between the mean intensities of two tissues a voxel holds some of both (partial volume), in proportion.

    Args:
        volume: (D, S, S) uint8, a prepared healthy T1-weighted scan, with or without its skull.
        spacing: mm per voxel.
    """

    def __init__(self, volume: NDArray[np.uint8], *, spacing: float) -> None:
        self._spacing = spacing
        brain = brain_mask_of_volume(volume.astype(np.float32) / np.float32(255), spacing)
        self._means = _means(volume[brain])
        self._brain = brain
        self._depth, self._ventricles = self._distances(volume, brain)

    def slab(self, volume: NDArray[np.uint8], plane: str, place: int, neighbours: int) -> Slab:
        """The slab that ``geometry.planes.slab_of`` cuts out of the volume.

        Args:
            volume: the one that this is the map of.
            plane, place, neighbours: see there.
        """
        levels = slab_of(volume, plane, place, neighbours).astype(np.float32) / np.float32(255)
        brain = slab_of(self._brain, plane, place, neighbours)
        dark, middle, bright = self._means
        fluid = np.clip((middle - levels) / (middle - dark), 0, 1) * brain
        white = np.clip((levels - middle) / (bright - middle), 0, 1) * brain
        depth, ventricles = (self._near(kept, plane, place, neighbours) for kept in (self._depth, self._ventricles))
        return Slab(
            levels=levels,
            brain=brain,
            fluid=fluid,
            grey=brain - fluid - white,
            white=white,
            depth=depth,
            ventricles=ventricles,
            spacing=self._spacing,
            halfway=float((bright - middle) / (bright - dark)),
        )

    def _distances(self, volume: NDArray[np.uint8], brain: NDArray[np.bool_]) -> tuple[NDArray[Any], NDArray[Any]]:
        coarse = (slice(None, None, _HALF),) * 3
        mm = self._spacing * _HALF
        inside = np.pad(brain[coarse], 1)
        depth = ndimage.distance_transform_edt(inside, sampling=mm)[1:-1, 1:-1, 1:-1]
        dark = (volume[coarse] < 255 * self._means[:2].mean()) & (depth > _INNER)
        pieces, count = ndimage.label(dark)
        large = np.bincount(pieces.ravel(), minlength=count + 1) * mm**3 > _SMALLEST
        large[0] = False
        fluid = large[pieces]
        away = ndimage.distance_transform_edt(~fluid, sampling=mm) if fluid.any() else np.full(fluid.shape, 255.0)
        return _kept(depth), _kept(away)

    def _near(self, kept: NDArray[np.uint8], plane: str, place: int, neighbours: int) -> Floats:
        """(C, S, S) distances of a slab."""
        side, last = self._brain.shape[-1], kept.shape[AXES[plane]] - 1
        places = [min(max(near, 0) // _HALF, last) for near in range(place - neighbours, place + neighbours + 1)]
        found = {near: slab_of(kept, plane, near, 0)[0].astype(np.float32) for near in set(places)}
        larger = {near: cv2.resize(one, (side, side), interpolation=cv2.INTER_LINEAR) for near, one in found.items()}
        return np.stack([larger[near] for near in places])


def _means(levels: NDArray[np.uint8]) -> Floats:
    """Mean intensities in [0, 1] of fluid, grey and white matter, a step apart at least."""
    from sklearn.cluster import KMeans  # takes a second, which other data need not wait for

    counts = np.bincount(levels, minlength=256)
    starts = np.percentile(levels, _STARTS)[:, None]
    values = np.arange(256.0)[:, None]
    found = KMeans(3, init=starts, n_init=1).fit(values, sample_weight=counts).cluster_centers_.ravel()
    dark, middle, bright = np.sort(found)
    means = dark, max(middle, dark + 1), max(bright, middle + 1, dark + 2)
    return np.array(means, dtype=np.float32) / np.float32(255)


def _kept(mm: NDArray[Any]) -> NDArray[np.uint8]:
    return np.round(np.clip(mm, 0, 255)).astype(np.uint8)
