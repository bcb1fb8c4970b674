import os

import pytest

from mriad.errors import MriadError
from mriad.pacs.address import Address, is_address, is_uid
from mriad.passwords import conceal, conceal_command


@pytest.mark.parametrize(
    ("text", "root"),
    [
        ("dicomweb://pacs.example/dicom-web", "https://pacs.example/dicom-web"),
        ("dicomweb://127.0.0.1:8042/dicom-web/", "http://127.0.0.1:8042/dicom-web"),
        ("dicomweb://localhost:8042/dicom-web", "http://localhost:8042/dicom-web"),
        ("dicomweb://[::1]:8042/dicom-web", "http://[::1]:8042/dicom-web"),
        ("dicomweb+http://pacs.example/a/b", "http://pacs.example/a/b"),
        ("dicomweb+https://localhost/a", "https://localhost/a"),
        ("dicomweb://me:word@pacs.example/dicom-web", "https://pacs.example/dicom-web"),
    ],
)
def test_an_address_is_https_but_to_this_machine(text, root):
    address = Address.of(text)
    assert (address.root, address.study, address.series) == (root, "", "")
    assert is_address(text)


def test_an_address_names_a_study_a_series_and_what_is_asked_for():
    address = Address.of("dicomweb://pacs/x/studies/1.2.3/series/4.5")
    assert (address.root, address.study, address.series) == ("https://pacs/x", "1.2.3", "4.5")
    assert Address.of(address.of_one("1.2.3", "4.5")) == address
    asked = Address.of("dicomweb://pacs/x?PatientID=a%20b&Modality=MR&StudyDate=20260101-20260131")
    assert asked.of_studies == (("PatientID", "a b"), ("StudyDate", "20260101-20260131"))
    assert asked.of_series == (("Modality", "MR"),)


@pytest.mark.parametrize("text", ["dicomweb://", "dicomweb://pacs/studies/../x", "dicomweb://pacs/studies/1/series",
                                  "dicomweb://pacs/studies/1/instances/2", "dicomweb://pacs:port/x"])  # fmt: skip
def test_what_is_no_address_is_refused(text):
    with pytest.raises(MriadError, match="dicomweb://"):
        Address.of(text)


@pytest.mark.parametrize("path", ["scans", "/data/dicomweb", "sqlite:///a.db", "dicomweb", ""])
def test_a_path_is_no_address(path):
    assert not is_address(path)


@pytest.mark.parametrize(("text", "expected"), [("1.2.840", True), ("", False), ("..", False), ("1/2", False)])
def test_a_uid_is_safe_as_a_name(text, expected):
    assert is_uid(text) is expected


def test_login_and_patient_are_concealed_and_found_again(monkeypatch):
    monkeypatch.delenv("MRIAD_ADDRESSES", raising=False)
    typed = "dicomweb://me:secret word@pacs/x?PatientID=4711&AccessionNumber=A9&StudyDate=20260101"
    assert conceal(typed) == "dicomweb://me:***@pacs/x?PatientID=***&AccessionNumber=***&StudyDate=20260101"
    address = Address.of(conceal(typed))
    assert (address.user, address.password) == ("me", "secret word")
    assert address.of_studies == (("PatientID", "4711"), ("AccessionNumber", "A9"), ("StudyDate", "20260101"))
    assert conceal_command(["input=dicomweb://pacs/x?00100020=4711"]) == ["input=dicomweb://pacs/x?00100020=***"]
    monkeypatch.setitem(os.environ, "MRIAD_ADDRESSES", "{}")
    with pytest.raises(MriadError, match="stars"):
        Address.of("dicomweb://pacs/x?PatientID=***")
