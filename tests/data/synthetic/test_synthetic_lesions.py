from __future__ import annotations

import numpy as np
import pytest

from mriad.data.synthetic.anatomy import Frame, Subject, frame_through
from mriad.data.synthetic.atlas import Atlas, load_atlas
from mriad.data.synthetic.contrast import TISSUES, Sequence
from mriad.data.synthetic.lesions import KINDS, Lesion, draw_lesion

T1 = Sequence(contrast="T1", tr=9, flip=20)
T2 = Sequence(contrast="T2", tr=4500, te=95)
FLAIR = Sequence(contrast="FLAIR", tr=9000, te=110, ti=2550)


@pytest.fixture(scope="module")
def atlas() -> Atlas:
    return load_atlas()


@pytest.fixture(scope="module")
def subject(atlas: Atlas) -> Subject:
    return Subject(rng=np.random.default_rng(5), atlas=atlas)


def frame_of(lesion: Lesion) -> Frame:
    return frame_through(lesion.centre, plane="axial", size=128, spacing=1.8, shift=np.zeros(3, np.float32))


def inner_signal(kind: str, sequence: Sequence, *, agent: bool = False) -> float:
    """Signal of the lesion's thickest part, or of its rim after a contrast agent, relative to white matter."""
    parts = KINDS[kind].parts
    part = next((p for p in parts if p.t1_with_agent), parts[-1]) if agent else parts[-1]
    tissue = part.tissue
    if agent and part.t1_with_agent:
        tissue = type(tissue)(density=tissue.density, t1=part.t1_with_agent, t2=tissue.t2)
    return sequence.signal(tissue) / sequence.signal(TISSUES["white"])


@pytest.mark.parametrize("kind", ["infarct", "oedema"])
def test_infarct_and_oedema_are_dark_in_t1_and_bright_in_t2_and_flair(kind: str) -> None:
    assert inner_signal(kind, T1) < 0.8
    assert inner_signal(kind, T2) > 1.5
    assert inner_signal(kind, FLAIR) > 1.3


def test_masses_are_bright_or_dark_in_every_contrast() -> None:
    for sequence in (T1, T2, FLAIR):
        assert inner_signal("bright_mass", sequence) > 1.3
        assert inner_signal("dark_mass", sequence) < 0.7


def test_ring_is_bright_round_a_dark_core_after_a_contrast_agent() -> None:
    assert inner_signal("ring_enhancing", T1, agent=True) > 1.5
    assert inner_signal("ring_enhancing", T1) < 0.8


@pytest.mark.parametrize("kind", KINDS)
def test_lesion_lies_in_the_brain_and_has_its_size(kind: str, subject: Subject) -> None:
    lesion = draw_lesion(kind, subject=subject, agent=False, rng=np.random.default_rng(1))
    frame = frame_of(lesion)
    cut = subject.cut(frame, push=lesion.push(frame.points))
    _, cover = lesion.paint(np.zeros_like(cut.grey), cut, points=frame.points, axes=frame.axes, sequence=T2)
    assert (cut.hull[cover > 0.5] < 0).all()
    low, high = KINDS[kind].diameter
    assert low <= 2 * lesion.radius <= high
    area = (cover > 0.5).sum() * 1.8**2
    assert 0.1 * np.pi * lesion.radius**2 < area < 6 * np.pi * lesion.radius**2


def test_mass_pushes_tissue_outwards_and_less_with_distance(subject: Subject) -> None:
    lesion = draw_lesion("bright_mass", subject=subject, agent=False, rng=np.random.default_rng(1))
    steps = np.array([0.9, 1.5, 3.0], np.float32) * lesion.radius
    points = lesion.centre.reshape(3, 1, 1, 1) + np.stack([steps, 0 * steps, 0 * steps]).reshape(3, 3, 1, 1)
    moved = lesion.push(points)[0, :, 0, 0]
    assert (moved < 0).all()  # the tissue there came from nearer the centre
    assert abs(moved[0]) > abs(moved[1]) > abs(moved[2])
    assert abs(moved[2]) < 0.1 * lesion.radius
