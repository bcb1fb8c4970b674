import numpy as np
import pytest

from mriad.plots import overlay


@pytest.fixture
def scan():
    rng = np.random.default_rng(0)
    return rng.random((20, 30)).astype(np.float32), rng.random((20, 30)).astype(np.float32)


def test_overlay_is_an_rgb_image_of_the_scan_s_size(scan):
    blended = overlay(*scan, map_scale=(0, 1), pixel_threshold=0.5)
    assert blended.shape == (20, 30, 3) and blended.dtype == np.uint8


def test_pixels_up_to_the_threshold_stay_as_gray_as_they_were(scan):
    image, anomaly_map = scan
    anomaly_map[0, 0] = 0.5
    blended = overlay(image, anomaly_map, map_scale=(0, 1), pixel_threshold=0.5)
    gray = np.rint(255 * image).astype(np.uint8)
    below = anomaly_map <= 0.5
    for channel in range(3):
        np.testing.assert_array_equal(blended[below][:, channel], gray[below])
    assert (np.ptp(blended[~below].astype(int), axis=1) > 0).all()


def test_colour_depends_on_the_scale_and_not_on_the_other_pixels(scan):
    image, anomaly_map = scan
    whole = overlay(image, anomaly_map, map_scale=(0, 2), pixel_threshold=0.1)
    part = overlay(image[:3], anomaly_map[:3], map_scale=(0, 2), pixel_threshold=0.1)
    np.testing.assert_array_equal(whole[:3], part)


def test_values_beyond_the_scale_take_its_end_colours(scan):
    image, _ = scan
    colours = [
        overlay(image, np.full_like(image, value), map_scale=(0, 1), pixel_threshold=-9) for value in (-5, 0, 1, 5)
    ]
    np.testing.assert_array_equal(colours[0], colours[1])
    np.testing.assert_array_equal(colours[2], colours[3])


def test_scale_without_width_is_drawn(scan):
    image, _ = scan
    assert overlay(image, np.zeros_like(image), map_scale=(0, 0), pixel_threshold=0).shape == (20, 30, 3)


def test_map_of_another_size_is_refused(scan):
    with pytest.raises(ValueError, match="differ in shape"):
        overlay(scan[0], scan[1][:-1], map_scale=(0, 1), pixel_threshold=0.5)
