import http.client
import json
import socket
import struct
import threading

import pytest

from mriad.errors import MriadError
from mriad.review.marks import read_marks
from mriad.review.server import ReviewServer

from .conftest import served

MARK = {"reader": "anna", "path": "p1_T1.nii.gz", "mark": "agree", "note": "<img src=x onerror=alert(1)>"}


@pytest.fixture
def server(page):
    with served(page) as running:
        yield running


def ask(server, method, path, body=None, **headers):
    connection = http.client.HTTPConnection("127.0.0.1", server.port, timeout=30)
    headers = {name.replace("_", "-"): value for name, value in headers.items()}
    connection.request(method, path, body=body, headers=headers)
    answer = connection.getresponse()
    return answer.status, answer.read()


def post(server, told, **headers):
    return ask(server, "POST", "/marks", json.dumps(told), **{"Content_Type": "application/json"} | headers)


def test_the_page_and_its_data_are_served(server):
    for path in ("/", "/index.html", "/review.js", "/list.js", "/scans/0.js", "/thumbs/0.webp", "/niivue.umd.js"):
        assert ask(server, "GET", path)[0] == 200, path
    assert json.loads(ask(server, "GET", "/marks")[1]) == {"reader": "anna", "marks": []}


@pytest.mark.parametrize(
    "path",
    [
        "/../list.js", "/scans/../../predictions.csv", "/..%2f..%2fetc/passwd", "//etc/passwd", "/scans/0.js/../../x",
        "/marks.csv", "/scans/", "/scans/%30.js", "/.marks.csv.lock", "/scans/0.js%00", "/C:/x",
    ],
)  # fmt: skip
def test_nothing_else_is(server, page, path):
    (page.parent / "predictions.csv").write_text("secret")
    assert ask(server, "GET", path)[0] == 404


def test_a_mark_is_on_disk_when_it_is_answered(server):
    assert post(server, MARK)[0] == 201
    assert (
        post(server, {"reader": "béla", "path": "p1_T1.nii.gz", "lesion": 1, "x": 1, "y": 2, "z": 3, "mark": "true"})[0]
        == 201
    )
    events, wrong = read_marks(server.marks)
    assert wrong == []
    assert [(event.reader, event.mark, event.lesion) for event in events] == [
        ("anna", "agree", None),
        ("béla", "true", 1),
    ]
    assert (events[0].score, events[0].decision, events[0].lesions, events[0].note) == (0.9, 1, 2, MARK["note"])
    assert events[0].patient == "p1_T1.nii.gz" and events[0].time.endswith("Z")
    assert len(json.loads(ask(server, "GET", "/marks")[1])["marks"]) == 2


def test_what_the_detector_said_is_not_taken_from_the_page(server):
    assert post(server, MARK | {"decision": 0, "score": 99, "time": "1999", "patient": "x"})[0] == 201
    (event,), _ = read_marks(server.marks)
    assert (event.decision, event.score, event.time[:2], event.patient) == (1, 0.9, "20", "p1_T1.nii.gz")


@pytest.mark.parametrize(
    "told",
    [
        [], "x", {}, MARK | {"path": "other"}, MARK | {"path": []}, MARK | {"mark": "nonsense"}, MARK | {"reader": ""},
        {"reader": "a", "path": "p1_T1.nii.gz", "lesion": 3, "x": 0, "y": 0, "z": 0, "mark": "true"},
        {"reader": "a", "path": "b.png", "mark": "missed", "x": 1e300, "y": 0, "z": 0},
    ],
)  # fmt: skip
def test_what_is_no_mark_is_refused_and_not_written(server, told):
    assert post(server, told)[0] == 400
    assert not server.marks.exists()


def test_text_that_is_no_json_is_refused(server):
    for body in ("{", "[" * 5000, "\xff"):
        assert ask(server, "POST", "/marks", body.encode("latin-1"), Content_Type="application/json")[0] == 400
    assert ask(server, "POST", "/marks", "x" * 30_000, Content_Type="application/json")[0] == 413
    assert ask(server, "GET", "/")[0] == 200


def test_another_site_can_neither_read_nor_write(server):
    assert ask(server, "GET", "/marks", Host="evil.example")[0] == 403
    assert ask(server, "GET", "/", Host=f"evil.example:{server.port}")[0] == 403
    assert post(server, MARK, Host=f"evil.example:{server.port}")[0] == 403
    assert post(server, MARK, Origin="http://evil.example")[0] == 403
    assert post(server, MARK, Origin="null")[0] == 403
    assert post(server, MARK, Content_Type="text/plain")[0] == 403
    assert not server.marks.exists()
    assert post(server, MARK, Origin=f"http://127.0.0.1:{server.port}")[0] == 201
    assert post(server, MARK, Origin=f"http://localhost:{server.port}", Host=f"localhost:{server.port}")[0] == 201


def test_a_browser_that_hangs_up_is_no_error(server, capfd):
    for path in ("niivue.umd.js", "marks"):
        with socket.create_connection(("127.0.0.1", server.port)) as connection:
            connection.setsockopt(socket.SOL_SOCKET, socket.SO_LINGER, struct.pack("ii", 1, 0))  # hang up with a reset
            connection.sendall(f"GET /{path} HTTP/1.1\r\nHost: 127.0.0.1:{server.port}\r\n\r\n".encode())
            if path != "marks":
                connection.recv(1)
    assert ask(server, "GET", "/")[0] == 200
    for handler in [thread for thread in threading.enumerate() if "process_request_thread" in thread.name]:
        handler.join()
    assert capfd.readouterr().err == ""


def test_a_port_that_is_taken_is_told(page, server):
    with pytest.raises(MriadError, match=f"Port {server.port} cannot be used"):
        ReviewServer(page, port=server.port, reader="a")
    with pytest.raises(MriadError, match="Port 70000"):
        ReviewServer(page, port=70000, reader="a")
