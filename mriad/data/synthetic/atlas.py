"""The mean brain that all synthetic subjects are bent from: MNI152 tissue maps and the distance to its hull."""

from __future__ import annotations

from dataclasses import dataclass

import numpy as np

from mriad.data.synthetic.fields import Floats

ORIGIN = (
    98,
    134,
    72,
)  # voxel of the point 0, 0, 0 (anterior commissure); voxels are 1 mm, x right, y front, z up
_HULL_STEP = 2  # mm per voxel of the hull map; the hull is smooth, a finer map only costs time
_HULL_PAD = 30  # voxels of the hull map added on each side, so that the scalp lies inside it
_HULL_CLOSING = 6.0  # mm; fissures narrower than twice this lie inside the hull


@dataclass(frozen=True, kw_only=True)
class Atlas:
    """Tissue maps in MNI space (Fonov 2011), sampled at any point in mm.

    Args:
        grey: share of grey matter in 0..1, (197, 233, 189), 1 mm.
        white: share of white matter, likewise.
        hull: distance to the closed surface of the brain in mm, negative inside, on a padded 2 mm grid.
    """

    grey: Floats
    white: Floats
    hull: Floats

    def tissue(self, points: Floats) -> tuple[Floats, Floats]:
        """Shares of grey and white matter at ``points`` (3, ...) in mm; below the map the cord goes on down."""
        voxel = points + np.array(ORIGIN, np.float32).reshape(3, *[1] * (points.ndim - 1))
        return _sample(self.grey, voxel), _sample(self.white, voxel)

    def hull_distance(self, points: Floats) -> Floats:
        """Distance of ``points`` (3, ...) to the surface of the brain in mm, negative inside."""
        origin = np.array(ORIGIN, np.float32).reshape(3, *[1] * (points.ndim - 1))
        return _sample(self.hull, (points + origin) / _HULL_STEP + _HULL_PAD)


def load_atlas() -> Atlas:
    """Read the maps that nilearn carries (no download) and measure the hull (about 2 s)."""
    # nilearn takes over a second to import; only the making of the set pays for it
    from nilearn.datasets import load_mni152_gm_template, load_mni152_template, load_mni152_wm_template

    head, grey, white = (
        load(resolution=1).get_fdata(dtype=np.float32)
        for load in (load_mni152_template, load_mni152_gm_template, load_mni152_wm_template)
    )
    return Atlas(grey=grey, white=white, hull=_hull_distance(head > 0.02))


def _hull_distance(brain: np.ndarray) -> Floats:
    from scipy.ndimage import distance_transform_edt, gaussian_filter

    mask = brain[::_HULL_STEP, ::_HULL_STEP, ::_HULL_STEP]
    padded = np.pad(mask, _HULL_PAD)
    padded[:, :, :_HULL_PAD] = padded[:, :, _HULL_PAD : _HULL_PAD + 1]  # the cord leaves through the neck
    closing = _HULL_CLOSING / _HULL_STEP
    grown = distance_transform_edt(~padded) <= closing
    hull = distance_transform_edt(grown) > closing
    distance = distance_transform_edt(~hull) - distance_transform_edt(hull)
    return gaussian_filter((_HULL_STEP * distance).astype(np.float32), 1.0)


def _sample(volume: Floats, voxel: np.ndarray) -> Floats:
    from scipy.ndimage import map_coordinates

    return map_coordinates(volume, voxel, order=1, mode="nearest", output=np.float32)
