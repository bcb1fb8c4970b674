import numpy as np
import pytest
import SimpleITK
from volumes import oblique, voxels

from mriad.data.reading.read import read_scan
from mriad.errors import MriadError

GRID = oblique()
VALUES = voxels(GRID.shape)


def write(file, values=VALUES, grid=GRID, *, packed=False, vector=False):
    image = SimpleITK.GetImageFromArray(values.T if not vector else values, isVector=vector)
    if image.GetDimension() == 3:
        affine = np.diag([-1.0, -1, 1, 1]) @ grid.affine
        image.SetSpacing(grid.spacing)
        image.SetOrigin(affine[:3, 3].tolist())
        image.SetDirection((affine[:3, :3] / grid.spacing).ravel().tolist())
    SimpleITK.WriteImage(image, str(file), useCompression=packed)
    return file


@pytest.mark.parametrize("packed", [False, True])
@pytest.mark.parametrize("name", ["a.nrrd", "a.nhdr", "a.mha", "a.mhd", "A.NRRD"])
def test_nrrd_and_metaimage_give_voxels_and_their_place(tmp_path, name, packed):
    write(tmp_path / name.lower(), packed=packed).rename(tmp_path / name)
    scan = read_scan(tmp_path / name)
    assert scan.levels.dtype == np.int16
    np.testing.assert_array_equal(scan.levels, VALUES)
    np.testing.assert_allclose(scan.grid.affine, GRID.affine, atol=1e-4)


@pytest.mark.parametrize("space", ["right-anterior-superior", "RAS", "left-posterior-superior"])
def test_an_nrrd_may_count_in_either_world(tmp_path, space):
    file = write(tmp_path / "a.nrrd")
    file.write_bytes(file.read_bytes().replace(b"space: left-posterior-superior", f"space: {space}".encode()))
    turn = np.diag([1, 1, 1, 1] if space.startswith("left") else [-1, -1, 1, 1])
    np.testing.assert_allclose(read_scan(file).grid.affine, turn @ GRID.affine, atol=1e-4)


@pytest.mark.parametrize(
    ("name", "line"),
    [("a.nrrd", b"space directions"), ("a.nrrd", b"space:"), ("a.mha", b"TransformMatrix")],
)
def test_a_file_that_does_not_say_where_it_lies_is_refused(tmp_path, name, line):
    file = write(tmp_path / name)
    header, _, rest = file.read_bytes().partition(line)
    file.write_bytes(header + rest.partition(b"\n")[2])
    with pytest.raises(MriadError, match="left cannot be told from right"):
        read_scan(file)


def test_damaged_files_are_told(tmp_path):
    for packed in (False, True):
        for name in ("a.nrrd", "a.mha"):
            whole = write(tmp_path / name, packed=packed).read_bytes()
            flipped = whole[:-40] + b"\1" * 8 + whole[-32:]
            for damaged in (whole[:-200], whole[:40], b"nothing", b"", *([flipped] if packed else [])):
                (tmp_path / name).write_bytes(damaged)
                with pytest.raises(MriadError, match=str(tmp_path / name)) as caught:
                    read_scan(tmp_path / name)
                assert "\n" not in str(caught.value)
    for name in ("b.nhdr", "b.mhd"):
        write(tmp_path / name, packed=True)
        (voxels_file,) = {*tmp_path.glob("b.*")} - {tmp_path / "b.nhdr", tmp_path / "b.mhd"}
        voxels_file.write_bytes(voxels_file.read_bytes()[:-20])
        with pytest.raises(MriadError, match=str(tmp_path / "b.")):
            read_scan(tmp_path / name)
        voxels_file.unlink()
        with pytest.raises(MriadError, match="does not exist"):
            read_scan(tmp_path / name)


def test_a_metaimage_that_names_its_voxels_badly_is_refused(tmp_path):
    file = write(tmp_path / "a.mha")
    file.write_bytes(file.read_bytes().replace(b"ElementDataFile = LOCAL", b"ElementDataFile LOCAL"))
    with pytest.raises(MriadError, match="neither an NRRD nor a MetaImage"):
        read_scan(file)


def test_several_volumes_and_colours_are_refused(tmp_path):
    with pytest.raises(MriadError, match="holds 3 volumes"):
        read_scan(write(tmp_path / "a.mha", voxels((4, 5, 6, 3))))
    with pytest.raises(MriadError, match="3 numbers in a voxel"):
        read_scan(write(tmp_path / "b.nrrd", voxels((6, 5, 4, 3), kind=np.uint8), vector=True))
