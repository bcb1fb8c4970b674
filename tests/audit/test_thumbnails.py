import numpy as np
import pytest
from scipy.spatial.distance import cdist

from mriad.audit.thumbnails import nearest_distance, thumbnails_of

RNG = np.random.default_rng(0)


def random_thumbnails(count):
    return RNG.integers(0, 256, size=(count, 16, 16), dtype=np.uint8)


def test_distance_is_that_to_the_nearest_of_all():
    some, others = random_thumbnails(300), random_thumbnails(700)
    expected = cdist(some.reshape(300, -1) / 255.0, others.reshape(700, -1) / 255.0).min(axis=1) / 16
    np.testing.assert_allclose(nearest_distance(some, others), expected, rtol=1e-6)


@pytest.mark.parametrize("level", [0, 7, 255])
def test_identical_thumbnails_are_at_zero_exactly(level):
    some = random_thumbnails(50)
    some[10] = level
    np.testing.assert_array_equal(nearest_distance(some, some[::-1]), np.zeros(50))


def test_black_is_at_one_from_white():
    black, white = np.zeros((1, 16, 16), dtype=np.uint8), np.full((1, 16, 16), 255, dtype=np.uint8)
    assert nearest_distance(black, white) == pytest.approx([1.0])


def test_one_step_of_intensity_is_told_from_none():
    bright = np.full((1, 16, 16), 255, dtype=np.uint8)
    other = bright.copy()
    other[0, 3, 4] = 254
    assert nearest_distance(bright, other) == pytest.approx([1 / (16 * 255)])


def test_thumbnails_are_those_of_the_rows_in_their_order():
    images = np.repeat(np.arange(5, dtype=np.uint8) * 50, 40 * 40).reshape(5, 40, 40)
    small = thumbnails_of(images, np.array([4, 1]))
    assert small.shape == (2, 16, 16) and small.dtype == np.uint8
    assert [set(one.ravel()) for one in small] == [{200}, {50}]


def test_thumbnails_keep_what_is_where():
    image = np.zeros((1, 128, 128), dtype=np.uint8)
    image[0, :64, 64:] = 240
    small = thumbnails_of(image, np.array([0]))[0]
    assert small[2, 12] == 240 and small[12, 12] == small[2, 2] == small[12, 2] == 0


def test_no_rows_give_no_thumbnails():
    assert thumbnails_of(np.zeros((3, 32, 32), dtype=np.uint8), np.zeros(0, dtype=np.int64)).shape == (0, 16, 16)
