import threading

import pytest
from pydicom import dcmread
from volumes import oblique, voxels, write_dicom

from mriad.pacs import spool as of_spool
from mriad.pacs.spool import FullError, Spool


class Clock:
    """A clock that stands still until it is told to go on."""

    def __init__(self, monkeypatch):
        self.now = 1000.0
        monkeypatch.setattr(of_spool.time, "monotonic", lambda: self.now)


@pytest.fixture
def clock(monkeypatch):
    return Clock(monkeypatch)


@pytest.fixture
def images(tmp_path):
    """Five images of a series as they are sent: (SOPInstanceUID, bytes)."""
    files = write_dicom(tmp_path / "sent", voxels((5, 6, 7)), oblique(shape=(5, 6, 7)))
    return [(str(dcmread(file).SOPInstanceUID), file.read_bytes()) for file in files]


def spooled(folder, most_bytes=10**9):
    return Spool(folder, quiet=10, most_bytes=most_bytes)


def take(spool, images, series="1.2"):
    for image, content in images:
        spool.take(content, study="1.1", series=series, image=image)


def test_a_series_is_complete_when_no_image_has_come_for_some_seconds(tmp_path, images, clock):
    spool = spooled(tmp_path / "spool")
    take(spool, images[:3])
    clock.now += 9
    assert spool.complete() == []
    take(spool, images[3:])
    clock.now += 9
    assert spool.complete() == []
    clock.now += 1
    (arrival,) = spool.complete()
    assert (arrival.study, arrival.series) == ("1.1", "1.2")
    assert arrival.images == {image for image, _ in images}
    assert sorted(file.read_bytes() for file in arrival.folder.iterdir()) == sorted(content for _, content in images)


def test_series_are_told_apart(tmp_path, images, clock):
    spool = spooled(tmp_path / "spool")
    take(spool, images[:2], series="1.2")
    clock.now += 1
    take(spool, images[2:], series="1.3")
    clock.now += 10
    assert [(arrival.series, len(arrival.images)) for arrival in spool.complete()] == [("1.2", 2), ("1.3", 3)]


def test_a_series_that_announces_more_images_is_waited_for_longer(tmp_path, clock):
    files = write_dicom(
        tmp_path / "sent", voxels((5, 6, 7)), oblique(shape=(5, 6, 7)), ImagesInAcquisition=5, order=[0, 1, 2]
    )
    spool = spooled(tmp_path / "spool")
    take(spool, [(str(dcmread(file).SOPInstanceUID), file.read_bytes()) for file in files])
    clock.now += 99
    assert spool.complete() == []
    clock.now += 1
    assert len(spool.complete()) == 1


def test_a_series_whose_sender_is_still_there_is_waited_for_longer(tmp_path, images, clock):
    spool = spooled(tmp_path / "spool")
    for image, content in images:
        spool.take(content, study="1.1", series="1.2", image=image, sender="scanner")
    clock.now += 99
    assert spool.complete() == []
    spool.gone("scanner")
    assert len(spool.complete()) == 1


def test_what_came_before_a_kill_is_there_and_counts_as_just_come(tmp_path, images, clock):
    take(spooled(tmp_path / "spool"), images[:4])
    half = tmp_path / "spool" / "1.1" / "1.2" / ".123.part"
    half.write_bytes(b"half")
    clock.now += 100
    spool = spooled(tmp_path / "spool")
    assert spool.complete() == [] and not half.exists()
    take(spool, images[4:])
    clock.now += 10
    assert len(spool.complete()[0].images) == 5


def test_an_image_that_comes_twice_is_one(tmp_path, images, clock):
    spool = spooled(tmp_path / "spool", most_bytes=sum(len(content) for _, content in images) + len(images[0][1]))
    take(spool, images)
    for _ in range(3):
        take(spool, images)
    clock.now += 10
    assert len(spool.complete()[0].images) == 5


def test_what_does_not_fit_is_refused_until_there_is_room(tmp_path, images, clock):
    spool = spooled(tmp_path / "spool", most_bytes=2 * len(images[0][1]) + 100)
    take(spool, images[:2])
    with pytest.raises(FullError):
        take(spool, images[2:3])
    clock.now += 10
    spool.remove(spool.complete()[0])
    assert list((tmp_path / "spool").iterdir()) == []
    take(spool, images[2:4])


def test_a_series_is_not_removed_when_an_image_has_come_since(tmp_path, images, clock):
    spool = spooled(tmp_path / "spool")
    take(spool, images[:2])
    clock.now += 10
    (arrival,) = spool.complete()
    take(spool, images[2:3])
    spool.remove(arrival)
    assert len(list(arrival.folder.iterdir())) == 3
    assert spool.complete() == []


@pytest.mark.parametrize("uid", ["", "..", "../../etc", "1.2/3"])
def test_a_uid_leads_nowhere_else(tmp_path, images, uid):
    spool = spooled(tmp_path / "spool")
    with pytest.raises(ValueError, match="UIDs"):
        spool.take(b"", study=uid, series="1", image="1")
    with pytest.raises(ValueError, match="UIDs"):
        spool.take(b"", study="1", series="1", image=uid)


def test_images_that_come_at_once_are_all_kept(tmp_path, images, clock):
    spool = spooled(tmp_path / "spool")
    threads = [threading.Thread(target=take, args=(spool, images[number::3])) for number in range(3)]
    for thread in threads:
        thread.start()
    for thread in threads:
        thread.join()
    clock.now += 10
    assert len(spool.complete()[0].images) == 5


def test_a_disk_that_fails_leaves_no_half_and_no_count(tmp_path, images, clock, monkeypatch):
    spool = spooled(tmp_path / "spool", most_bytes=len(images[0][1]) + 10)

    def full(_):
        raise OSError(28, "No space left on device")

    with monkeypatch.context() as broken:
        broken.setattr(of_spool.os, "fsync", full)
        with pytest.raises(OSError):
            take(spool, images[:1])
    assert [file for file in (tmp_path / "spool").rglob("*") if file.is_file()] == []
    take(spool, images[:1])
