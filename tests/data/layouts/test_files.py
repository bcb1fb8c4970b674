import os
from pathlib import Path

import pytest

from mriad.data.layouts.files import has_images, image_files, start_of, subfolders
from mriad.errors import MriadError


def touch(root: Path, *names: str) -> None:
    for name in names:
        (root / name).parent.mkdir(parents=True, exist_ok=True)
        (root / name).touch()


def test_images_are_found_at_any_depth_in_any_format_and_letter_case(tmp_path):
    names = ["a.png", "b.JPG", "c.jpeg", "d.Bmp", "e.tif", "f.TIFF", "g.gif", "p1/h.webp", "p1/scans/i.jpg"]
    touch(tmp_path, *names)
    assert image_files(tmp_path) == [tmp_path / name for name in names]


def test_litter_is_left_out(tmp_path):
    touch(
        tmp_path,
        "._a.png",
        ".hidden.jpg",
        "Thumbs.db",
        "notes.txt",
        "__MACOSX/a.png",
        ".ipynb_checkpoints/a.png",
    )
    assert image_files(tmp_path) == []
    assert not has_images(tmp_path)


def test_a_folder_that_is_named_like_an_image_is_none(tmp_path):
    (tmp_path / "a.png").mkdir()
    assert image_files(tmp_path) == []


def test_linked_folders_are_followed(tmp_path):
    touch(tmp_path, "elsewhere/a.png")
    (tmp_path / "root").mkdir()
    (tmp_path / "root/yes").symlink_to(tmp_path / "elsewhere")
    assert image_files(tmp_path / "root") == [tmp_path / "root/yes/a.png"]


def test_a_missing_folder_has_no_images_and_no_subfolders(tmp_path):
    assert image_files(tmp_path / "missing") == []
    assert not has_images(tmp_path / "missing")
    assert subfolders(tmp_path / "missing") == []


def test_one_image_is_enough_to_have_images(tmp_path):
    touch(tmp_path, "p1/scans/a.PNG")
    assert has_images(tmp_path)


def test_subfolders_are_matched_in_any_letter_case(tmp_path):
    touch(tmp_path, "Train/a.png", "VAL/a.png", "other/a.png", ".git/a.png", "test")
    assert subfolders(tmp_path, "TRAIN", "val", "TEST") == [tmp_path / "Train", tmp_path / "VAL"]
    assert subfolders(tmp_path) == [tmp_path / "Train", tmp_path / "VAL", tmp_path / "other"]


def test_a_data_set_starts_at_the_root_where_its_folders_are(tmp_path):
    touch(tmp_path, "yes/a.png", "copy/yes/a.png")
    assert start_of(tmp_path, "yes", "no") == tmp_path


def test_a_data_set_may_start_one_level_down(tmp_path):
    touch(tmp_path, "archive/no/a.png", "other/a.png", "__MACOSX/no/a.png")
    assert start_of(tmp_path, "yes", "no") == tmp_path / "archive"


def test_where_two_folders_could_be_meant_neither_is(tmp_path):
    touch(tmp_path, "one/no/a.png", "two/no/a.png")
    assert start_of(tmp_path, "yes", "no") == tmp_path


def test_a_link_back_up_is_told_and_not_followed(tmp_path, caplog):
    touch(tmp_path, "p1/a.png", "p2/b.png")
    (tmp_path / "p1" / "up").symlink_to(tmp_path)
    (tmp_path / "p1" / "other").symlink_to(tmp_path / "p2")
    (tmp_path / "p2" / "other").symlink_to(tmp_path / "p1")
    found = [file.relative_to(tmp_path).as_posix() for file in image_files(tmp_path)]
    assert found == ["p1/a.png", "p1/other/b.png", "p2/b.png", "p2/other/a.png"]
    assert f"{tmp_path / 'p1' / 'up'} leads back to a folder that it lies in" in caplog.text


def test_a_link_to_nowhere_is_told(tmp_path, caplog):
    (tmp_path / "yes").symlink_to(tmp_path / "unplugged")
    (tmp_path / "itself").symlink_to("itself")
    assert image_files(tmp_path) == []
    assert caplog.text.count("is a link that leads nowhere") == 2


def test_an_image_that_is_a_link_to_nowhere_is_left_to_who_reads_it(tmp_path):
    (tmp_path / "a.png").symlink_to(tmp_path / "unplugged.png")
    assert image_files(tmp_path) == [tmp_path / "a.png"]


@pytest.mark.parametrize("look", [image_files, has_images, lambda folder: subfolders(folder / "p1")])
def test_a_folder_that_cannot_be_read_is_told(tmp_path, monkeypatch, look):
    touch(tmp_path, "p1/a.txt", "p2/a.txt")
    scandir = os.scandir

    def refusing(folder):
        if os.path.basename(folder) == "p1":
            raise PermissionError(13, "Permission denied", str(folder))
        return scandir(folder)

    monkeypatch.setattr(os, "scandir", refusing)
    with pytest.raises(MriadError, match=r"The folder .*p1 cannot be read \(Permission denied\), so that scans may"):
        look(tmp_path)
