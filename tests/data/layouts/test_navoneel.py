import shutil

import pytest

from mriad.data.layouts import navoneel
from mriad.errors import MriadError


def paths(catalog) -> list[str]:
    return list(catalog.table["path"])


@pytest.fixture
def unzipped(tmp_path, write_image):
    """The archive as it unzips: everything at the top and once more in brain_tumor_dataset/."""
    for name, mode in (
        ("no/1 no.jpeg", "RGB"),
        ("no/N2.JPG", "L"),
        ("yes/Y1.png", "P"),
        ("yes/Y2.jpg", "CMYK"),
    ):
        file = write_image(tmp_path / name, mode=mode)
        twin = tmp_path / "brain_tumor_dataset" / name
        twin.parent.mkdir(parents=True, exist_ok=True)
        shutil.copy(file, twin)
    return tmp_path


def test_no_is_healthy_and_yes_a_tumour(unzipped):
    table = navoneel(root=unzipped).table
    assert dict(zip(table["path"], table["label"], strict=True)) == {
        "no/1 no.jpeg": 0,
        "no/N2.JPG": 0,
        "yes/Y1.png": 1,
        "yes/Y2.jpg": 1,
    }
    assert list(table["class"]) == ["healthy", "healthy", "tumour", "tumour"]


def test_the_rows_do_not_depend_on_which_of_the_two_copies_is_there(unzipped):
    both = paths(navoneel(root=unzipped))
    assert paths(navoneel(root=unzipped / "brain_tumor_dataset")) == both
    for name in ("yes", "no"):
        shutil.rmtree(unzipped / name)
    below = navoneel(root=unzipped)
    assert paths(below) == both
    assert all(file.is_file() for file in below.files())


def test_a_file_of_the_same_name_but_other_content_is_a_scan_of_its_own(unzipped, write_image):
    write_image(unzipped / "brain_tumor_dataset/no/N2.JPG")
    write_image(unzipped / "brain_tumor_dataset/no/N3.jpg")
    extra = ["brain_tumor_dataset/no/N2.JPG", "brain_tumor_dataset/no/N3.jpg"]
    assert paths(navoneel(root=unzipped)) == [*extra, "no/1 no.jpeg", "no/N2.JPG", "yes/Y1.png", "yes/Y2.jpg"]


def test_identical_scans_of_different_names_stay_until_the_catalog_drops_them(unzipped):
    shutil.copy(unzipped / "no/N2.JPG", unzipped / "no/N9.JPG")
    catalog = navoneel(root=unzipped)
    assert len(catalog) == 5
    assert len(catalog.without_identical_files()) == 4


@pytest.mark.parametrize("gone", ["yes", "no"])
def test_one_of_the_two_classes_may_be_absent(tmp_path, write_image, gone):
    there = {"yes": "no", "no": "yes"}[gone]
    write_image(tmp_path / there / "a.png")
    assert paths(navoneel(root=tmp_path)) == [f"{there}/a.png"]


def test_images_elsewhere_are_no_scans(tmp_path, write_image):
    write_image(tmp_path / "other/a.png")
    with pytest.raises(MriadError, match=r"No scans found in /.*: expected yes/ and no/"):
        navoneel(root=tmp_path)


@pytest.mark.real
def test_the_real_set_has_98_healthy_scans_and_155_tumours(data_root):
    catalog = navoneel(root=data_root / "navoneel")
    assert catalog.table["label"].value_counts().to_dict() == {0: 98, 1: 155}
    assert len(catalog.without_identical_files()) == 228


@pytest.mark.real
def test_the_real_set_has_as_many_rows_when_it_is_there_twice(data_root, tmp_path):
    source = data_root / "navoneel/brain_tumor_dataset"
    shutil.copytree(source, tmp_path / "brain_tumor_dataset")
    for name in ("yes", "no"):
        shutil.copytree(source / name, tmp_path / name)
    assert paths(navoneel(root=tmp_path)) == paths(navoneel(root=source))
