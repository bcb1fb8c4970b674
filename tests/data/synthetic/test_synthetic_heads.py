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


def test_the_eyes_look_forward_and_the_crown_is_up():
    levels = head(contrast="T2").levels.astype(float)
    brain = np.argwhere(head(contrast="T2").brain)
    assert levels[:, : brain[:, 1].min() - 3].sum() < levels[:, brain[:, 1].max() + 3 :].sum()
    assert levels[..., brain[:, 2].max() + 4 :].mean() < levels[..., : brain[:, 2].min() + 1].mean()


@pytest.mark.parametrize("contrast", HEAD_CONTRASTS)
def test_the_same_person_is_seen_in_each_contrast(contrast):
    seen = head(contrast=contrast)
    assert (seen.brain == head().brain).all()
    assert contrast == "T1" or (seen.levels != head().levels).any()


def test_a_lesion_lies_in_the_brain_and_shows():
    ill = head("bright_mass", number=1)
    healthy = person(1).head(kind=None, spacing=SPACING)
    assert (ill.lesion & ill.brain).sum() > 0.9 * ill.lesion.sum()
    assert ill.levels[ill.lesion].mean() > 1.3 * healthy.levels[healthy.brain].mean()


def test_infarcts_may_be_several():
    counts = {label(person(number).head(kind="infarct", spacing=SPACING).lesion)[1] for number in range(4)}
    assert max(counts) > 1


def test_the_same_seed_gives_the_same_head():
    assert (person().head(kind="oedema", spacing=SPACING).levels == head("oedema").levels).all()
