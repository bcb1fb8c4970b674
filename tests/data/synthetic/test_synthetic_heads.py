from functools import cache

import numpy as np
import pytest
from scipy.ndimage import label

from mriad.data.synthetic.atlas import load_atlas
from mriad.data.synthetic.heads import HEAD_CONTRASTS, Person

SPACING = 4.0

atlas = cache(load_atlas)


def person(number=0, *, contrast="T1"):
    return Person(rng=np.random.default_rng(number), atlas=atlas(), contrast=contrast)


@cache
def head(kind=None, *, contrast="T1", number=0):
    return person(number, contrast=contrast).head(kind=kind, spacing=SPACING)


def test_a_head_has_air_around_it_and_a_brain_in_it():
    healthy = head()
    faces = [healthy.levels[0], healthy.levels[-1], healthy.levels[:, 0], healthy.levels[..., -1]]
    assert max(np.median(face) for face in faces) < 0.2 * np.percentile(healthy.levels, 99)
    assert 1000 < healthy.brain.sum() * SPACING**3 / 1000 < 2200  # ml
    assert not healthy.lesion.any()


def test_the_anterior_commissure_lies_in_the_middle_of_the_brain():
    healthy = head()
    voxel = np.linalg.solve(healthy.affine, [0, 0, 0, 1])[:3]
    middle = np.argwhere(healthy.brain).mean(0)
    assert np.abs((voxel - middle) * SPACING)[0] < 8
    assert healthy.brain[tuple(np.round(voxel + np.array([0, 0, 10 / SPACING])).astype(int))]


def test_the_face_looks_forward_and_the_crown_is_up():
    seen = head(contrast="T2")
    _, y, z = np.nonzero(seen.brain)
    assert seen.levels[:, : y.min() - 3].sum() < seen.levels[:, y.max() + 3 :].sum()
    assert (z < z.min() + 5).sum() < 0.5 * (z > z.max() - 5).sum()  # a brain stem ends below, hemispheres above


@pytest.mark.parametrize("contrast", HEAD_CONTRASTS)
def test_the_same_person_is_seen_in_each_contrast(contrast):
    seen = head(contrast=contrast)
    assert (seen.brain == head().brain).all()
    assert contrast == "T1" or (seen.levels != head().levels).any()


def test_a_lesion_lies_in_the_brain_and_shows():
    ill = head("bright_mass", contrast="T2", number=1)
    assert (ill.lesion & ill.brain).sum() > 0.9 * ill.lesion.sum()
    assert ill.levels[ill.lesion].mean() > 1.3 * np.median(ill.levels[ill.brain & ~ill.lesion])


def test_infarcts_may_be_several():
    counts = {label(person(number).head(kind="infarct", spacing=SPACING).lesion)[1] for number in range(4)}
    assert max(counts) > 1


def test_the_same_seed_gives_the_same_head():
    assert (person().head(kind="oedema", spacing=SPACING).levels == head("oedema").levels).all()
