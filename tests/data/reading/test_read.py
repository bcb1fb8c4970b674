import subprocess
import sys
from pathlib import Path

import numpy as np
from PIL import Image
from volumes import oblique, voxels, write_dicom, write_nifti

from mriad.data.reading.decode import decode
from mriad.data.reading.read import read_scan
from mriad.geometry import Grid, reorient

GRID = oblique(shape=(6, 10, 8), spacing=(2, 1, 1))
VALUES = voxels(GRID.shape)


def test_a_picture_is_a_scan_of_one_slice(tmp_path):
    pixels = voxels((20, 30), kind=np.uint8)
    Image.fromarray(pixels).save(tmp_path / "a.png")
    scan = read_scan(tmp_path / "a.png")
    np.testing.assert_array_equal(scan.levels[0], decode(tmp_path / "a.png").levels)
    assert scan.grid == Grid.of_picture(20, 30)
    assert not scan.is_volume
    assert (scan.facts.format, scan.facts.mode) == ("PNG", "L")


def test_one_head_has_the_same_canonical_voxels_from_every_file(tmp_path):
    write_dicom(tmp_path / "dicom", VALUES, GRID)
    write_nifti(tmp_path / "a.nii.gz", VALUES, GRID.affine)
    other = GRID.reoriented("LAS")
    write_nifti(tmp_path / "b.nii", np.ascontiguousarray(reorient(VALUES, GRID, "LAS")), other.affine)
    wanted = reorient(VALUES, GRID)
    for name in ("dicom", "a.nii.gz", "b.nii"):
        scan = read_scan(tmp_path / name)
        np.testing.assert_array_equal(reorient(scan.levels, scan.grid), wanted)
        np.testing.assert_allclose(scan.grid.reoriented().affine, GRID.reoriented().affine, atol=1e-4)


def test_libraries_of_formats_wait_until_a_file_needs_them(tmp_path):
    Image.fromarray(voxels((20, 30), kind=np.uint8)).save(tmp_path / "a.png")
    program = (
        "import sys; from pathlib import Path; from mriad.data.reading.read import read_scan\n"
        f"read_scan(Path({str(tmp_path / 'a.png')!r}))\n"
        "print(sorted({'SimpleITK', 'pydicom', 'nibabel', 'gdcm', 'torch'} & set(sys.modules)))"
    )
    root = Path(__file__).parents[3]
    done = subprocess.run([sys.executable, "-c", program], cwd=root, capture_output=True, text=True)
    assert (done.stdout, done.stderr) == ("[]\n", "")
