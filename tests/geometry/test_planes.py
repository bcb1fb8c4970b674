import numpy as np
import pytest

from mriad.errors import MriadError
from mriad.geometry.planes import AXES, require_planes, slab_of, slice_of, window_about

DEPTH, SIDE = 5, 8


@pytest.mark.parametrize("plane", AXES)
def test_a_slice_is_an_upright_square(plane):
    volume = np.random.default_rng(0).random((DEPTH, SIDE, SIDE))
    expected = {
        "axial": volume[3],
        "coronal": np.vstack([np.zeros((1, SIDE)), volume[::-1, 3], np.zeros((2, SIDE))]),
        "sagittal": np.vstack([np.zeros((1, SIDE)), volume[::-1, :, 3], np.zeros((2, SIDE))]),
    }
    assert (slice_of(volume, plane, 3) == expected[plane]).all()


@pytest.mark.parametrize("plane", AXES)
def test_a_slab_is_a_slice_between_its_neighbours_and_nothing_beyond_the_ends(plane):
    volume = np.random.default_rng(0).random((DEPTH, SIDE, SIDE)) + 1
    last = volume.shape[AXES[plane]] - 1
    for place in (0, 2, last):
        slab = slab_of(volume, plane, place, 2)
        assert slab.shape == (5, SIDE, SIDE)
        for channel, near in zip(slab, range(place - 2, place + 3), strict=True):
            there = 0 <= near <= last
            assert (channel == (slice_of(volume, plane, near) if there else 0)).all()
    assert (slab_of(volume, plane, 1, 0) == slice_of(volume, plane, 1)).all()


def test_planes_must_be_known():
    assert require_planes(["sagittal", "axial", "sagittal"]) == ("sagittal", "axial")
    with pytest.raises(MriadError, match="oblique"):
        require_planes(["oblique"])
    with pytest.raises(MriadError, match="nothing to look at"):
        require_planes([])


def test_a_window_lies_about_what_is_shown_and_inside_the_slice():
    shown = np.zeros((20, 30), dtype=bool)
    shown[2:6, 20:28] = True
    rows, columns = window_about(shown, 10)
    assert (rows, columns) == (slice(0, 10), slice(19, 29))
    assert window_about(np.zeros_like(shown), 10) == (slice(5, 15), slice(10, 20))
    rows, columns = window_about(shown, 25)
    assert shown[rows, columns].shape == (20, 25)
