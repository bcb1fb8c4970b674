import pytest
from volumes import oblique, voxels, write_dicom

from mriad.data.reading.suffixes import is_dicom, is_volume, stem, volume_suffix

GRID = oblique(shape=(2, 4, 4))


@pytest.mark.parametrize(
    ("name", "suffix", "start"),
    [
        ("sub-01_T1w.nii.gz", ".nii.gz", "sub-01_T1w"),
        ("SUB.01.NII.GZ", ".nii.gz", "SUB.01"),
        ("a.nii", ".nii", "a"),
        ("a.img.gz", ".img.gz", "a"),
        ("a.mgz", ".mgz", "a"),
        ("a.b.nrrd", ".nrrd", "a.b"),
        ("a.jpg", "", "a"),
        ("a.gz", "", "a"),
        ("scan", "", "scan"),
    ],
)
def test_a_suffix_of_two_parts_counts_as_one(name, suffix, start):
    assert volume_suffix(name) == suffix
    assert stem(f"/folder.nii/{name}") == start


def test_a_volume_is_told_by_its_name(tmp_path):
    for name in ("a.nii.gz", "b.hdr", "c.img", "c.hdr", "d.jpg", "e.txt"):
        (tmp_path / name).write_bytes(b"")
    found = [file.name for file in sorted(tmp_path.iterdir()) if is_volume(file)]
    assert found == ["a.nii.gz", "b.hdr", "c.img"]
    assert not is_volume(tmp_path / "missing.nii.gz")


def test_dicom_is_told_by_its_first_bytes(tmp_path):
    files = write_dicom(tmp_path / "study" / "series", voxels(GRID.shape), GRID)
    (tmp_path / "empty").mkdir()
    (tmp_path / "pictures").mkdir()
    (tmp_path / "pictures" / "a.png").write_bytes(files[0].read_bytes())
    assert is_dicom(files[0])
    assert is_volume(files[0])
    assert is_volume(tmp_path / "study")
    assert not is_volume(tmp_path / "empty")
    assert not is_volume(tmp_path / "pictures")
    (tmp_path / "bare").write_bytes(files[0].read_bytes()[132:].replace(b"\x02\x00\x00\x00", b"\x08\x00\x05\x00", 1))
    assert is_dicom(tmp_path / "bare")
