"""The subjects of the synthetic set and the slices taken of each."""

from __future__ import annotations

from collections.abc import Iterator
from dataclasses import dataclass

import numpy as np

from mriad.data.synthetic.anatomy import PLANES, Frame, Subject, frame_through
from mriad.data.synthetic.atlas import Atlas
from mriad.data.synthetic.contrast import CONTRASTS, draw_scanner, draw_sequence, draw_tissues
from mriad.data.synthetic.fields import Floats
from mriad.data.synthetic.lesions import KINDS, Lesion, draw_lesion
from mriad.data.synthetic.slices import Picture, render

FIELD_OF_VIEW = (215.0, 240.0)  # mm; a head with some air around it
LEAST_MASK = 25  # pixels; smaller masks are too few to rank pixels by
_VISIBILITY = 0.35  # of the brain's mean signal; a much fainter lesion would be a wrong label to the eye
_PATIENCE = 0.95  # a slice that fails lowers what is asked of the next try: some kinds are faint in T1
_PLANE_SHARES = (0.7, 0.15, 0.15)  # axial slices lead in public sets of 2-D brain scans
_DEPTH = 10.0  # mm below the surface of the brain, where the slices of healthy subjects go through


@dataclass(frozen=True, kw_only=True)
class Scan:
    """One slice with what the catalog says of it.

    Args:
        picture: pixels and mask.
        kind: a key of ``lesions.KINDS``, or '' for a healthy slice.
        plane: one of ``anatomy.PLANES``.
        contrast: T1, T1c (after a contrast agent), T2 or FLAIR.
    """

    picture: Picture
    kind: str
    plane: str
    contrast: str


class Examination:
    """One person in one scanner, from whom slices are taken.

    Args:
        rng: where everything about person, scanner and slices comes from.
        atlas: the mean brain.
        size: pixels along each side of a slice.
    """

    def __init__(self, *, rng: np.random.Generator, atlas: Atlas, size: int) -> None:
        self.rng = rng
        self.size = size
        self.subject = Subject(rng=rng, atlas=atlas)
        self.agent = bool(rng.random() < 0.5)
        self.tissues = draw_tissues(rng, agent=self.agent)
        self.scanner = draw_scanner(rng)
        self.spacing = rng.uniform(*FIELD_OF_VIEW) / size
        self.shift = rng.normal(0, 3, 3).astype(np.float32)
        self.sequences = {contrast: draw_sequence(contrast, rng) for contrast in CONTRASTS}

    def protocol(self) -> tuple[str, str]:
        """Plane and contrast of a slice."""
        return str(self.rng.choice(PLANES, p=_PLANE_SHARES)), str(self.rng.choice(CONTRASTS))

    def healthy_slice(self) -> Scan:
        """A slice of a healthy person through a random point of the brain."""
        return self._take(self.subject.inner_point(self.rng, depth=_DEPTH), *self.protocol())

    def slice_beside(self, lesion: Lesion) -> Scan:
        """A slice of a diseased person that holds nothing of the lesion."""
        while True:
            scan = self._take(self.subject.inner_point(self.rng, depth=_DEPTH), *self.protocol(), lesion)
            if not scan.picture.touched:
                return scan

    def slice_through(self, lesion: Lesion, *, plane: str, contrast: str, visibility: float) -> Scan | None:
        """A slice through the lesion, or None where it is smaller or fainter than asked."""
        offset = (self.rng.uniform(-0.4, 0.4, 3) * lesion.radius).astype(np.float32)
        for nearer in (1.0, 0.5, 0.0):
            scan = self._take(lesion.centre + np.float32(nearer) * offset, plane, contrast, lesion)
            if scan.picture.mask.sum() >= LEAST_MASK and scan.picture.visibility >= visibility:
                return scan
        return None

    def _take(self, point: Floats, plane: str, contrast: str, lesion: Lesion | None = None) -> Scan:
        frame: Frame = frame_through(point, plane=plane, size=self.size, spacing=self.spacing, shift=self.shift)
        picture = render(
            self.subject,
            frame,
            sequence=self.sequences[contrast],
            tissues=self.tissues,
            scanner=self.scanner,
            rng=self.rng,
            lesion=lesion,
        )
        return Scan(
            picture=picture,
            kind=lesion.kind if lesion is not None and picture.touched else "",
            plane=plane,
            contrast="T1c" if contrast == "T1" and self.agent else contrast,
        )


def healthy_scans(*, rng: np.random.Generator, atlas: Atlas, size: int, slices: int) -> Iterator[Scan]:
    """``slices`` slices of one healthy person."""
    examination = Examination(rng=rng, atlas=atlas, size=size)
    for _ in range(slices):
        yield examination.healthy_slice()


def diseased_scans(*, kind: str, rng: np.random.Generator, atlas: Atlas, size: int, slices: int) -> Iterator[Scan]:
    """``slices`` slices of one person with a lesion of ``kind``; a quarter, rounded down, lies beside it.

    Person and scanner are drawn as for healthy people: nothing but the lesion tells them apart.
    """
    examination = Examination(rng=rng, atlas=atlas, size=size)
    beside = slices // 4
    # drawn before the lesion: were faint ones drawn anew with it, the contrasts would give disease away
    protocols = [examination.protocol() for _ in range(slices - beside)]
    visibility = _VISIBILITY
    while True:
        lesion = draw_lesion(kind, subject=examination.subject, agent=examination.agent, rng=rng)
        through: list[Scan] = []
        for plane, contrast in protocols:
            scan = examination.slice_through(lesion, plane=plane, contrast=contrast, visibility=visibility)
            if scan is None:
                break
            through.append(scan)
        else:
            break
        visibility *= _PATIENCE
    yield from through
    for _ in range(beside):
        yield examination.slice_beside(lesion)


def kind_of(subject: int) -> str:
    """The kind of lesion of the diseased subject with this number, so that kinds are equally many."""
    return tuple(KINDS)[subject % len(KINDS)]
