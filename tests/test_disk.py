import errno

import pytest

from mriad.disk import make_private, written_whole
from mriad.errors import MriadError, mriad_error, no_room


def test_a_file_is_there_as_a_whole(tmp_path):
    file = tmp_path / ("n" * 255)  # as long as a name may be
    file.write_text("old")
    with written_whole(file) as part:
        part.write_text("new")
        assert file.read_text() == "old"
    assert file.read_text() == "new"
    assert list(tmp_path.iterdir()) == [file]


@pytest.mark.parametrize("number", [errno.ENOSPC, errno.EDQUOT])
def test_no_room_is_told_and_leaves_what_was_there(tmp_path, number):
    file = tmp_path / "a.txt"
    file.write_text("old")
    with pytest.raises(MriadError, match=r"a.txt cannot be written"), written_whole(file) as part:
        part.write_text("half")
        raise OSError(number, "no room")
    assert file.read_text() == "old"
    assert list(tmp_path.iterdir()) == [file]


@pytest.mark.parametrize("stop", [KeyboardInterrupt, ValueError])
def test_whatever_else_stops_it_comes_through(tmp_path, stop):
    with pytest.raises(stop), written_whole(tmp_path / "a.txt") as part:
        part.write_text("half")
        raise stop
    assert list(tmp_path.iterdir()) == []


def test_a_full_disk_is_told_wherever_it_was_met():
    try:
        try:
            raise OSError(errno.ENOSPC, "No space left on device", "/tmp/x")
        except OSError:
            raise RuntimeError("a library's own") from None
    except RuntimeError as error:
        assert no_room(error) == "no space left on device for /tmp/x"
        assert str(mriad_error(error)).startswith(
            "A file cannot be written (no space left on device for /tmp/x); make room"
        )
    assert no_room(OSError("16384 requested and 0 written")) == "no space left on device"
    assert mriad_error(OSError(errno.EACCES, "Permission denied")) is None


def test_a_private_folder_and_those_above_it_are_nobody_elses(tmp_path):
    make_private(tmp_path / "mine" / "study" / "series", below=tmp_path / "mine")
    make_private(tmp_path / "mine" / "study" / "series", below=tmp_path / "mine")  # there already

    modes = [(tmp_path / "mine" / name).stat().st_mode & 0o077 for name in ("study", "study/series")]
    assert modes == [0, 0]
