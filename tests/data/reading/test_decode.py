from pathlib import Path

import numpy as np
import pytest
from PIL import Image

from mriad.data.reading.decode import IMAGE_SUFFIXES, decode
from mriad.errors import MriadError

RAMP = np.arange(0, 240, dtype=np.uint8).reshape(12, 20)


def saved(image: Image.Image, file: Path, **options: object) -> Path:
    image.save(file, **options)
    return file


def assert_one_sentence_about(error: MriadError, file: Path) -> None:
    text = str(error)
    assert str(file) in text
    assert text.endswith(".")
    assert "\n" not in text


def test_gray_png_maps_0_to_0_and_255_to_1(tmp_path):
    pixels = np.array([[0, 51], [204, 255], [1, 2]], dtype=np.uint8)
    decoded = decode(saved(Image.fromarray(pixels), tmp_path / "a.png"))
    np.testing.assert_allclose(decoded.pixels, pixels / 255, atol=1e-7)
    assert decoded.pixels.dtype == np.float32
    assert (decoded.format, decoded.mode) == ("PNG", "L")


@pytest.mark.parametrize("suffix", sorted(IMAGE_SUFFIXES | {".JPG", ".Png", ".TIFF"}))
def test_every_image_format_is_read_whatever_its_letter_case(tmp_path, suffix):
    smooth = np.add.outer(np.arange(32), 3 * np.arange(24)).astype(np.uint8) + 60
    decoded = decode(saved(Image.fromarray(smooth), tmp_path / f"a{suffix}"))
    np.testing.assert_allclose(decoded.pixels, smooth / 255, atol=0.02)


def test_the_bytes_say_what_a_file_is_not_its_suffix(tmp_path):
    decoded = decode(saved(Image.fromarray(RAMP), tmp_path / "a.png", format="JPEG"))
    assert decoded.format == "JPEG"
    assert decoded.pixels.shape == (12, 20)


def test_gray_stored_as_colour_decodes_like_gray(tmp_path):
    gray = decode(saved(Image.fromarray(RAMP), tmp_path / "gray.png"))
    for mode in ("RGB", "RGBA", "LA", "P"):
        other = decode(saved(Image.fromarray(RAMP).convert(mode), tmp_path / f"{mode}.png"))
        np.testing.assert_allclose(other.pixels, gray.pixels, atol=1.5 / 255, err_msg=mode)
        assert other.mode == mode


def test_colour_becomes_luminance(tmp_path):
    file = saved(Image.new("RGB", (3, 2), (255, 0, 0)), tmp_path / "red.png")
    np.testing.assert_allclose(decode(file).pixels, 0.299, atol=0.005)


@pytest.mark.parametrize("mode", ["RGBA", "LA"])
def test_transparent_pixels_show_black_and_half_transparent_ones_half(tmp_path, mode):
    image = Image.new(mode, (3, 1), "white")
    image.putalpha(Image.fromarray(np.array([[0, 128, 255]], dtype=np.uint8)))
    pixels = decode(saved(image, tmp_path / "a.png")).pixels
    np.testing.assert_allclose(pixels, [[0, 128 / 255, 1]], atol=0.005)


def test_palette_colours_are_looked_up(tmp_path):
    image = Image.fromarray(np.array([[0, 1, 2]], dtype=np.uint8), mode=None).convert("P")
    image.putpalette([255, 255, 255, 0, 0, 0, 51, 51, 51])
    np.testing.assert_allclose(decode(saved(image, tmp_path / "a.png")).pixels, [[1, 0, 0.2]], atol=0.005)


def test_a_transparent_palette_entry_shows_black(tmp_path):
    image = Image.fromarray(np.array([[0, 1]], dtype=np.uint8)).convert("P")
    image.putpalette([255, 255, 255, 255, 255, 255])
    file = saved(image, tmp_path / "a.png", transparency=0)
    np.testing.assert_allclose(decode(file).pixels, [[0, 1]])


def test_one_bit_is_black_and_white(tmp_path):
    image = Image.fromarray(np.array([[0, 255, 0]], dtype=np.uint8)).convert("1")
    np.testing.assert_array_equal(decode(saved(image, tmp_path / "a.png")).pixels, [[0, 1, 0]])


@pytest.mark.parametrize("suffix", [".png", ".tif"])
def test_sixteen_bit_keeps_its_depth(tmp_path, suffix):
    values = np.array([[0, 1, 1000], [1001, 40000, 65535]], dtype=np.uint16)
    pixels = decode(saved(Image.fromarray(values), tmp_path / f"a{suffix}")).pixels
    np.testing.assert_allclose(pixels, values / 65535, atol=1e-7)
    assert len(np.unique(pixels)) == 6


def test_a_dim_sixteen_bit_scan_is_not_stretched(tmp_path):
    values = np.array([[0, 4095]], dtype=np.uint16)
    pixels = decode(saved(Image.fromarray(values), tmp_path / "a.png")).pixels
    assert pixels.max() == pytest.approx(4095 / 65535)


@pytest.mark.parametrize(
    "values",
    [[[0, 3, 70000]], [[-5, 0, 900]], [[-40000, 0, 60000]], [[-(2**31), 0, 2**31 - 1]], [[7, 7, 7]]],
)
def test_thirty_two_bit_integers_come_out_in_range_and_order(tmp_path, values):
    values = np.array(values, dtype=np.int32)
    pixels = decode(saved(Image.fromarray(values), tmp_path / "a.tif")).pixels
    assert pixels.min() >= 0
    assert pixels.max() <= 1
    np.testing.assert_array_equal(np.diff(pixels) > 0, np.diff(values.astype(np.int64)) > 0)


def test_a_float_image_within_0_and_1_is_kept(tmp_path):
    values = np.array([[0.1, 0.25, 0.7]], dtype=np.float32)
    np.testing.assert_array_equal(decode(saved(Image.fromarray(values), tmp_path / "a.tif")).pixels, values)


@pytest.mark.parametrize("values", [[[0, 500.0, 2000.0]], [[-1.0, 0.5, 1.0]], [[-3.0, -2.0, -1.0]]])
def test_any_other_float_range_is_brought_into_0_and_1(tmp_path, values):
    file = saved(Image.fromarray(np.array(values, dtype=np.float32)), tmp_path / "a.tif")
    pixels = decode(file).pixels
    assert pixels.min() >= 0
    assert pixels.max() <= 1
    assert np.all(np.diff(pixels) > 0)


def test_pixels_that_are_no_number_become_0(tmp_path):
    values = np.array([[np.nan, np.inf, -np.inf, 0.5]], dtype=np.float32)
    pixels = decode(saved(Image.fromarray(values), tmp_path / "a.tif")).pixels
    np.testing.assert_array_equal(pixels, [[0, 0, 0, 0.5]])


def test_a_cmyk_jpeg_is_read_as_what_it_shows(tmp_path):
    image = Image.new("CMYK", (16, 16), (0, 0, 0, 0))  # no ink: white
    image.paste((0, 0, 0, 255), (0, 0, 16, 8))
    decoded = decode(saved(image, tmp_path / "a.jpg", quality=95))
    assert decoded.mode == "CMYK"
    assert decoded.pixels[2].max() < 0.1
    assert decoded.pixels[13].min() > 0.9


@pytest.mark.parametrize("suffix", [".jpg", ".png", ".tif", ".gif", ".bmp", ".webp"])
def test_a_truncated_file_is_a_mriad_error(tmp_path, suffix):
    noise = np.random.default_rng(0).integers(0, 256, (64, 64), dtype=np.uint8)
    file = saved(Image.fromarray(noise), tmp_path / f"a{suffix}")
    file.write_bytes(file.read_bytes()[: file.stat().st_size // 2])
    with pytest.raises(MriadError) as error:
        decode(file)
    assert_one_sentence_about(error.value, file)


@pytest.mark.parametrize("content", [b"", b"this is no image", b"\x89PNG\r\n\x1a\n", b"\xff\xd8\xff"])
def test_a_file_that_is_no_image_is_a_mriad_error(tmp_path, content):
    file = tmp_path / "a.png"
    file.write_bytes(content)
    with pytest.raises(MriadError, match=r"not an image|cannot be read") as error:
        decode(file)
    assert_one_sentence_about(error.value, file)


@pytest.mark.filterwarnings("ignore::UserWarning")  # Pillow tells what it finds odd
@pytest.mark.parametrize("format", ["PNG", "JPEG", "TIFF", "GIF", "BMP"])
def test_damaged_bytes_decode_or_are_a_mriad_error_but_nothing_else(tmp_path, format):
    rng = np.random.default_rng(0)
    file = saved(Image.fromarray(RAMP), tmp_path / "a.img", format=format)
    whole = file.read_bytes()
    told = 0
    for _ in range(150):
        damaged = bytearray(whole)
        for place in rng.integers(0, min(len(damaged), 200), 4):
            damaged[place] = rng.integers(256)
        file.write_bytes(bytes(damaged))
        try:
            pixels = decode(file).pixels
            assert pixels.dtype == np.float32
            assert np.isfinite(pixels).all()
        except MriadError as error:
            told += 1
            assert str(file) in str(error)
    assert told > 0


def test_a_decoder_that_fails_in_its_own_way_is_a_mriad_error(tmp_path, monkeypatch):
    file = saved(Image.fromarray(RAMP), tmp_path / "a.tif")

    def fail(*_: object, **__: object) -> None:
        raise TypeError("Missing dimensions")

    monkeypatch.setattr(Image, "open", fail)
    with pytest.raises(MriadError, match="Missing dimensions") as error:
        decode(file)
    assert_one_sentence_about(error.value, file)


def test_a_missing_file_is_named(tmp_path):
    with pytest.raises(MriadError, match="does not exist") as error:
        decode(tmp_path / "gone.png")
    assert_one_sentence_about(error.value, tmp_path / "gone.png")


def test_a_folder_is_not_taken_for_an_image(tmp_path):
    with pytest.raises(MriadError) as error:
        decode(tmp_path)
    assert_one_sentence_about(error.value, tmp_path)


@pytest.mark.parametrize("suffix", [".tif", ".gif"])
def test_a_file_of_several_frames_says_how_many(tmp_path, suffix):
    frames = [Image.fromarray(np.roll(RAMP, n)) for n in range(3)]
    file = saved(frames[0], tmp_path / f"a{suffix}", save_all=True, append_images=frames[1:])
    with pytest.raises(MriadError, match="holds 3 frames") as error:
        decode(file)
    assert_one_sentence_about(error.value, file)


def test_a_channel_may_hold_a_scan_of_its_own(tmp_path):
    channels = np.random.default_rng(0).integers(0, 256, (6, 8, 3), dtype=np.uint8)
    Image.fromarray(channels).save(tmp_path / "scan.tif")
    Image.fromarray(channels[..., 0]).save(tmp_path / "gray.tif")
    assert (decode(tmp_path / "scan.tif", channel="blue").levels == channels[..., 2]).all()
    for file, channel in (("scan.tif", "FLAIR"), ("gray.tif", "red")):
        with pytest.raises(MriadError, match=rf"/{file} has no channel '{channel}'; mend the series entry"):
            decode(tmp_path / file, channel=channel)
