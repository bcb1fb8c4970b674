import gzip

import nibabel
import numpy as np
import pytest
from whole_heads import affine, head

from mriad.data.reading.read import read_scan
from mriad.data.reading.scan import Facts, Scan
from mriad.geometry import Grid
from mriad.writing.nifti import as_nifti


def written(values, scan, kind=nibabel.Nifti1Image):
    return kind.from_bytes(gzip.decompress(as_nifti(values, scan, description="map")))


@pytest.mark.parametrize("kind", [nibabel.Nifti1Image, nibabel.Nifti2Image])
@pytest.mark.parametrize("codes", [(1, 4), (0, 2), (3, 0)])
def test_beside_nifti_all_that_says_where_is_the_same(tmp_path, kind, codes):
    levels, placed = head()
    source = kind(levels, placed)
    source.set_qform(placed, code=codes[0])
    source.set_sform(placed if codes[1] else None, code=codes[1])
    source.header.set_xyzt_units("mm", "sec")
    source.header.set_slope_inter(3, -1024)
    source.header["cal_max"] = 700
    source.to_filename(tmp_path / "a.nii")
    scan = read_scan(tmp_path / "a.nii")
    image = written(np.full(levels.shape, 0.5, dtype=np.float32), scan, kind)
    source = nibabel.load(tmp_path / "a.nii")
    assert (image.get_qform(coded=True)[1], image.get_sform(coded=True)[1]) == codes
    for form in ("get_qform", "get_sform"):
        there, here = (getattr(one, form)(coded=True)[0] for one in (source, image))
        assert (there is None and here is None) or np.array_equal(there, here)
    assert image.header.get_xyzt_units() == ("mm", "sec")
    assert np.asarray(image.dataobj)[0, 0, 0] == 0.5
    assert (image.header["cal_max"], image.header.get_slope_inter()) in ((0, (1, 0)), (0, (None, None)))


def test_beside_two_files_there_is_one(tmp_path):
    levels, placed = head()
    nibabel.save(nibabel.Nifti1Pair(levels, placed), tmp_path / "a.img")
    scan = read_scan(tmp_path / "a.img")
    image = written(levels.astype(np.float32), scan)
    assert np.allclose(image.affine, placed, atol=1e-3) and np.array_equal(np.asarray(image.dataobj), levels)


def test_a_dicom_series_has_its_slices_along_the_last_axis():
    shape = (5, 6, 7)
    grid = Grid(shape=shape, affine=affine(shape=shape, codes="ILA"))
    values = np.random.default_rng(0).random(shape, dtype=np.float32)
    image = written(values, Scan(levels=values, grid=grid, facts=Facts(format="DICOM")))
    assert image.shape == (7, 6, 5)
    there = nibabel.affines.apply_affine(image.affine, (6, 5, 4))
    assert there == pytest.approx(grid.to_world((4, 5, 6)), abs=1e-3)
    assert np.asarray(image.dataobj)[6, 5, 4] == values[4, 5, 6]
    assert (int(image.header["qform_code"]), int(image.header["sform_code"])) == (1, 1)


def test_axes_that_are_not_at_right_angles_have_no_qform():
    shape = (5, 6, 7)
    sheared = affine(shape=shape)
    sheared[:3, 0] += 0.02 * sheared[:3, 1]
    values = np.zeros(shape, dtype=np.uint8)
    image = written(values, Scan(levels=values, grid=Grid(shape=shape, affine=sheared), facts=Facts(format="NRRD")))
    assert (int(image.header["qform_code"]), int(image.header["sform_code"])) == (0, 1)
    assert np.allclose(image.affine, sheared, atol=1e-3)
