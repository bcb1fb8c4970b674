"""What a map calls anomalous, piece by piece."""

from __future__ import annotations

from dataclasses import dataclass

import numpy as np
from numpy.typing import NDArray

from mriad.geometry import Grid
from mriad.metrics.components import connected


@dataclass(frozen=True, kw_only=True)
class Lesion:
    """A piece of a map that lies above a level.

    Args:
        ml: its volume; NaN in a picture.
        voxels: their number, in a picture that of its pixels; 0 where a report alone tells of it.
        centre: mean of its voxels' centres, in mm to the right, to the front and upwards (RAS+) of the scan's origin.
        peak_at: the same of the voxel with the highest value, which lies in it for certain; NaN likewise.
        peak, mean: highest and mean value of the map in it.
        place: mean index of them along each axis of the map.
    """

    ml: float
    centre: tuple[float, float, float]
    peak: float
    mean: float
    voxels: int = 0
    peak_at: tuple[float, float, float] = (np.nan, np.nan, np.nan)
    place: tuple[float, float, float] = (0.0, 0.0, 0.0)


def lesions_of(anomaly_map: NDArray[np.float32], grid: Grid, *, level: float) -> list[Lesion]:
    """The 26-connected components of ``anomaly_map > level``, the largest first, then the one with the highest peak.

    Args:
        anomaly_map: (D, H, W).
        grid: where its voxels lie.
        level: map value above which a voxel is anomalous.
    """
    return components_of(anomaly_map, grid, level=level)[0]


def components_of(
    anomaly_map: NDArray[np.float32], grid: Grid, *, level: float
) -> tuple[list[Lesion], NDArray[np.integer]]:
    """``lesions_of``, and the number of each voxel's lesion in that order, from 1 on; 0 where there is none."""
    numbered = connected(anomaly_map > level)
    labels = numbered.ravel()
    inside = np.flatnonzero(labels)
    component, values = labels[inside], anomaly_map.ravel()[inside]
    voxels = np.bincount(component, minlength=1)
    weight = np.maximum(voxels, 1)
    places = np.unravel_index(inside, anomaly_map.shape)
    middles = np.stack([np.bincount(component, place, len(voxels)) / weight for place in places], axis=1)
    centres = grid.to_world(middles)
    means = np.bincount(component, values, len(voxels)) / weight
    peaks = np.full(len(voxels), -np.inf)
    np.maximum.at(peaks, component, values)
    highest = np.flatnonzero(values == peaks[component])
    summit = np.zeros(len(voxels), dtype=np.int64)
    summit[component[highest[::-1]]] = inside[highest[::-1]]  # of several the first
    summits = grid.to_world(np.stack(np.unravel_index(summit, anomaly_map.shape), axis=1))
    order = np.lexsort((-peaks[1:], -voxels[1:])) + 1
    place = np.zeros(len(voxels), dtype=np.int32)
    place[order] = np.arange(1, len(voxels))
    found = [
        Lesion(
            ml=float(voxels[number] * grid.voxel_volume / 1000),
            voxels=int(voxels[number]),
            centre=_triple(centres[number]),
            peak_at=_triple(summits[number]),
            peak=float(peaks[number]),
            mean=float(means[number]),
            place=_triple(middles[number]),
        )
        for number in order
    ]
    return found, place[numbered]


def _triple(point: NDArray[np.float64]) -> tuple[float, float, float]:
    return float(point[0]), float(point[1]), float(point[2])
