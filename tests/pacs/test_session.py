import json

import pytest
import requests
from requests.adapters import HTTPAdapter

from mriad.errors import MriadError
from mriad.pacs import session
from mriad.pacs.address import Address
from mriad.pacs.session import AwayError, Session

ADDRESS = Address.of("dicomweb+http://me:secret@archive/dicom-web")


def answer(status=200, content=b"", kind="application/dicom+json"):
    made = requests.Response()
    made.status_code, made._content, made.headers["Content-Type"] = status, content, kind
    return made


@pytest.fixture
def archive(monkeypatch):
    """Gives the answers that it is told, in turn; the requests that it got, and the waits between them."""

    def told(*answers):
        left, asked, waits = list(answers), [], []

        def send(adapter, request, **options):
            asked.append(request)
            if isinstance(given := left.pop(0), Exception):
                raise given
            given.request, given.url = request, request.url
            return given

        monkeypatch.setattr(HTTPAdapter, "send", send)
        monkeypatch.setattr(session.time, "sleep", waits.append)
        return asked, waits

    for name in (session.USER, session.PASSWORD, session.TOKEN):
        monkeypatch.delenv(name, raising=False)
    return told


def test_a_query_is_a_url_and_its_answer_a_list(archive):
    asked, _ = archive(answer(content=json.dumps([{"0020000D": {"Value": ["1.2"]}}]).encode()), answer(204))
    one = Session(ADDRESS, patience=0)
    assert one.query("studies", [("PatientID", "a b"), ("limit", "5")]) == [{"0020000D": {"Value": ["1.2"]}}]
    assert asked[0].url == "http://archive/dicom-web/studies?PatientID=a+b&limit=5"
    assert asked[0].headers["Accept"] == "application/dicom+json"
    assert one.query("studies", []) == []


def test_the_environment_logs_in_before_the_address(archive, monkeypatch):
    asked, _ = archive(*(answer(204) for _ in range(3)))
    for variables in ({}, {session.USER: "you"}, {session.TOKEN: "abc"}):
        for name, value in variables.items():
            monkeypatch.setenv(name, value)
        Session(ADDRESS, patience=0).query("studies", [])
    logins = [requests.auth._basic_auth_str(user, "secret") for user in ("me", "you")]
    assert [one.headers["Authorization"] for one in asked] == [*logins, "Bearer abc"]


def test_what_fails_in_passing_is_tried_again_at_growing_distances(archive):
    passing = [requests.ConnectionError(), answer(503), requests.Timeout(), answer(429)]
    asked, waits = archive(*passing, answer(content=b"[{}]"))
    assert Session(ADDRESS, patience=1e6).query("studies", []) == [{}]
    assert len(asked) == 5 and waits == [0.5, 1, 2, 4]


def test_without_patience_it_is_away_at_once(archive):
    asked, waits = archive(answer(503))
    with pytest.raises(AwayError, match=r"^dicomweb\+http://archive/dicom-web does not answer \(503 "):
        Session(ADDRESS, patience=0).query("studies", [])
    assert len(asked) == 1 and waits == []


@pytest.mark.parametrize(
    ("status", "words"),
    [(401, "refuses the login"), (404, "does not know"), (418, r"refuses what was asked for \(418")],
)
def test_a_refusal_is_not_tried_again(archive, status, words):
    asked, _ = archive(answer(status))
    with pytest.raises(MriadError, match=words) as told:
        Session(ADDRESS, patience=1e6).file("x")
    assert len(asked) == 1 and not isinstance(told.value, AwayError)


@pytest.mark.parametrize("content", [b"<html>", b'{"error": "no such path"}'])
def test_an_answer_that_is_no_list_is_told(archive, content):
    archive(answer(content=content))
    with pytest.raises(MriadError, match="gives no answer that can be read"):
        Session(ADDRESS, patience=0).query("studies", [])


def test_a_file_is_taken_out_of_its_part(archive):
    content = b"DICM\r\n\r\n--b\x00\r\n"
    parts = b"--b1\r\nContent-Type: application/dicom\r\n\r\n" + content + b"\r\n--b1--\r\n"
    kind = 'multipart/related; type="application/dicom"; boundary="b1"'
    cut = answer(content=parts[:-12], kind=kind)
    _, waits = archive(answer(content=content, kind="application/dicom"), cut, answer(content=parts, kind=kind))
    one = Session(ADDRESS, patience=1e6)
    assert one.file("x") == content
    assert one.file("x") == content and waits == [0.5]  # the one that broke off was asked for again


@pytest.mark.parametrize("status", [200, 409])
def test_files_are_sent_in_parts_and_what_is_said_of_them_comes_back(archive, status, tmp_path):
    files = [tmp_path / name for name in ("a", "b")]
    for file in files:
        file.write_bytes(file.name.encode() * 5)
    asked, _ = archive(answer(status, b'{"00081198": {}}'))
    assert Session(ADDRESS, patience=0).send("studies", files) == {"00081198": {}}
    boundary = asked[0].headers["Content-Type"].rpartition("boundary=")[2]
    head = "Content-Type: application/dicom\r\n\r\n"
    body = f"--{boundary}\r\n{head}aaaaa\r\n--{boundary}\r\n{head}bbbbb\r\n--{boundary}--\r\n"
    assert asked[0].body == body.encode()
