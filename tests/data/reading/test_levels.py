import numpy as np
import pytest

from mriad.data.preparing.preprocess import Preprocess
from mriad.data.reading.levels import as_pixels, percentiles, rescaled

DTYPES = (np.uint8, np.uint16, np.float32)


def levels(dtype: type, *, seed: int = 0) -> np.ndarray:
    """(40, 30) levels that use a third of their type's range."""
    pixels = np.random.default_rng(seed).gamma(2.0, size=(40, 30)) / 60
    return pixels.astype(dtype) if dtype == np.float32 else np.round(pixels * np.iinfo(dtype).max).astype(dtype)


@pytest.mark.parametrize("dtype", DTYPES)
def test_percentiles_are_those_of_numpy(dtype):
    scan = levels(dtype)
    where = np.random.default_rng(1).random(scan.shape) < 0.3
    asked = [0, 0.5, 33.3, 50, 99.5, 100]
    assert percentiles(scan, asked) == pytest.approx(np.percentile(as_pixels(scan), asked), abs=1e-6)
    assert percentiles(scan, asked, where=where) == pytest.approx(
        np.percentile(as_pixels(scan)[where], asked), abs=1e-6
    )


@pytest.mark.parametrize("dtype", DTYPES)
def test_percentiles_of_one_pixel_and_of_a_cut_are_found(dtype):
    scan = levels(dtype)
    cut = scan[3:20, 5:21]
    assert percentiles(cut, [50], where=cut > 0) == pytest.approx([np.median(as_pixels(cut)[cut > 0])], abs=1e-6)
    assert percentiles(scan[:1, :1], [1, 99]) == pytest.approx([as_pixels(scan)[0, 0]] * 2)


@pytest.mark.parametrize("dtype", DTYPES)
def test_scaling_clips_and_rounds_once(dtype):
    scan = levels(dtype)
    low, high = 0.01, 0.08
    expected = np.round(np.clip((as_pixels(scan).astype(float) - low) / (high - low), 0, 1) * 255)
    found = rescaled(scan, low, high)
    assert found.dtype == np.uint8 and {0, 255} < set(found.ravel().tolist())
    assert np.abs(found - expected).max() <= (1 if dtype == np.float32 else 0)


def test_a_scan_without_contrast_is_scaled_to_something():
    assert np.isfinite(rescaled(np.full((3, 4), 7, dtype=np.uint16), 0.5, 0.5)).all()


@pytest.mark.parametrize("options", [{}, {"crop": "none", "over": "all"}, {"low": None, "high": None}], ids=str)
def test_a_scan_gives_the_same_slice_as_integers_and_as_floats(options):
    scan = np.zeros((90, 70), dtype=np.uint8)
    scan[10:80, 10:60] = np.random.default_rng(2).integers(30, 200, (70, 50))
    preprocess = Preprocess(image_size=32, **options)
    image, geometry = preprocess(scan)
    for other in (as_pixels(scan), as_pixels(scan).astype(np.float64), scan.astype(np.uint16) * 257):
        again, same = preprocess(other)
        assert same == geometry
        assert np.abs(image.astype(int) - again).max() <= 1
