import nibabel
import numpy as np
import pytest
from volumes import oblique, voxels

from mriad.data.reading.read import read_scan
from mriad.errors import MriadError

GRID = oblique()
VALUES = voxels(GRID.shape)


@pytest.mark.parametrize("name", ["a.mgz", "a.mgh"])
def test_an_mgh_file_gives_voxels_and_their_place(tmp_path, name):
    nibabel.save(nibabel.MGHImage(VALUES, GRID.affine), tmp_path / name)
    scan = read_scan(tmp_path / name)
    assert scan.levels.dtype == np.int16
    np.testing.assert_array_equal(scan.levels, VALUES)
    np.testing.assert_allclose(scan.grid.affine, GRID.affine, atol=1e-4)


def test_what_is_no_whole_volume_is_told(tmp_path):
    file = tmp_path / "a.mgh"
    image = nibabel.MGHImage(VALUES, GRID.affine)
    nibabel.save(image, file)
    whole = file.read_bytes()
    for damaged in (whole[:100], whole[:-3000], b"nothing", b""):
        file.write_bytes(damaged)
        with pytest.raises(MriadError, match=f"{file} cannot be read as an MGH file"):
            read_scan(file)
    file.write_bytes(whole[:28] + b"\0\0" + whole[30:])  # goodRASFlag
    with pytest.raises(MriadError, match="left cannot be told from right"):
        read_scan(file)
    nibabel.save(nibabel.MGHImage(voxels((4, 5, 6, 2)), GRID.affine), file)
    with pytest.raises(MriadError, match="holds 2 volumes"):
        read_scan(file)
