import json
from pathlib import Path

import numpy as np
import pytest
from PIL import Image

from mriad.data.reading.masks import read_mask
from mriad.data.reading.outlines import rasterise
from mriad.errors import MriadError

SIZE = (24, 32)
LESION = np.zeros(SIZE, dtype=bool)
LESION[6:14, 10:25] = True


def gray(value: int) -> Image.Image:
    return Image.fromarray(LESION.astype(np.uint8) * np.uint8(value))


def palette() -> Image.Image:
    # The lesion has index 0 here: what counts is the colour, not the index.
    image = Image.fromarray((~LESION).astype(np.uint8)).convert("P")
    image.putpalette([255, 0, 0, 0, 0, 0])
    return image


def transparent() -> Image.Image:
    pixels = np.full((*SIZE, 4), 255, dtype=np.uint8)
    pixels[~LESION, 3] = 0
    return Image.fromarray(pixels)


IMAGES = {
    "gray of 255": gray(255),
    "gray of 1": gray(1),
    "bool": gray(255).convert("1"),
    "palette": palette(),
    "red of RGB": Image.merge("RGB", [gray(9), gray(0), gray(0)]),
    "opaque RGBA": gray(255).convert("RGBA"),
    "transparent RGBA": transparent(),
    "gray and alpha": gray(255).convert("LA"),
    "16 bit": Image.fromarray(LESION.astype(np.uint16) * np.uint16(40_000)),
    "16 bit of 1": Image.fromarray(LESION.astype(np.uint16)),
}


@pytest.mark.parametrize("image", IMAGES.values(), ids=IMAGES.keys())
def test_every_mode_of_image_gives_the_same_mask(tmp_path, image):
    image.save(tmp_path / "mask.png")
    mask = read_mask(tmp_path, "mask.png", size=SIZE)
    assert mask.dtype == bool
    np.testing.assert_array_equal(mask, LESION)


def test_a_float_tiff_is_read_and_what_is_not_a_number_is_background(tmp_path):
    pixels = LESION.astype(np.float32)
    pixels[0, 0] = np.nan
    Image.fromarray(pixels).save(tmp_path / "mask.tif")
    np.testing.assert_array_equal(read_mask(tmp_path, "mask.tif", size=SIZE), LESION)


def test_the_noise_of_jpeg_compression_is_no_lesion(tmp_path):
    gray(255).save(tmp_path / "mask.jpg", quality=60)
    assert (np.asarray(Image.open(tmp_path / "mask.jpg")) > 0).sum() > LESION.sum(), "no noise to tell apart"
    np.testing.assert_array_equal(read_mask(tmp_path, "mask.jpg", size=SIZE), LESION)


@pytest.mark.parametrize("name", ["mask.jpg", "mask.png"])
def test_a_black_image_is_an_empty_mask(tmp_path, name):
    gray(0).save(tmp_path / name)
    assert not read_mask(tmp_path, name, size=SIZE).any()


@pytest.mark.parametrize("size", [(48, 64), (32, 24)], ids=["larger", "lying"])
def test_another_size_than_the_scan_is_an_error_with_both_sizes(tmp_path, size):
    gray(255).save(tmp_path / "mask.png")
    with pytest.raises(MriadError, match=rf"mask\.png is 24 x 32 pixels .* its scan is {size[0]} x {size[1]}"):
        read_mask(tmp_path, "mask.png", size=size)


def test_a_missing_mask_is_an_error(tmp_path):
    with pytest.raises(MriadError, match=r"mask\.png does not exist"):
        read_mask(tmp_path, "mask.png", size=SIZE)


def test_an_unreadable_mask_is_an_error(tmp_path):
    (tmp_path / "text.png").write_text("no image")
    gray(255).save(tmp_path / "whole.png")
    (tmp_path / "cut.png").write_bytes((tmp_path / "whole.png").read_bytes()[:60])
    for name in ("text.png", "cut.png"):
        with pytest.raises(MriadError, match=rf"The mask .*{name} (cannot be read|is not an image)"):
            read_mask(tmp_path, name, size=SIZE)


def test_a_number_sign_in_the_name_of_an_image_is_no_outline(tmp_path):
    gray(255).save(tmp_path / "mask#1.png")
    np.testing.assert_array_equal(read_mask(tmp_path, "mask#1.png", size=SIZE), LESION)


@pytest.fixture
def export(tmp_path) -> Path:
    circle = {"name": "circle", "cx": 12, "cy": 9, "r": 5}
    line = {"name": "polyline", "all_points_x": [1, 2], "all_points_y": [1, 2]}
    images = {
        name: {"filename": name, "regions": [{"shape_attributes": shape}]}
        for name, shape in (("a.jpg", circle), ("b#1.jpg", circle), ("line.jpg", line))
    }
    (tmp_path / "via.json").write_text(json.dumps(images))
    return tmp_path


@pytest.mark.parametrize("name", ["a.jpg", "b#1.jpg"])
def test_outlines_are_drawn_at_the_size_of_the_scan(export, name):
    expected = rasterise([{"name": "circle", "cx": 12, "cy": 9, "r": 5}], size=SIZE)
    np.testing.assert_array_equal(read_mask(export, f"via.json#{name}", size=SIZE), expected)


def test_a_name_without_outlines_is_an_error(export):
    with pytest.raises(MriadError, match=r"via\.json has no outlines for 'c\.jpg'"):
        read_mask(export, "via.json#c.jpg", size=SIZE)


def test_an_unknown_shape_is_told_with_file_and_image(export):
    with pytest.raises(MriadError, match=r"via\.json, image 'line\.jpg': .*'polyline'"):
        read_mask(export, "via.json#line.jpg", size=SIZE)


@pytest.mark.real
@pytest.mark.parametrize("name", ["y395.jpg", "y449.jpg"])
def test_rotated_ellipses_of_br35h_lie_on_the_tumours(data_root, name):
    # Both tumours are dark rings of a tilted oval: turned the other way the outline holds brighter tissue.
    folder = data_root / "br35h/Br35H-Mask-RCNN/TRAIN"
    pixels = np.asarray(Image.open(folder / name).convert("L"), dtype=float)
    mask = read_mask(folder, f"annotations_train.json#{name}", size=pixels.shape)
    shapes = json.loads((folder / "annotations_train.json").read_text())
    outline = next(image["regions"][0]["shape_attributes"] for image in shapes.values() if image["filename"] == name)
    mirrored = rasterise([outline | {"theta": -outline["theta"]}], size=pixels.shape)
    assert contrast(pixels, mask) > 2 * contrast(pixels, mirrored)


def contrast(pixels: np.ndarray, mask: np.ndarray) -> float:
    """Difference of mean brightness between the area and a rim of 3 pixels around it."""
    grown = np.pad(mask, 3)
    around = np.any(
        [grown[dy : dy + mask.shape[0], dx : dx + mask.shape[1]] for dy in range(7) for dx in range(7)],
        axis=0,
    )
    return abs(pixels[mask].mean() - pixels[around & ~mask].mean())
