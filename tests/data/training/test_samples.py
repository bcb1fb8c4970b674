import numpy as np
import pandas as pd
import pytest

from mriad.data.preparing.cache import ScanCache
from mriad.data.preparing.volumes import PrepareVolume
from mriad.data.training.samples import Samples, SliceChoice, mixed
from mriad.errors import MriadError
from mriad.geometry.planes import slab_of, slice_of

DEPTH, SIDE = 6, 8


@pytest.fixture
def cache() -> ScanCache:
    """3 volumes: the first with nothing in its lowest two slices, the last with a lesion in one slice."""
    images = np.random.default_rng(0).integers(50, 255, (3, DEPTH, SIDE, SIDE)).astype(np.uint8)
    images[0, :2] = 0
    masks = np.zeros((1, DEPTH, SIDE, SIDE), dtype=np.uint8)
    masks[0, 4, 2:4, 5] = 1
    facts = pd.DataFrame({"mask_index": [-1, -1, 0]})
    return ScanCache(images=images, masks=masks, thumbnails=np.zeros((3, 16, 16), dtype=np.uint8), facts=facts)


def test_a_scan_is_one_sample_where_no_planes_are_asked_for(cache):
    samples = Samples(cache=cache, rows=np.array([2, 0]))
    assert samples.rows.tolist() == [2, 0]
    np.testing.assert_array_equal(samples.images([1, 0]), cache.images[[0, 2]])
    np.testing.assert_array_equal(samples.masks([0]), cache.masks.astype(bool))


def test_slices_come_volume_by_volume_and_empty_ones_are_left_out(cache):
    samples = Samples(cache=cache, rows=np.array([1, 0]), planes=["axial"], least=0.1)
    assert samples.rows.tolist() == [1] * 6 + [0] * 4
    np.testing.assert_array_equal(samples.images(np.arange(6)), cache.images[1])
    np.testing.assert_array_equal(samples.images([6, 9]), cache.images[0][[2, 5]])


@pytest.mark.parametrize("plane", ["coronal", "sagittal"])
def test_slices_of_every_plane_are_squares(cache, plane):
    samples = Samples(cache=cache, rows=np.array([1]), planes=["axial", plane], least=0.1)
    assert len(samples) == DEPTH + SIDE
    np.testing.assert_array_equal(samples.images([DEPTH + 3])[0], slice_of(cache.images[1], plane, 3))


def test_every_so_many_slices_from_the_middle_on(cache):
    samples = Samples(cache=cache, rows=np.array([1]), planes=["axial"], every=2)
    np.testing.assert_array_equal(samples.images(np.arange(len(samples))), cache.images[1][[1, 3, 5]])


def test_labelled_volumes_give_their_slices_with_a_lesion(cache):
    both = Samples(cache=cache, rows=np.array([0, 2]), planes=["axial"], every=2, labelled=[2])
    assert both.rows.tolist() == [0, 0, 2]
    np.testing.assert_array_equal(both.images([2])[0], cache.images[2, 4])
    np.testing.assert_array_equal(both.masks([2])[0], cache.masks[0, 4].astype(bool))


@pytest.mark.parametrize("planes", [["axial"], ["axial", "coronal", "sagittal"]])
def test_slices_come_between_their_neighbours_where_these_are_asked_for(cache, planes):
    chosen = {"cache": cache, "rows": np.array([0, 2]), "planes": planes, "least": 0.1, "labelled": [2]}
    alone, slabs = Samples(**chosen), Samples(**chosen, neighbours=1)
    every = np.arange(len(alone))
    assert slabs.rows.tolist() == alone.rows.tolist()
    assert slabs.images(every).shape == (len(every), 3, SIDE, SIDE)
    np.testing.assert_array_equal(slabs.judged(slabs.images(every)), alone.images(every))
    np.testing.assert_array_equal(slabs.judged(slabs.images(every)), slabs.images(every)[:, 1])
    assert alone.judged(alone.images(every)).shape == alone.images(every).shape
    lesions = np.flatnonzero(slabs.rows == 2)
    np.testing.assert_array_equal(slabs.masks(lesions), alone.masks(lesions))
    assert slabs.masks(lesions).shape == (len(lesions), SIDE, SIDE)


def test_a_slab_at_the_end_of_a_volume_has_nothing_beyond_it(cache):
    slabs = Samples(cache=cache, rows=np.array([1]), planes=["axial"], neighbours=2).images(np.arange(DEPTH))
    np.testing.assert_array_equal(slabs[0], slab_of(cache.images[1], "axial", 0, 2))
    assert not slabs[0, :2].any() and not slabs[-1, 3:].any()
    assert slabs[0, 2:].any(axis=(1, 2)).all()


@pytest.mark.parametrize(("every", "spacing", "taken"), [(None, 1.8, 1), (1.0, 1.8, 1), (3.6, 1.8, 2), (10, 2, 5)])
def test_distances_are_told_in_mm(every, spacing, taken):
    assert SliceChoice(every=every).options(PrepareVolume(spacing=spacing))["every"] == taken


def test_neighbours_are_told_by_their_number():
    assert SliceChoice(neighbours=2).options(PrepareVolume())["neighbours"] == 2


@pytest.mark.parametrize(
    "option", [{"every": 0}, {"least_brain": 1.5}, {"least_brain": -0.1}, {"neighbours": -1}, {"neighbours": 0.5}]
)
def test_a_choice_that_cannot_be_is_refused(option):
    with pytest.raises(MriadError, match=r"data\.slices"):
        SliceChoice(**option)


@pytest.mark.parametrize(("healthy", "labelled", "share"), [(80, 5, 0.2), (100, 7, 0.5), (997, 100, 0.2), (30, 1, 0.1)])
def test_labelled_scans_make_up_their_share_in_turn(healthy, labelled, share):
    rows = mixed(np.arange(healthy), 1000 + np.arange(labelled), share=share)
    assert (rows >= 1000).mean() == pytest.approx(share, abs=0.01)
    assert sorted(rows[rows < 1000]) == list(range(healthy))
    times = np.unique(rows[rows >= 1000], return_counts=True)[1]
    assert len(times) == labelled
    assert times.max() - times.min() <= 1


def test_more_labelled_scans_than_their_share_are_all_served_once():
    rows = mixed(np.arange(10), 1000 + np.arange(50), share=0.2)
    assert sorted(rows) == [*range(10), *range(1000, 1050)]


def test_without_labelled_scans_an_epoch_is_the_healthy_ones():
    healthy = np.arange(10)
    np.testing.assert_array_equal(mixed(healthy, healthy[:0], share=0.2), healthy)


@pytest.mark.parametrize(("least", "times"), [(25, {2, 3}), (10, {1}), (5, {1})])
def test_few_healthy_scans_are_repeated_until_an_epoch_has_enough(least, times):
    rows = mixed(np.arange(10), 1000 + np.arange(3), share=0.2, least=least)
    healthy = rows[rows < 1000]
    assert len(healthy) == max(least, 10)
    assert set(np.unique(healthy, return_counts=True)[1]) == times
    assert (rows >= 1000).mean() == pytest.approx(0.2, abs=0.04)


def test_no_healthy_scan_is_not_repeated():
    assert len(mixed(np.arange(0), np.arange(0), share=0.2, least=25)) == 0
