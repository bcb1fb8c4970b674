import base64
import gzip
import json
import re

import nibabel
import numpy as np
import pytest
from volumes import oblique, write_nifti

from benchmarks.look import page


@pytest.fixture
def files(tmp_path):
    grid = oblique()
    anomaly_map = np.random.default_rng(0).random(grid.shape, dtype=np.float32)
    anomaly_map[3, 5, 7] = 2
    mask = anomaly_map > 0.9
    scan = (100 * anomaly_map).astype(np.int16)
    shown = {"scan": scan, "map": anomaly_map, "mask": mask.astype(np.uint8)}
    paths = [write_nifti(tmp_path / f"{name}.nii.gz", values, grid.affine) for name, values in shown.items()]
    return grid, anomaly_map[mask].min(), paths


def told(html):
    (line,) = re.findall(r"const files = (.*), at = (.*), looks = (.*);", html)
    return [json.loads(value) for value in line]


def test_the_page_holds_the_files_and_meets_at_the_peak(tmp_path, files):
    grid, threshold, paths = files
    html = page(tmp_path / "niivue.umd.js", *paths)
    kept, at, looks = told(html)
    for name, path in zip(("scan", "map", "mask"), paths, strict=True):
        held = nibabel.Nifti1Image.from_bytes(gzip.decompress(base64.b64decode(kept[name])))
        np.testing.assert_array_equal(held.affine, nibabel.load(path).affine)
        np.testing.assert_array_equal(np.asarray(held.dataobj), np.asarray(nibabel.load(path).dataobj))
    np.testing.assert_allclose(at, grid.to_world(np.array((3, 5, 7))), atol=1e-4)
    assert looks["map"]["cal_min"] == pytest.approx(threshold) and looks["map"]["cal_max"] == 2
    assert (tmp_path / "niivue.umd.js").as_uri() in html


def test_place_and_level_are_as_asked_for(tmp_path, files):
    _, at, looks = told(page(tmp_path / "niivue.umd.js", *files[2], [1, 2, 3], 0.25))
    assert at == [1, 2, 3] and looks["map"]["cal_min"] == 0.25
