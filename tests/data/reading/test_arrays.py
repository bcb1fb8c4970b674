import numpy as np
import pytest
from commands.brains import brain
from PIL import Image

from mriad.data.reading.arrays import scans_of
from mriad.data.reading.decode import decode
from mriad.errors import MriadError

GRAY = brain(0, size=24)
RGB = np.stack([GRAY, GRAY // 2, 255 - GRAY], axis=2)
ALPHA = (np.arange(24 * 24).reshape(24, 24) % 256).astype(np.uint8)


@pytest.mark.parametrize(
    "pixels",
    [
        GRAY,
        GRAY > 60,
        GRAY.astype(np.uint16) * 16,
        GRAY.astype(np.uint16) * 257,
        GRAY.astype(np.int32) * 100 - 300,
        (GRAY / 255).astype(np.float32),
        GRAY.astype(np.float32) * 3 - 7,
        RGB,
        np.dstack([RGB, ALPHA]),
        np.dstack([GRAY, ALPHA]),
    ],
    ids=lambda pixels: f"{pixels.dtype}-{pixels.shape[2:]}-{pixels.max()}",
)
def test_an_array_is_understood_as_a_file_of_its_kind(tmp_path, pixels):
    Image.fromarray(pixels).save(tmp_path / "a.tiff")
    (levels,) = scans_of(pixels[np.newaxis])
    expected = decode(tmp_path / "a.tiff").levels
    assert levels.dtype == expected.dtype
    np.testing.assert_array_equal(levels, expected)


@pytest.mark.parametrize("kind", ["int16", "uint32", "float16", "float64", ">u2", ">f4"])
def test_types_without_a_picture_format_have_the_levels_of_the_next_wider_one(kind):
    pixels = (GRAY // 2).astype(kind)
    wider = {"i": np.int32, "f": np.float32, "u": np.int32}[pixels.dtype.kind] if kind != ">u2" else np.uint16
    (levels,), (expected,) = scans_of(pixels), scans_of(pixels.astype(wider))
    np.testing.assert_array_equal(levels, expected)


def test_one_image_is_a_stack_of_one():
    assert [scan.shape for scan in scans_of(GRAY)] == [(24, 24)]
    assert [scan.shape for scan in scans_of(GRAY[None, ..., None])] == [(24, 24)]
    assert scans_of(np.zeros((0, 24, 24), dtype=np.uint8)) == []


def test_whole_numbers_without_a_width_are_8_bit_where_they_fit():
    (levels,) = scans_of(GRAY.tolist())
    assert levels.dtype == np.uint8 and (levels == GRAY).all()
    with pytest.raises(MriadError, match=r"int64 with values from 0 to 4000, .* dtype=uint16"):
        scans_of((GRAY.astype(int) % 2 * 4000).tolist())


def test_the_type_of_the_pixels_may_be_named():
    (levels,) = scans_of((GRAY.astype(int) * 16).tolist(), kind="uint16")
    assert levels.dtype == np.uint16 and (levels == GRAY.astype(int) * 16).all()


@pytest.mark.parametrize(
    ("values", "kind", "told"),
    [
        (GRAY / 255, "uint8", "which is no uint8"),
        (GRAY.astype(int) + 1, "uint8", "holds 256|no uint8"),
        (GRAY.astype(int) - 1, "uint16", "holds -1"),
        (np.where(GRAY > 9, GRAY, np.nan), "uint8", "holds nan"),
        (GRAY, "uint9", "dtype=uint9 is unknown"),
        (GRAY.astype(complex), "", "complex128"),
        (GRAY.astype(str), "", "is of type <U"),
        ({"image": GRAY}, "", "is a dict"),
        ([GRAY.tolist(), GRAY[1:].tolist()], "", "several sizes"),
        (GRAY[0], "", r"shape \(24,\)"),
        (RGB, "", "looks like colours"),
        (np.moveaxis(RGB, 2, 0)[None], "", "1 to 4 colours"),
        (RGB[None].astype(np.float32), "", "in colour and of type float32"),
        (GRAY[:0], "", "shape"),
    ],
)
def test_what_is_no_stack_of_scans_is_refused_in_a_sentence(values, kind, told):
    if isinstance(values, np.ndarray) and told.startswith("holds 256"):
        values = np.where(values == values.max(), 256, values)
    with pytest.raises(MriadError, match=told):
        scans_of(values, kind=kind)
