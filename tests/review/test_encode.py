import base64
import gzip
import io

import nibabel
import numpy as np
import pytest
from PIL import Image

from mriad.geometry import Grid, reorient
from mriad.review.encode import CodedMap, as_codes, as_gray, decoded, script, thumbnail

from .conftest import nested


@pytest.mark.parametrize("level", [0.5, 0.1, 0.9, -1.0, 7.0, 0.30000001192092896])
def test_a_code_is_above_that_of_the_level_where_the_map_is_above_the_level(level):
    rng = np.random.default_rng(0)
    values = rng.random((20, 20, 20)).astype(np.float32)
    values.ravel()[:5] = level, np.nextafter(np.float32(level), 9), np.nextafter(np.float32(level), -9), 0, 1
    coded = CodedMap.of(values, level=level)
    assert np.array_equal(coded.codes > coded.code, values > level)
    back = coded.level + (coded.codes.astype(float) - coded.code) * coded.step
    assert np.abs(back - values).max() <= 1.01 * coded.step


def test_a_map_of_one_value_has_codes():
    coded = CodedMap.of(np.full((2, 2, 2), 0.5, dtype=np.float32), level=0.5)
    assert not (coded.codes > coded.code).any()


def test_scan_and_map_lie_in_space_as_the_scan_does():
    scan, anomaly_map = nested()
    coded = CodedMap.of(anomaly_map, level=0.5)
    images = [
        nibabel.Nifti1Image.from_bytes(gzip.decompress(base64.b64decode(text)))
        for text in (as_gray(scan.levels, scan.grid)[0], as_codes(coded, scan.grid))
    ]
    for image, values in zip(images, (scan.levels, anomaly_map), strict=True):
        grid = Grid(shape=image.shape, affine=image.affine)
        assert grid.orientation == "RAS"
        assert np.allclose(reorient(image.get_fdata(), grid, scan.grid.orientation), values, atol=1e-4)
        assert np.allclose(grid.reoriented(scan.grid.orientation).affine, scan.grid.affine, atol=1e-4)
    codes, grid = decoded(as_codes(coded, scan.grid))
    assert np.array_equal(reorient(codes, grid, scan.grid.orientation), coded.codes)


def test_grays_keep_their_units():
    levels = np.linspace(-70, 4000, 8 * 9 * 10).reshape(8, 9, 10).astype(np.float32)
    text, (low, high) = as_gray(levels, Grid(shape=levels.shape, affine=np.eye(4)))
    shown = nibabel.Nifti1Image.from_bytes(gzip.decompress(base64.b64decode(text))).get_fdata()
    assert np.abs(shown - levels).max() < 8
    assert -70 < low < 0 and 3900 < high < 4000


def test_no_text_ends_a_script():
    text = script("list", {"path": "</script><script>alert(1)//\u2028é"})
    assert "<" not in text and text.isascii() and text.count("\n") == 1


def test_a_thumbnail_is_cut_where_the_map_is_highest():
    scan, anomaly_map = nested(Grid(shape=(14, 12, 10), affine=np.diag([1.0, 2, 3, 1])))
    picture = thumbnail(scan.levels, anomaly_map, scan.grid, scale=(0.0, 1.5), level=0.5)
    image = np.asarray(Image.open(io.BytesIO(picture)).convert("RGB")).astype(int)
    assert image.shape == (96, 56, 3)  # 12 rows of 2 mm and 14 columns of 1 mm
    coloured = image.max(axis=2) - image.min(axis=2) > 40
    assert 0.2 < coloured.mean() < 0.35  # 42 of 168 pixels
