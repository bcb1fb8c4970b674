import pytest

from mriad.disk import written_whole


def test_a_file_is_replaced_when_all_is_written(tmp_path):
    file = tmp_path / ("n" * 255)
    file.write_text("before")
    with written_whole(file) as part:
        part.write_text("after")
        assert file.read_text() == "before"
    assert file.read_text() == "after" and list(tmp_path.iterdir()) == [file]


def test_what_fails_leaves_what_was_there(tmp_path):
    (tmp_path / "a").write_text("before")
    with pytest.raises(OSError, match="full"), written_whole(tmp_path / "a") as part:
        part.write_text("half")
        raise OSError("full")
    assert (tmp_path / "a").read_text() == "before" and len(list(tmp_path.iterdir())) == 1
