"""One slice of one subject, from tissues to the pixels of a file."""

from __future__ import annotations

from dataclasses import dataclass

import numpy as np

from mriad.data.synthetic.anatomy import Frame, Slice, Subject
from mriad.data.synthetic.contrast import Scanner, Sequence, Tissue, acquire
from mriad.data.synthetic.fields import Floats
from mriad.data.synthetic.lesions import Lesion

_BRAIN = ("grey", "white", "csf")
_OUTSIDE = ("fat", "marrow", "muscle", "fluid")
_FAINT = 0.03  # share of a pixel below which nobody sees a lesion


@dataclass(frozen=True, kw_only=True)
class Picture:
    """A rendered slice.

    Args:
        pixels: (height, width), uint8.
        mask: (height, width), bool; what is lesion by more than half.
        touched: whether any of the lesion lies in the slice, however faint.
        visibility: mean change of the signal in the mask by the lesion, relative to the brain's mean signal.
    """

    pixels: np.ndarray
    mask: np.ndarray
    touched: bool
    visibility: float


def render(
    subject: Subject,
    frame: Frame,
    *,
    sequence: Sequence,
    tissues: dict[str, Tissue],
    scanner: Scanner,
    rng: np.random.Generator,
    lesion: Lesion | None = None,
) -> Picture:
    """Cut a subject along a frame and image the cut.

    Args:
        subject: who lies in the scanner.
        frame: the slice.
        sequence: the acquisition.
        tissues: the subject's tissues, with the keys of ``contrast.TISSUES``.
        scanner: the machine.
        rng: where the noise comes from.
        lesion: painted over the tissue, which it pushes aside first.
    """
    points = frame.points
    cut = subject.cut(frame, push=None if lesion is None else lesion.push(points))
    signal = signal_of(cut, sequence, tissues)
    tissue = (cut.grey + cut.white) > 0.5
    level = float(signal[tissue].mean()) if tissue.any() else sequence.signal(tissues["white"])
    mask = np.zeros(signal.shape, dtype=bool)
    touched, visibility = False, 0.0
    if lesion is not None:
        painted, cover = lesion.paint(signal, cut, points=points, axes=frame.axes, sequence=sequence)
        mask, touched = cover > 0.5, bool(cover.max() > _FAINT)
        if mask.any():
            visibility = float(np.abs(painted - signal)[mask].mean() / level)
        signal = painted
    pixels = acquire(
        frame.to_image(signal),
        scanner=scanner,
        sensitivity=frame.to_image(scanner.sensitivity(frame.axes)),
        level=level,
        rng=rng,
    )
    return Picture(pixels=pixels, mask=frame.to_image(mask), touched=touched, visibility=visibility)


def signal_of(cut: Slice, sequence: Sequence, tissues: dict[str, Tissue]) -> Floats:
    """Sum of each tissue's share times its signal (partial volume)."""
    inside = sum(getattr(cut, name) * sequence.signal(tissues[name]) for name in _BRAIN)
    inside = inside * (1 + cut.mottling)
    outside = sum(getattr(cut, name) * sequence.signal(tissues[name]) for name in _OUTSIDE)
    return np.asarray(inside + (1 - cut.inside) * outside, dtype=np.float32)
