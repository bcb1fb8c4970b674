import pytest
from pydicom import dcmread
from pydicom.uid import (
    ImplicitVRLittleEndian,
    JPEG2000Lossless,
    RLELossless,
    SecondaryCaptureImageStorage,
)
from pynetdicom import AE
from servers import free_port
from volumes import oblique, voxels, write_dicom

from mriad.errors import MriadError
from mriad.pacs.node import Node, Receiver
from mriad.pacs.session import AwayError
from mriad.pacs.spool import Spool

pytestmark = pytest.mark.slow


@pytest.fixture
def images(tmp_path):
    return write_dicom(tmp_path / "sent", voxels((5, 6, 7)), oblique(shape=(5, 6, 7)), PatientName="A^B")


@pytest.fixture
def spool(tmp_path):
    return Spool(tmp_path / "spool", quiet=0, most_bytes=10**6)


def node(spool, **options):
    port = free_port()
    return Node(spool, title="MRIAD", host="127.0.0.1", port=port, **options), port


def send(port, datasets, syntax=None):
    entity = AE()
    for dataset in datasets:
        entity.add_requested_context(dataset.SOPClassUID, syntax or dataset.file_meta.TransferSyntaxUID)
    link = entity.associate("127.0.0.1", port)
    assert link.is_established
    told = [link.send_c_store(dataset).Status for dataset in datasets]
    link.release()
    return told


def test_an_image_is_on_the_disk_as_it_was_sent(spool, images):
    open_, port = node(spool)
    with open_:
        assert send(port, [dcmread(file) for file in images]) == [0] * 5
    (arrival,) = spool.complete()
    for file in images:
        sent = dcmread(file)
        kept = dcmread(arrival.folder / f"{sent.SOPInstanceUID}.dcm")
        assert kept == sent and kept.file_meta.TransferSyntaxUID == sent.file_meta.TransferSyntaxUID


@pytest.mark.parametrize("syntax", [ImplicitVRLittleEndian, RLELossless, JPEG2000Lossless], ids=lambda uid: uid.name)
def test_images_come_in_any_transfer_syntax(spool, images, syntax, tmp_path):
    dataset = dcmread(images[0])
    if syntax == ImplicitVRLittleEndian:
        dataset.file_meta.TransferSyntaxUID = syntax
        dataset.save_as(tmp_path / "implicit", implicit_vr=True)
        dataset = dcmread(tmp_path / "implicit")
    elif syntax == RLELossless:
        dataset.compress(syntax)
    else:  # bytes that nobody here looks into
        dataset.compress(RLELossless)
        dataset.file_meta.TransferSyntaxUID = syntax
    open_, port = node(spool)
    with open_:
        assert send(port, [dataset]) == [0]
    (arrival,) = spool.complete()
    assert dcmread(next(arrival.folder.iterdir())).file_meta.TransferSyntaxUID == syntax


def test_what_is_no_mr_image_is_taken_and_left_out(spool, images):
    other = dcmread(images[0])
    other.SOPClassUID = other.file_meta.MediaStorageSOPClassUID = SecondaryCaptureImageStorage
    open_, port = node(spool)
    with open_:
        assert send(port, [other, dcmread(images[1])]) == [0, 0]
    assert [len(arrival.images) for arrival in spool.complete()] == [1]


def test_a_sender_is_told_that_there_is_no_room_or_no_sense(tmp_path, images):
    small = Spool(tmp_path / "small", quiet=0, most_bytes=1500)
    homeless = dcmread(images[2])
    homeless.SeriesInstanceUID = "../../x"
    open_, port = node(small)
    with open_:
        told = send(port, [dcmread(images[0]), dcmread(images[1]), homeless])
    assert told == [0x0000, 0xA700, 0xC000]
    assert [len(arrival.images) for arrival in small.complete()] == [1]


def test_results_are_sent_to_another_node(spool, images):
    open_, port = node(spool, allow=["FRIEND"])
    with open_:
        Receiver(f"MRIAD@127.0.0.1:{port}", title="FRIEND").store(images)
        with pytest.raises(MriadError, match="refuses to talk to STRANGER"):
            Receiver(f"MRIAD@127.0.0.1:{port}", title="STRANGER").store(images)
    assert [len(arrival.images) for arrival in spool.complete()] == [5]
    with pytest.raises(AwayError, match="does not answer"):
        Receiver(f"MRIAD@127.0.0.1:{port}", title="FRIEND").store(images)


@pytest.mark.parametrize("named", ["nowhere", "A@host", "@host:1", "A:1", "a name that is too long@host:104"])
def test_what_is_no_node_is_refused(named):
    with pytest.raises(MriadError):
        Receiver(named, title="MRIAD")
