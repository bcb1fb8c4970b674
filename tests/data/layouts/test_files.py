from pathlib import Path

from mriad.data.layouts.files import has_images, image_files, start_of, subfolders


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
