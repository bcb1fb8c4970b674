import numpy as np
import pytest
from heads import head, voxels

from mriad.geometry import Grid, reorient
from mriad.volume_anatomy import _template, brain_mask_of_volume, deep_brain, head_mask_of_volume, is_stripped

SHAPE, SPACING = (60, 62, 50), (4.0, 4.0, 4.0)


def dice(one, other):
    return 2 * (one & other).sum() / (one.sum() + other.sum())


@pytest.mark.parametrize("background", [0.0, 50.0, -3.0])
def test_the_head_is_what_differs_from_the_background(background):
    image = voxels(SHAPE, SPACING)
    truth = image > 0
    noise = np.random.default_rng(1).normal(0, 5 if background else 0, SHAPE)
    found = head_mask_of_volume((image + background + noise).astype(np.float32), SPACING)
    filled = head_mask_of_volume(truth.astype(np.float32), SPACING)
    assert dice(found, filled) > 0.97
    assert found[30, 31, 25]  # the skull between scalp and brain is filled


def test_thin_voxels_change_nothing():
    fine = head_mask_of_volume(voxels((240, 124, 100), (1.0, 2.0, 2.0)), (1.0, 2.0, 2.0))
    assert dice(fine[::4, ::2, ::2], head_mask_of_volume(voxels(SHAPE, SPACING), SPACING)) > 0.95


def test_a_brain_alone_is_a_stripped_head():
    for stripped in (True, False):
        found = head_mask_of_volume(voxels(SHAPE, SPACING, stripped=stripped), SPACING)
        assert is_stripped(found, SPACING) == stripped


def test_the_deep_brain_is_far_from_the_scalp():
    image = voxels(SHAPE, SPACING, scalp=3000)
    deep = deep_brain(head_mask_of_volume(image, SPACING), SPACING)
    assert deep.any()
    assert image[deep].max() < 1000


def test_the_brain_of_a_head_is_found():
    scan = head()
    image = scan.levels / scan.levels.max()
    truth = head(stripped=True).levels > 0
    found = brain_mask_of_volume(image.astype(np.float32), 4.0)
    assert dice(found, truth) > 0.85
    assert (found & truth).sum() > 0.9 * truth.sum()


def test_all_of_a_stripped_brain_counts():
    image = head(stripped=True).levels / 600
    assert (brain_mask_of_volume(image.astype(np.float32), 4.0) == (image > 0)).all()


def test_the_template_is_the_mni152_brain_of_2_mm():
    from nilearn.datasets import load_mni152_brain_mask

    image = load_mni152_brain_mask(resolution=2)
    mask = reorient(np.asarray(image.dataobj) > 0, Grid(shape=image.shape, affine=image.affine))
    box = tuple(slice(places.min(), places.max() + 1) for places in np.nonzero(mask))
    np.testing.assert_array_equal(_template(), mask[box])
