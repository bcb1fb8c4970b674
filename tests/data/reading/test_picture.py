import errno
import struct
from pathlib import Path

import cv2
import numpy as np
import pytest
import tifffile
from PIL import Image

from mriad.data.reading.decode import decode
from mriad.data.reading.deep import MOST_PIXELS
from mriad.data.reading.masks import read_mask
from mriad.data.reading.picture import read_picture
from mriad.errors import MriadError, ReadError

SMOOTH = (np.add.outer(np.arange(16), 2 * np.arange(24)) * 4).astype(np.uint8)  # no symmetry
STORED = {  # what a file holds of an upright picture under each orientation
    1: SMOOTH,
    2: SMOOTH[:, ::-1],
    3: SMOOTH[::-1, ::-1],
    4: SMOOTH[::-1],
    5: SMOOTH.T,
    6: np.rot90(SMOOTH, 1),
    7: np.rot90(SMOOTH, 2).T,
    8: np.rot90(SMOOTH, -1),
}


def oriented(number: int) -> Image.Exif:
    exif = Image.Exif()
    exif[0x0112] = number
    return exif


@pytest.mark.parametrize("suffix", [".jpg", ".png", ".webp", ".tif"])
@pytest.mark.parametrize("number", [*STORED, 0, 9])
def test_a_picture_is_upright_whatever_its_orientation(tmp_path, number, suffix):
    file = tmp_path / f"a{suffix}"
    stored = Image.fromarray(np.ascontiguousarray(STORED.get(number, SMOOTH)))
    stored.save(file, exif=oriented(number), **{"quality": 95} if suffix in (".jpg", ".webp") else {})
    np.testing.assert_allclose(
        read_picture(file).samples.squeeze().astype(int).reshape(16, 24, -1).mean(axis=2), SMOOTH, atol=6
    )


@pytest.mark.parametrize("number", STORED)
def test_masks_and_outlines_of_a_turned_scan(tmp_path, number):
    lesion = SMOOTH > 150
    Image.fromarray(np.ascontiguousarray(STORED[number])).save(tmp_path / "scan.png", exif=oriented(number))
    Image.fromarray(lesion).save(tmp_path / "upright.png")
    turned = {n: stored > 150 for n, stored in STORED.items()}[number]
    Image.fromarray(np.ascontiguousarray(turned)).save(tmp_path / "turned.png", exif=oriented(number))
    size = decode(tmp_path / "scan.png").levels.shape
    for name in ("upright.png", "turned.png"):
        np.testing.assert_array_equal(read_mask(tmp_path, name, size=size), lesion)


def test_a_mask_that_lies_as_the_turned_scan_is_stored_is_questioned(tmp_path):
    Image.fromarray(np.ascontiguousarray(STORED[6])).save(tmp_path / "mask.png")
    with pytest.raises(MriadError, match="EXIF orientation"):
        read_mask(tmp_path, "mask.png", size=SMOOTH.shape)


KINDS = ["uint8", "uint16", "uint32", "int8", "int16", "int32", "float16", "float32", "float64"]


@pytest.mark.parametrize("white", [False, True], ids=["black is zero", "white is zero"])
@pytest.mark.parametrize("order", ["<", ">"])
@pytest.mark.parametrize("compression", [None, "zlib"])
@pytest.mark.parametrize("kind", KINDS)
def test_a_tiff_of_any_kind_of_sample_shows_the_same(tmp_path, kind, compression, order, white):
    meant = SMOOTH / 255
    values = 1 - meant if white else meant
    full = 1.0 if kind.startswith("f") else float(np.iinfo(kind).max)
    lowest = float(np.iinfo(kind).min) if kind.startswith("i") else 0.0
    stored = (lowest + values * (full - lowest)).astype(kind)
    photometric = "miniswhite" if white else "minisblack"
    turn = [(274, 3, 1, 6, True)]
    options = {"photometric": photometric, "byteorder": order, "compression": compression, "metadata": None}
    tifffile.imwrite(tmp_path / "a.tif", np.rot90(stored, 1), extratags=turn, **options)
    shown = decode(tmp_path / "a.tif").pixels
    assert shown.shape == meant.shape
    scale = np.polyfit(meant.ravel(), shown.ravel(), 1)  # types without a nominal range are scaled by their own
    np.testing.assert_allclose(shown, np.polyval(scale, meant), atol=0.01)
    assert 0.8 < scale[0] < 1.2


@pytest.mark.parametrize("kind", ["uint16", "int16", "float32"])
def test_a_tiff_in_lzw_with_a_predictor_is_read(tmp_path, kind):
    stored = (SMOOTH.astype(float) * (100 if kind == "uint16" else 1)).astype(kind)
    cv2.imwrite(str(tmp_path / "a.tif"), stored)
    np.testing.assert_array_equal(read_picture(tmp_path / "a.tif").samples, stored)


@pytest.mark.parametrize("planar", ["contig", "separate"])
@pytest.mark.parametrize("kind", ["uint8", "uint16", "float32"])
def test_colour_tiffs_keep_their_depth_in_either_layout(tmp_path, kind, planar):
    gray = (SMOOTH / 255 * (1 if kind == "float32" else np.iinfo(kind).max)).astype(kind)
    colour = np.stack([gray] * 3, axis=0 if planar == "separate" else -1)
    tifffile.imwrite(tmp_path / "a.tif", colour, photometric="rgb", planarconfig=planar, metadata=None)
    np.testing.assert_allclose(decode(tmp_path / "a.tif").levels, gray, rtol=1e-6)


@pytest.mark.parametrize("channels", [2, 3, 4])
def test_sixteen_bit_png_with_colour_or_alpha_keeps_its_depth(tmp_path, channels):
    gray = SMOOTH.astype(np.uint16)  # of 16 bits: Pillow would leave nothing
    opaque = np.full_like(gray, 65535)
    pixels = np.dstack([gray, gray, gray, opaque][: max(channels, 3)] if channels > 2 else [gray, gray, gray, opaque])
    assert cv2.imwrite(str(tmp_path / "a.png"), pixels)
    np.testing.assert_array_equal(decode(tmp_path / "a.png").levels, gray)
    np.testing.assert_array_equal(read_mask(tmp_path, "a.png", size=gray.shape), gray > 0)


def test_a_transparent_level_of_a_sixteen_bit_png_shows_black(tmp_path):
    Image.fromarray(np.array([[65535, 300, 65535]], dtype=np.uint16)).save(tmp_path / "a.png", transparency=65535)
    np.testing.assert_array_equal(decode(tmp_path / "a.png").levels, [[0, 300, 0]])


def test_lab_is_read_as_what_it_shows(tmp_path):
    pixels = np.zeros((8, 8, 3), dtype=np.uint8)
    pixels[:4, :, 0] = 255
    Image.frombytes("LAB", (8, 8), pixels.tobytes()).save(tmp_path / "a.tif")
    shown = decode(tmp_path / "a.tif").pixels
    assert shown[:4].min() > 0.9
    assert shown[4:].max() < 0.1


def gray_profile(curve: list[int]) -> bytes:
    """A minimal ICC profile of a gray device with this tone curve."""
    tags = {
        b"wtpt": b"XYZ \0\0\0\0" + struct.pack(">3i", 63190, 65536, 54061),
        b"kTRC": b"curv\0\0\0\0" + struct.pack(f">I{len(curve)}H", len(curve), *curve),
    }
    table, body, start = struct.pack(">I", len(tags)), b"", 128 + 4 + 12 * len(tags)
    for name, content in tags.items():
        content += b"\0" * (-len(content) % 4)
        table += name + struct.pack(">II", start + len(body), len(content))
        body += content
    header = struct.pack(">I4sI4s4s4s", start + len(body), b"\0" * 4, 0x04200000, b"mntr", b"GRAY", b"XYZ ")
    header += b"\0" * 12 + b"acsp" + b"\0" * 28 + struct.pack(">3i", 63190, 65536, 54061)
    return header.ljust(128, b"\0") + table + body


@pytest.mark.parametrize("kind", [np.uint8, np.uint16])
def test_a_profile_that_turns_black_into_white_is_obeyed_and_a_broken_one_is_not(tmp_path, kind):
    stored = SMOOTH.astype(kind) * kind(257 if kind is np.uint16 else 1)
    for name, profile in {"plain": gray_profile([0, 65535]), "turned": gray_profile([65535, 0]), "bad": b"no"}.items():
        Image.fromarray(stored).save(tmp_path / f"{name}.png", icc_profile=profile)
    np.testing.assert_array_equal(decode(tmp_path / "plain.png").levels, stored)
    np.testing.assert_array_equal(decode(tmp_path / "bad.png").levels, stored)
    turned = decode(tmp_path / "turned.png").levels.astype(float)
    order = np.argsort(stored, axis=None, kind="stable")
    assert (np.diff(turned.ravel()[order]) <= 0).all()
    assert turned.max() > 0.95 * np.iinfo(kind).max


def test_the_first_picture_of_a_phones_jpeg_is_read(tmp_path):
    first, second = Image.fromarray(SMOOTH), Image.new("L", (8, 8))
    first.save(tmp_path / "a.jpg", format="MPO", save_all=True, append_images=[second], quality=95)
    picture = read_picture(tmp_path / "a.jpg")
    assert picture.format == "MPO"
    np.testing.assert_allclose(picture.samples.astype(int), SMOOTH, atol=6)


def test_wild_and_missing_values_of_a_float_scan_do_not_set_its_range(tmp_path):
    values = np.array(SMOOTH, dtype=np.float32)
    values[0, :3] = [1e30, np.nan, np.inf]
    tifffile.imwrite(tmp_path / "a.tif", values)
    shown = decode(tmp_path / "a.tif").pixels
    np.testing.assert_array_equal(shown[0, :3], [1, 0, 0])
    np.testing.assert_allclose(shown[1:], SMOOTH[1:] / SMOOTH.max(), atol=1e-6)


def test_small_floats_such_as_diffusion_coefficients_keep_their_contrast(tmp_path):
    tifffile.imwrite(tmp_path / "a.tif", SMOOTH.astype(np.float32) * 1e-9)
    np.testing.assert_allclose(decode(tmp_path / "a.tif").pixels, SMOOTH / SMOOTH.max(), atol=1e-6)


def test_several_channels_that_are_no_colours_are_refused(tmp_path):
    tifffile.imwrite(
        tmp_path / "a.tif", np.zeros((3, 9, 9), np.uint8), photometric="minisblack", planarconfig="separate"
    )
    with pytest.raises(MriadError, match=r"3 (channels|frames)"):
        read_picture(tmp_path / "a.tif")


def test_a_picture_over_the_limit_says_its_size_before_it_is_decoded(tmp_path):
    image = Image.new("1", (20_000, MOST_PIXELS // 20_000 + 1))
    for name in ("a.png", "a.tif"):
        image.save(tmp_path / name, **{"compression": "group4"} if name == "a.tif" else {})
        with pytest.raises(MriadError, match=r"is 20000 x 5001 pixels .* 100 million") as error:
            read_picture(tmp_path / name)
        assert "damaged" not in str(error.value)


@pytest.mark.parametrize(
    "error", [OSError(errno.EMFILE, "Too many open files"), OSError(errno.EIO, "Input/output error"), MemoryError()]
)
def test_an_error_of_the_drive_is_told_from_one_of_the_content(tmp_path, monkeypatch, error):
    Image.fromarray(SMOOTH).save(tmp_path / "a.png")
    (tmp_path / "bad.png").write_text("no image")
    with pytest.raises(MriadError) as told:
        read_picture(tmp_path / "bad.png")
    assert not isinstance(told.value, ReadError)

    def fail(*_: object) -> bytes:
        raise error

    monkeypatch.setattr(Path, "read_bytes", fail)
    with pytest.raises(ReadError, match=r"a\.png cannot be read now \("):
        read_picture(tmp_path / "a.png")


def test_memory_that_runs_out_while_decoding_says_nothing_of_the_content(tmp_path, monkeypatch):
    Image.fromarray(SMOOTH).save(tmp_path / "a.png")

    def fail(*_: object, **__: object) -> None:
        raise MemoryError

    monkeypatch.setattr(Image, "open", fail)
    with pytest.raises(ReadError, match="not enough memory"):
        read_picture(tmp_path / "a.png")
