"""Whole heads: all of a synthetic person, with the lesions that lie in it."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass

import numpy as np
from numpy.typing import NDArray

from mriad.data.synthetic.anatomy import Frame, Subject, frame_through
from mriad.data.synthetic.atlas import Atlas
from mriad.data.synthetic.contrast import CONTRASTS, acquire, draw_scanner, draw_sequence, draw_tissues
from mriad.data.synthetic.fields import Axes, Floats
from mriad.data.synthetic.lesions import Lesion, draw_lesion
from mriad.data.synthetic.slices import render, signal_of

WITH_AGENT = "T1c"
HEAD_CONTRASTS = (*CONTRASTS, WITH_AGENT)

_FIELD = ((-96.0, 96.0), (-128.0, 112.0), (-96.0, 108.0))  # mm; a head with some air around it
_SLAB = 12  # slices that are made at once: few enough for a processor's cache
_VISIBILITY = 0.35  # of the brain's mean signal; a much fainter lesion would be a wrong label to the eye
_PATIENCE = 0.95  # lesions that fail lower what is asked of the next ones: some kinds are faint in T1
_MOST = {"infarct": 3}  # lesions of a person at most; of kinds that are not named, one


@dataclass(frozen=True, kw_only=True)
class Head:
    """A scan of a whole head; its axes point to the right, the front and the top.

    Args:
        levels: (X, Y, Z) uint8.
        lesion: (X, Y, Z) bool, what is lesion by more than half.
        brain: (X, Y, Z) bool, what is brain or the fluid in and on it by more than half.
        affine: (4, 4), from voxels to mm, RAS+.
    """

    levels: NDArray[np.uint8]
    lesion: NDArray[np.bool_]
    brain: NDArray[np.bool_]
    affine: NDArray[np.float64]


class Person:
    """Somebody in a scanner, the same one in any contrast.

    Args:
        rng: where person, scanner and lesions come from.
        atlas: the mean brain.
        contrast: one of ``HEAD_CONTRASTS``.
    """

    def __init__(self, *, rng: np.random.Generator, atlas: Atlas, contrast: str) -> None:
        self.subject = Subject(rng=rng, atlas=atlas)
        self.agent = contrast == WITH_AGENT
        self.tissues = draw_tissues(rng, agent=self.agent)
        self.scanner = draw_scanner(rng)
        self.shift = rng.normal(0, 3, 3).astype(np.float32)
        self.sequence = {name: draw_sequence(name, rng) for name in CONTRASTS}[contrast.removesuffix("c")]
        self.rng = rng

    def head(self, *, kind: str | None, spacing: float) -> Head:
        """A scan of the whole head.

        Args:
            kind: a key of ``lesions.KINDS``, None for nothing wrong.
            spacing: of the voxels along each axis, mm.
        """
        x, y, z = (
            (low + off + spacing * np.arange(round((high - low) / spacing))).astype(np.float32)
            for (low, high), off in zip(_FIELD, self.shift, strict=True)
        )
        lesions = [] if kind is None else self._draw_lesions(kind)
        shape = (len(x), len(y), len(z))
        signal, tissue = np.empty(shape, dtype=np.float32), np.empty(shape, dtype=bool)
        lesion, brain = np.zeros(shape, dtype=bool), np.empty(shape, dtype=bool)
        for start in range(0, shape[2], _SLAB):
            part = np.s_[..., start : start + _SLAB]
            signal[part], tissue[part], brain[part], lesion[part] = self._slab((x, y, z[part[1]]), lesions)
        levels = acquire(
            signal,
            scanner=self.scanner,
            sensitivity=self.scanner.sensitivity((x, y, z)),
            level=float(signal[tissue].mean()),
            rng=self.rng,
        )
        affine = np.diag([spacing, spacing, spacing, 1.0])
        affine[:3, 3] = [x[0], y[0], z[0]]
        return Head(levels=levels, lesion=lesion, brain=brain, affine=affine)

    def _slab(
        self, axes: Axes, lesions: Sequence[Lesion]
    ) -> tuple[Floats, NDArray[np.bool_], NDArray[np.bool_], NDArray[np.bool_]]:
        """Signal, and where there is solid tissue, brain and lesion."""
        points = Frame(plane="axial", axes=axes).points
        push = sum((lesion.push(points) for lesion in lesions), start=np.zeros_like(points))
        cut = self.subject.cut(Frame(plane="axial", axes=axes), push=push)
        signal = signal_of(cut, self.sequence, self.tissues)
        covered = np.zeros(signal.shape, dtype=bool)
        for lesion in lesions:
            signal, cover = lesion.paint(signal, cut, points=points, axes=axes, sequence=self.sequence)
            covered |= cover > 0.5
        tissue = cut.grey + cut.white
        return signal, tissue > 0.5, tissue + cut.csf > 0.5, covered

    def _draw_lesions(self, kind: str) -> list[Lesion]:
        """Lesions that all show."""
        visibility = _VISIBILITY
        while True:
            lesions = [
                draw_lesion(kind, subject=self.subject, agent=self.agent, rng=self.rng)
                for _ in range(self.rng.integers(1, _MOST.get(kind, 1), endpoint=True))
            ]
            if all(self._visibility(lesion) >= visibility for lesion in lesions):
                return lesions
            visibility *= _PATIENCE

    def _visibility(self, lesion: Lesion) -> float:
        frame = frame_through(lesion.centre, plane="axial", size=64, spacing=3.0, shift=self.shift)
        return render(
            self.subject,
            frame,
            sequence=self.sequence,
            tissues=self.tissues,
            scanner=self.scanner,
            rng=self.rng,
            lesion=lesion,
        ).visibility
