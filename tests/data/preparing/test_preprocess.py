import numpy as np
import pytest

from mriad.data.preparing.preprocess import BlankScanError, Preprocess
from mriad.errors import MriadError


def head_scan(shape: tuple[int, int] = (200, 160), *, background: float = 0.0) -> np.ndarray:
    """An elliptic head with intensities from 0.3 to 0.5."""
    row, column = np.indices(shape)
    head = ((row - 100) / 70) ** 2 + ((column - 75) / 50) ** 2 <= 1
    tissue = 0.3 + 0.2 * (row - 30) / 140
    return np.where(head, tissue, background).astype(np.float32)


def test_a_slice_is_uint8_of_the_size_asked_and_fills_the_range():
    image, geometry = Preprocess(image_size=96)(head_scan())
    assert image.shape == (96, 96)
    assert image.dtype == np.uint8
    assert image.min() == 0
    assert image.max() >= 253
    assert geometry.image_size == 96
    assert (geometry.height, geometry.width) == (200, 160)


def test_crop_head_cuts_to_the_head():
    _, geometry = Preprocess(crop="head")(head_scan())
    box = (geometry.top, geometry.left, geometry.bottom, geometry.right)
    np.testing.assert_allclose(box, (30, 25, 171, 126), atol=4)


def test_crop_none_keeps_the_whole_image():
    _, geometry = Preprocess(crop="none")(head_scan())
    assert (geometry.top, geometry.left, geometry.bottom, geometry.right) == (0, 0, 200, 160)


def test_pad_keeps_proportions_and_stretch_fills_the_slice():
    image = head_scan()[30:170]
    padded, planned = Preprocess(image_size=64, shape="pad", low=None, high=None)(image)
    stretched, _ = Preprocess(image_size=64, shape="stretch", low=None, high=None)(image)
    assert planned.pad_left > 0
    assert (padded[:, :5] == 0).all()
    assert stretched[25:40, :3].max() > 50


def test_low_and_high_null_keep_the_files_own_range():
    pixels = (np.arange(64 * 64).reshape(64, 64) % 256 / 255).astype(np.float32)
    image, _ = Preprocess(image_size=64, crop="none", low=None, high=None)(pixels)
    np.testing.assert_array_equal(image, np.arange(64 * 64).reshape(64, 64) % 256)


def test_percentiles_are_taken_over_the_head_or_over_all():
    pixels = head_scan()
    options = {"image_size": 100, "crop": "none", "shape": "stretch", "low": 25.0, "high": 75.0}
    head, _ = Preprocess(over="head", **options)(pixels)
    everything, _ = Preprocess(over="all", **options)(pixels)
    inside = pixels[pixels > 0]
    low, high = np.percentile(inside, [25, 75])
    row, column = 50, 50  # the middle of the slice: row 100, column 80 of the scan
    expected = 255 * np.clip((pixels[100, 80] - low) / (high - low), 0, 1)
    assert head[row, column] == pytest.approx(expected, abs=8)
    all_low, all_high = np.percentile(pixels, [25, 75])
    expected = 255 * np.clip((pixels[100, 80] - all_low) / (all_high - all_low), 0, 1)
    assert everything[row, column] == pytest.approx(expected, abs=8)
    assert abs(int(head[row, column]) - int(everything[row, column])) > 50


def test_scaling_ignores_brightness_and_contrast_of_the_file():
    dim, _ = Preprocess()(head_scan() * 0.2)
    bright, _ = Preprocess()(head_scan())
    np.testing.assert_allclose(dim.astype(int), bright.astype(int), atol=2)


def test_a_few_hot_pixels_do_not_darken_the_rest():
    pixels = head_scan()
    pixels[90:93, 70:73] = 1.0
    with_spike, _ = Preprocess()(pixels)
    without, _ = Preprocess()(head_scan())
    assert np.median(np.abs(with_spike.astype(int) - without.astype(int))) <= 3


def test_percentiles_ignore_what_lies_outside_the_crop():
    pixels = head_scan()
    pixels[:, -4:] = 1.0  # a white bar
    with_bar, _ = Preprocess(over="all")(pixels)
    without, _ = Preprocess(over="all")(head_scan())
    np.testing.assert_allclose(with_bar.astype(int), without.astype(int), atol=3)


def spiked(level: float, *, count: int = 1) -> np.ndarray:
    """A head in 12 of 16 bits with wild values at its middle."""
    pixels = np.rint(head_scan() * 4095).astype(np.uint16)
    pixels[100, 70 : 70 + count] = level
    return pixels


NOISE = np.random.default_rng(0).random((300, 300), dtype=np.float32)
LABELLED = np.zeros((200, 160), dtype=np.uint8)
LABELLED[5:10, 5:25] = 255
BLANK = {
    "black": np.zeros((20, 30), dtype=np.float32),
    "gray": np.full((20, 30), 0.5, dtype=np.float32),
    "white": np.full((20, 30), 255, dtype=np.uint8),
    "one pixel": NOISE[:1, :1],
    "a line": NOISE[:3],
    "a few pixels": NOISE[:5, :7],
    "black with a label": LABELLED,
    "noise of one level": (NOISE > 0.5).astype(np.uint8) + 7,
    "float noise": (0.5 + NOISE * 1e-7).astype(np.float32),
    "one wild value": np.where(NOISE.argmax() == np.arange(NOISE.size).reshape(NOISE.shape), 1.0, NOISE * 1e-5).astype(
        np.float32
    ),
}


@pytest.mark.parametrize("options", [{}, {"crop": "none"}, {"over": "all"}, {"low": 0, "high": 100}], ids=str)
@pytest.mark.parametrize("levels", BLANK.values(), ids=BLANK)
def test_a_scan_with_nothing_in_it_is_no_scan(levels, options):
    if levels is BLANK["one wild value"] and options.get("high") != 100:
        pytest.skip("percentiles save it")
    with pytest.raises(BlankScanError, match=r"^The scan is blank: .*\.$"):
        Preprocess(image_size=32, **options)(levels)


def test_what_the_files_own_range_leaves_dark_is_blank_too():
    dim = (head_scan() * 250).astype(np.uint16)
    Preprocess(image_size=32)(dim)
    with pytest.raises(BlankScanError, match="are alike"):
        Preprocess(image_size=32, low=None, high=None)(dim)


@pytest.mark.parametrize("count", [1, 5])
def test_wild_values_move_neither_head_nor_window(count):
    plain, planned = Preprocess(image_size=64)(spiked(1800, count=count))
    image, geometry = Preprocess(image_size=64)(spiked(65535, count=count))
    assert geometry == planned
    assert np.percentile(np.abs(image.astype(int) - plain), 99) <= 1


@pytest.mark.parametrize("shape", [(8, 8), (9, 300)])
def test_small_images_are_prepared_too(shape):
    pixels = np.random.default_rng(0).random(shape, dtype=np.float32)
    image, geometry = Preprocess(image_size=32)(pixels)
    assert image.shape == (32, 32)
    assert geometry.to_scan(image.astype(np.float32)).shape == shape


def test_the_same_scan_gives_the_same_slice_and_is_left_as_it_was():
    pixels = head_scan()
    before = pixels.copy()
    first, geometry = Preprocess()(pixels)
    second, again = Preprocess()(pixels)
    np.testing.assert_array_equal(first, second)
    assert geometry == again
    np.testing.assert_array_equal(pixels, before)


def test_the_slice_is_the_crop_as_the_geometry_tells_it():
    pixels = head_scan()
    image, geometry = Preprocess(low=None, high=None)(pixels)
    expected = geometry.to_network(pixels)
    np.testing.assert_allclose(image / 255, expected, atol=1 / 255 + 1e-6)


@pytest.mark.parametrize(
    ("options", "words"),
    [
        ({"crop": "brain"}, "head or none"),
        ({"over": "brain"}, "head or all"),
        ({"shape": "squeeze"}, "pad or stretch"),
        ({"crop": None}, "head or none"),
        ({"low": None}, "both"),
        ({"high": None}, "both"),
        ({"low": 50, "high": 50}, "low < high"),
        ({"low": 99, "high": 1}, "low < high"),
        ({"low": -1}, "low < high"),
        ({"high": 101}, "low < high"),
        ({"low": float("nan")}, "low < high"),
        ({"low": "a"}, "low < high"),
        ({"high": "max"}, "low < high"),
        ({"image_size": 0}, "image_size"),
        ({"image_size": -8}, "image_size"),
        ({"image_size": 12.5}, "image_size"),
        ({"image_size": "big"}, "image_size"),
        ({"image_size": None}, "image_size"),
    ],
)
def test_a_bad_option_is_told_with_what_is_legal(options, words):
    with pytest.raises(MriadError, match=words) as error:
        Preprocess(**options)
    assert "\n" not in str(error.value)
