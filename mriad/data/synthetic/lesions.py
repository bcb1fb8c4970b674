"""The lesions of the synthetic set: what they consist of, how large they are, and how they look.

The values of relaxation below are chosen, not measured: they put each part of a lesion as bright or dark in
T1, T2 and FLAIR as the sources of its kind describe it.
"""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass, field

import numpy as np

from mriad.data.synthetic.anatomy import Slice, Subject
from mriad.data.synthetic.contrast import Sequence, Tissue
from mriad.data.synthetic.fields import Axes, Floats, SmoothField, smoothstep


@dataclass(frozen=True, kw_only=True)
class Part:
    """One tissue of a lesion and where it lies.

    Args:
        tissue: what it consists of.
        start, end: from where to where it reaches, in mm from the lesion's surface (negative inside).
        t1_with_agent: T1 in ms after a contrast agent, where the part enhances.
        tissue_only: the part spares fluid (it is changed tissue, not a growth that displaces fluid).
        white_only: the part spreads along white matter.
        softness: width of its edge, mm.
    """

    tissue: Tissue
    start: float = -np.inf
    end: float = 0.0
    t1_with_agent: float | None = None
    tissue_only: bool = False
    white_only: bool = False
    softness: float = 1.5


@dataclass(frozen=True, kw_only=True)
class Kind:
    """A kind of lesion.

    Args:
        diameter: smallest and largest mean diameter, mm.
        parts: its tissues; a later part lies over an earlier one.
        depth: least distance of its centre from the surface of the brain, mm.
        mass_effect: share of its volume that it has pushed aside rather than replaced.
        irregularity: standard deviation of its surface, relative to its radius.
    """

    diameter: tuple[float, float]
    parts: tuple[Part, ...]
    depth: float
    mass_effect: float = 0.0
    irregularity: float = 0.1


_OEDEMA = Tissue(density=0.92, t1=2000, t2=300)

KINDS: Mapping[str, Kind] = {
    # Late subacute haematoma: bright in T1, T2 and FLAIR (Bradley 1993, Radiology 189:15). The diameters
    # are those of balls of 13 to 60 mL; 30 and 60 mL divide haemorrhages by their outcome (Broderick 1993).
    "bright_mass": Kind(
        diameter=(29, 49),
        parts=(
            Part(tissue=_OEDEMA, end=4, tissue_only=True, softness=3),
            Part(tissue=Tissue(density=0.90, t1=520, t2=112)),
        ),
        depth=9,
        mass_effect=0.6,
    ),
    # Acute haematoma: dark in T2 and FLAIR, iso- to hypointense in T1 (Bradley 1993), calcified ones dark in
    # all; the same sizes.
    "dark_mass": Kind(
        diameter=(29, 49),
        parts=(
            Part(tissue=_OEDEMA, end=4, tissue_only=True, softness=3),
            Part(tissue=Tissue(density=0.38, t1=1500, t2=48)),
        ),
        depth=9,
        mass_effect=0.6,
    ),
    # Glioblastoma: a necrotic core, a rim that enhances in T1 with contrast agent, and oedema around, the
    # three labels of BraTS (Menze 2015, Bakas 2017). The diameter is that of core and rim.
    "ring_enhancing": Kind(
        diameter=(30, 48),
        parts=(
            Part(tissue=_OEDEMA, end=9, tissue_only=True, softness=6),
            Part(tissue=Tissue(density=0.84, t1=1400, t2=120), t1_with_agent=380),
            Part(tissue=Tissue(density=0.95, t1=2000, t2=260), end=-5.5),
        ),
        depth=10,
        mass_effect=0.5,
        irregularity=0.16,
    ),
    # Recent small infarct: up to 20 mm, dark in T1, bright in T2 and FLAIR (STRIVE, Wardlaw 2013). The
    # smallest, which few pixels would show, are left out.
    "infarct": Kind(
        diameter=(16, 20),
        parts=(Part(tissue=Tissue(density=0.94, t1=2200, t2=450), tissue_only=True),),
        depth=8,
        irregularity=0.14,
    ),
    # Vasogenic oedema: dark in T1, bright in T2 and FLAIR; spreads along white matter, spares cortex,
    # and reaches as far as the oedema label of BraTS does (Menze 2015).
    "oedema": Kind(
        diameter=(48, 72),
        parts=(
            Part(
                tissue=Tissue(density=0.94, t1=2200, t2=380),
                tissue_only=True,
                white_only=True,
                softness=6,
            ),
        ),
        depth=12,
        mass_effect=0.1,
        irregularity=0.2,
    ),
}


@dataclass(frozen=True, kw_only=True)
class Lesion:
    """One lesion at its place in a subject: an ellipsoid with a bumpy surface.

    Args:
        kind: a key of ``KINDS``.
        centre: (3,), mm in the scanner.
        axes: (3, 3), takes a vector from the centre to the unit sphere.
        radius: mean radius, mm.
        bumps: added to the distance from its surface, mm.
        texture: relative change of its signal inside.
        agent: whether a contrast agent was given.
    """

    kind: str
    centre: Floats
    axes: Floats
    radius: float
    bumps: SmoothField = field(repr=False)
    texture: SmoothField = field(repr=False)
    agent: bool

    def distance(self, points: Floats, axes: Axes) -> Floats:
        """Distance of ``points`` (3, ...) on the grid ``axes`` to its surface in mm, negative inside; rough."""
        offset = points - self.centre.reshape(3, 1, 1, 1)
        size = np.sqrt(np.square(np.tensordot(self.axes, offset, 1)).sum(0))
        return (size - 1) * self.radius + self.bumps.on(axes)[0]

    def push(self, points: Floats) -> Floats:
        """How tissue that now lies at ``points`` has been moved: its old place minus its new one, mm.

        A volume ``m`` of the ball is added at the centre, and what lies around moves outwards without being
        compressed: ``r_old^3 = r_new^3 - m R^3``.
        """
        offset = points - self.centre.reshape(3, 1, 1, 1)
        size = np.sqrt(np.square(np.tensordot(self.axes, offset, 1)).sum(0))
        added = KINDS[self.kind].mass_effect
        old = np.cbrt(np.maximum(size**3 - added, 0.02 * size**3))
        return (offset * (old / np.maximum(size, 1e-3) - 1)).astype(np.float32)

    def paint(
        self, signal: Floats, cut: Slice, *, points: Floats, axes: Axes, sequence: Sequence
    ) -> tuple[Floats, Floats]:
        """Lay the lesion over the signal of a slice.

        Args:
            signal: signal of the slice without lesion, on the grid.
            cut: the tissues of the slice.
            points: (3, ...), mm.
            axes: the grid.
            sequence: the acquisition.

        Returns:
            The signal with the lesion, and the share in 0..1 of each pixel that is lesion.
        """
        distance = self.distance(points, axes)
        texture = 1 + np.clip(self.texture.on(axes)[0], -0.3, 0.3)
        brain = cut.inside * smoothstep(cut.hull, 1.0, -1.0)
        cover = np.zeros_like(signal)
        for part in KINDS[self.kind].parts:
            alpha = brain * smoothstep(distance, part.end + part.softness / 2, part.end - part.softness / 2)
            if part.tissue_only:
                alpha = alpha * smoothstep(cut.csf, 0.7, 0.3)
            if part.white_only:
                alpha = alpha * smoothstep(cut.white, 0.25, 0.65)
            tissue = part.tissue
            if self.agent and part.t1_with_agent is not None:
                tissue = Tissue(density=tissue.density, t1=part.t1_with_agent, t2=tissue.t2)
            signal = signal + alpha * (sequence.signal(tissue) * texture - signal)
            cover = np.maximum(cover, alpha)
        return signal, cover


def draw_lesion(kind: str, *, subject: Subject, agent: bool, rng: np.random.Generator) -> Lesion:
    """A lesion of ``kind`` somewhere in the tissue of a subject's cerebrum."""
    from scipy.spatial.transform import Rotation

    settings = KINDS[kind]
    radius = rng.uniform(*settings.diameter) / 2
    stretch = np.exp(rng.normal(0, 0.16, 3))
    stretch /= np.cbrt(stretch.prod())  # the mean diameter stays what was drawn
    turn = Rotation.random(rng=rng).as_matrix()
    return Lesion(
        kind=kind,
        centre=subject.inner_point(rng, depth=settings.depth),
        axes=(turn / (radius * stretch[:, None])).astype(np.float32),
        radius=radius,
        bumps=SmoothField(rng=rng, spacing=max(0.6 * radius, 5.0), amplitude=settings.irregularity * radius),
        texture=SmoothField(rng=rng, spacing=6, amplitude=0.07),
        agent=agent,
    )
