"""One synthetic subject: the mean brain, bent by a smooth random deformation and cut along a plane."""

from __future__ import annotations

from dataclasses import dataclass

import numpy as np
from numpy.typing import NDArray

from mriad.data.synthetic.atlas import Atlas
from mriad.data.synthetic.fields import Axes, Floats, SmoothField, smoothstep
from mriad.data.synthetic.head import HeadShape, draw_head, head_layers

PLANES = ("axial", "coronal", "sagittal")
_NORMAL = {"axial": 2, "coronal": 1, "sagittal": 0}  # axis (x, y, z) that the slices of a plane stack along
_CENTRE = np.array([0.0, -18.0, 8.0], np.float32)  # mm; about the middle of the brain
_VENTRICLES = np.array([0.0, -18.0, 16.0], np.float32)  # mm; about the middle of the lateral ventricles
_TOP = 99.0  # mm; a little above the scalp of the mean head


@dataclass(frozen=True, kw_only=True)
class Frame:
    """Where a slice lies: its plane and the coordinates of its pixels in the scanner, in mm.

    The last two axes of all arrays made from it are transposed to an image by ``to_image``.
    """

    plane: str
    axes: Axes

    @property
    def points(self) -> Floats:
        """Coordinates of the pixels: (3, len(x), len(y), len(z)), mm."""
        return np.stack(np.meshgrid(*self.axes, indexing="ij"))

    def to_image(self, values: Floats) -> Floats:
        """Turn values on the grid into rows and columns as radiologists view them.

        Nose or crown is up, the patient's right is at the left of axial and coronal slices.
        """
        return np.ascontiguousarray(values.squeeze(_NORMAL[self.plane]).T)


def frame_through(point: Floats, *, plane: str, size: int, spacing: float, shift: Floats) -> Frame:
    """The slice of ``size`` x ``size`` pixels of ``spacing`` mm that contains ``point``.

    Args:
        point: (3,), mm.
        plane: one of ``PLANES``.
        size: pixels along each side.
        spacing: mm per pixel.
        shift: (3,), mm; how far the patient lies off the centre of the field of view.
    """
    half = spacing * size / 2
    centres = np.array([0.0, -8.0, _TOP - half if plane != "axial" else 0.0]) + shift
    steps = half - spacing * (np.arange(size, dtype=np.float32) + 0.5)
    axes = [(centre + steps).astype(np.float32) for centre in centres]
    normal = _NORMAL[plane]
    axes[normal] = np.array([point[normal]], np.float32)
    return Frame(plane=plane, axes=(axes[0], axes[1], axes[2]))


@dataclass(frozen=True, kw_only=True)
class Slice:
    """What a slice consists of; each map has the shape of the frame's grid and lies in 0..1.

    Args:
        grey, white, csf: shares of brain tissue and fluid; they sum to ``inside``.
        inside: share that lies within the skull.
        fat, muscle, fluid, marrow: shares outside of it; what is left is bone or air.
        hull: distance to the surface of the brain in mm, negative inside.
        mottling: relative change of the brain's signal, as no tissue is quite uniform.
    """

    grey: Floats
    white: Floats
    csf: Floats
    inside: Floats
    fat: Floats
    muscle: Floats
    fluid: Floats
    marrow: Floats
    hull: Floats
    mottling: Floats


@dataclass(frozen=True, kw_only=True)
class Place:
    """Where the points of a grid lie in the atlas.

    Args:
        head: (3, ...), for skull and scalp, mm.
        brain: (3, ...), for the tissue inside, mm.
        hull: distance to the surface of the brain at ``head``, mm, negative inside.
    """

    head: Floats
    brain: Floats
    hull: Floats


class Subject:
    """A person who lies in the scanner: an affine map and smooth fields from the scanner to the atlas.

    Brain size varies by about 5 % per axis and the head is tilted by a few degrees. Coarse bumps change
    the form of the brain, middle ones the course of gyri, fine ones (in the cortex only) the folds;
    the ventricles and sulci widen as they do with age.

    Args:
        rng: where the subject comes from.
        atlas: the mean brain.
    """

    def __init__(self, *, rng: np.random.Generator, atlas: Atlas) -> None:
        self.atlas = atlas
        self.affine = _draw_affine(rng)
        self.ventricle_growth = rng.uniform(-0.15, 0.2)
        self.coarse = SmoothField(rng=rng, spacing=60, amplitude=2.0, components=3)
        self.middle = SmoothField(rng=rng, spacing=22, amplitude=1.6, components=3)
        self.fine = SmoothField(rng=rng, spacing=9, amplitude=0.9, components=3)
        self.sulci = SmoothField(rng=rng, spacing=9, amplitude=0.6)
        self.sulcal_width = rng.uniform(0.3, 0.8)  # log odds of fluid against tissue, added everywhere
        self.cortical_width = rng.normal(0, 0.2)  # log odds of grey against white matter
        self.sharpness = rng.uniform(2.0, 2.8)  # how far the soft mean maps are driven to one tissue
        self.mottling = SmoothField(rng=rng, spacing=10, amplitude=0.025)
        self.head: HeadShape = draw_head(rng)

    def to_atlas(self, axes: Axes, points: Floats, push: Floats | None = None) -> Place:
        """Where in the atlas the points of a grid lie.

        Args:
            axes: axes of the grid.
            points: (3, ...), its points, mm.
            push: (3, ...), mm; where a mass has moved tissue from, relative to ``points``. The skull stands firm.
        """
        centre = _column(_CENTRE, points)
        bent = points + self.coarse.on(axes) - centre
        head = (np.tensordot(self.affine, bent, 1) + centre).astype(np.float32)
        hull = self.atlas.hull_distance(head)
        grown = points - _column(_VENTRICLES, points)
        near = np.exp(-0.5 * np.square(grown / 26).sum(0))
        free = 0.25 + 0.75 * smoothstep(hull, -2, -18)  # the skull holds what lies against it
        brain = head + free * self.middle.on(axes) - self.ventricle_growth * near * grown
        if push is not None:
            brain = brain + np.tensordot(self.affine, push, 1)
        return Place(head=head, brain=brain.astype(np.float32), hull=hull)

    def cut(self, frame: Frame, push: Floats | None = None) -> Slice:
        """The tissues on a slice; see ``to_atlas`` for ``push``."""
        place = self.to_atlas(frame.axes, frame.points, push)
        layers = head_layers(self.head, points=place.head, hull=place.hull, axes=frame.axes)
        held = layers["inside"] > 0  # there is no tissue elsewhere, and looking it up takes time
        cortex = smoothstep(place.hull[held], -26, -4)
        grey, white = self.atlas.tissue(place.brain[:, held] + cortex * self.fine.on(frame.axes)[:, held])
        fluid_odds = self.sulcal_width + (0.4 + 0.6 * cortex) * self.sulci.on(frame.axes)[0][held]
        shares = _sharpen(grey, white, fluid_odds, self.cortical_width, self.sharpness, layers["inside"][held])
        return Slice(
            **{tissue: _spread(share, held) for tissue, share in shares.items()},
            **layers,
            hull=place.hull,
            mottling=self.mottling.on(frame.axes)[0],
        )

    def inner_point(self, rng: np.random.Generator, *, depth: float) -> Floats:
        """A random point (3,) of the cerebrum in mm, in tissue and at least ``depth`` mm below its surface."""
        while True:
            point = rng.uniform([-38, -52, 2], [38, 28, 44]).astype(np.float32)
            axes = (point[:1], point[1:2], point[2:])
            place = self.to_atlas(axes, point.reshape(3, 1, 1, 1))
            grey, white = self.atlas.tissue(place.brain)
            if place.hull.item() < -depth and (grey + white).item() > 0.8:
                return point


def _sharpen(
    grey: Floats, white: Floats, fluid_odds: Floats, cortical_width: float, power: float, inside: Floats
) -> dict[str, Floats]:
    """Turn the soft shares of a mean of 152 brains into the crisp ones of a single brain.

    Shares are raised to ``power`` and made to sum to 1 again; log odds widen sulci or cortex.
    """
    fluid = np.clip(1 - grey - white, 0, 1)
    odds = np.stack(
        [
            grey**power * np.exp(cortical_width),
            white**power,
            fluid**power * np.exp(power / 2 * fluid_odds) + 1e-4,
        ]
    )
    shares = inside * odds / odds.sum(0)
    return {"grey": shares[0], "white": shares[1], "csf": shares[2]}


def _spread(values: Floats, where: NDArray[np.bool_]) -> Floats:
    """Values of the grid points that are True in ``where``, 0 at the others."""
    grid = np.zeros(where.shape, dtype=values.dtype)
    grid[where] = values
    return grid


def _draw_affine(rng: np.random.Generator) -> Floats:
    from scipy.spatial.transform import Rotation

    tilt = Rotation.from_euler("xyz", rng.normal(0, [2.0, 1.2, 1.5]), degrees=True).as_matrix()
    scale = np.exp(rng.normal(0, 0.035) + rng.normal(0, 0.02, 3))  # adult heads: one common size, then form
    shear = np.eye(3) + np.triu(rng.normal(0, 0.015, (3, 3)), 1)
    return (tilt @ shear / scale).astype(np.float32)


def _column(vector: Floats, points: Floats) -> Floats:
    return vector.reshape(3, *[1] * (points.ndim - 1))
