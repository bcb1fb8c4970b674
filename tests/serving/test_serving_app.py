"""The server as its clients meet it, in one process; tests/commands/test_serve.py starts it as a user does."""

import base64
import gzip
import io
import threading
import time
import zipfile

import made
import nibabel
import numpy as np
import pytest
import volumes
from commands.brains import lesion
from fastapi.testclient import TestClient
from PIL import Image
from whole_heads import affine, head

import mriad
from mriad.geometry import Grid
from mriad.serving.app import app
from mriad.serving.door import Limits

LIMITS = Limits(upload_bytes=2_000_000, unpacked_bytes=4_000_000, files=100, seconds=60)


@pytest.fixture(scope="module")
def of_volumes(tmp_path_factory):
    file = tmp_path_factory.mktemp("volumes") / "best.ckpt"
    made.checkpoint(file, *made.VOLUMES, "model=intensity", "score=mse_foreground", threshold=0.2, pixel_threshold=0.7)
    return mriad.load(file, device="cpu")


@pytest.fixture(scope="module")
def of_pictures(tmp_path_factory):
    file = tmp_path_factory.mktemp("pictures") / "best.ckpt"
    made.checkpoint(file, *made.PICTURES, "model=intensity", "score=brain", threshold=0.5, pixel_threshold=0.9)
    return mriad.load(file, device="cpu")


def client(detector, *, limits=LIMITS, places=4, token=None):
    return TestClient(app(detector, limits=limits, places=places, token=token), raise_server_exceptions=False)


def nifti(seed=1):
    levels, placed = head(seed, lesion=True)
    image = nibabel.Nifti1Image(levels, placed)
    return image, gzip.compress(image.to_bytes())


def png():
    encoded = io.BytesIO()
    Image.fromarray(lesion(3)[0]).save(encoded, "PNG")
    return encoded.getvalue()


def test_a_volume_is_answered_as_from_python(of_volumes):
    image, sent = nifti()
    expected = of_volumes(image)
    with client(of_volumes) as http:
        answer = http.post("/predict?map=nifti", files={"file": ("Doe_John.nii.gz", sent)}).json()
        anomaly_map = http.post("/map", files={"file": ("a.nii.gz", sent)})
        mask = http.post("/mask", files={"file": ("a.nii.gz", sent)})
        picture = http.post("/map?format=png", files={"file": ("a.nii.gz", sent)})
    assert (answer["score"], answer["decision"]) == (expected.score, expected.decision)
    assert answer["lesions"][0]["ml"] == expected.lesions["ml"][0] and len(answer["lesions"]) == len(expected.lesions)
    assert answer["detector"] == "0123456789abcdef" and "Doe" not in str(answer)
    for content in (base64.b64decode(answer["map"]["base64"]), anomaly_map.content):
        found = nibabel.Nifti1Image.from_bytes(gzip.decompress(content))
        np.testing.assert_allclose(found.affine, image.affine, atol=1e-5)
        assert np.array_equal(np.asarray(found.dataobj), np.asarray(expected.map.dataobj))
    assert float(anomaly_map.headers["x-mriad-score"]) == expected.score
    assert set(np.unique(np.asarray(nibabel.Nifti1Image.from_bytes(gzip.decompress(mask.content)).dataobj))) == {0, 1}
    assert picture.headers["content-type"] == "image/png" and Image.open(io.BytesIO(picture.content)).size == (40, 44)


def test_a_picture_is_answered_with_its_map(of_pictures):
    expected = of_pictures(lesion(3)[0])
    with client(of_pictures) as http:
        answer = http.post("/predict", files={"file": ("a.png", png())}).json()
        shown = Image.open(io.BytesIO(http.post("/map", files={"file": ("a.png", png())}).content))
        exact = Image.open(io.BytesIO(http.post("/map?format=tiff", files={"file": ("a.png", png())}).content))
    assert answer["score"] == expected.score and answer["lesions"][0]["mm2"] is None
    assert shown.format == "PNG" and shown.size == (64, 64)
    assert np.array_equal(np.asarray(exact), expected.map)


def test_a_zip_of_a_dicom_series_is_one_scan(of_volumes, tmp_path):
    levels, placed = head(4, placed=affine(codes="SPL", turn=(4, 0, 3)))
    files = volumes.write_dicom(
        tmp_path, levels, Grid(shape=levels.shape, affine=placed), PatientName="Doe^John", PatientID="4711"
    )
    packed = io.BytesIO()
    with zipfile.ZipFile(packed, "w", zipfile.ZIP_DEFLATED) as archive:
        for number, file in enumerate(files):
            archive.write(file, f"../../Doe^John/{number}" if number else "/etc/Doe.dcm")
        archive.writestr("read.me", "no scan")
    with client(of_volumes) as http:
        answer = http.post("/predict", files={"file": ("Doe.zip", packed.getvalue())})
    assert answer.status_code == 200, answer.text
    assert answer.json()["score"] == of_volumes(tmp_path).score
    assert "Doe" not in answer.text and "4711" not in answer.text


def bomb():
    packed = io.BytesIO()
    with zipfile.ZipFile(packed, "w", zipfile.ZIP_DEFLATED) as archive:
        for number in range(3):
            archive.writestr(str(number), bytes(2_000_000))
    return packed.getvalue()


def torn(kind):
    """A zip with a member whose packed bytes are no such bytes."""
    packed = io.BytesIO()
    with zipfile.ZipFile(packed, "w", kind) as archive:
        archive.writestr("1.dcm", np.random.default_rng(0).integers(0, 8, 9000, dtype=np.uint8).tobytes())
    content = bytearray(packed.getvalue())
    content[60:1060] = b"\xff" * 1000
    return bytes(content)


def many():
    packed = io.BytesIO()
    with zipfile.ZipFile(packed, "w") as archive:
        for number in range(101):
            archive.writestr(str(number), b"")
    return packed.getvalue()


@pytest.mark.parametrize(
    ("sent", "status", "sentence"),
    [
        (b"", 400, "The scan is empty"),
        (b"hello", 400, "The scan is not an image that can be read"),
        (b"PK\x03\x04rubbish", 400, "The zip is damaged"),
        (torn(zipfile.ZIP_DEFLATED), 400, "The zip is damaged"),
        (torn(zipfile.ZIP_BZIP2), 400, "The zip is damaged"),
        (torn(zipfile.ZIP_LZMA), 400, "The zip is damaged"),
        (b"\x1f\x8brubbish", 400, "The scan is a damaged gzip"),
        (gzip.compress(bytes(5_000_000)), 400, "unpacks to more than 4 MB"),
        (bomb(), 400, "unpacks to more than 4 MB"),
        (many(), 400, "The zip holds 101 files, more than the 100"),
        (bytes(3_000_000), 413, "The scan is larger than 2 MB"),
        (nifti()[1][:2000], 400, "damaged gzip"),
        (nibabel.Nifti1Image(np.zeros((4, 4, 4, 3)), np.eye(4)).to_bytes(), 400, "The scan holds 3 volumes"),
    ],
)
def test_what_is_no_scan_is_refused_in_a_sentence_and_nothing_is_left(
    of_volumes, sent, status, sentence, tmp_path, monkeypatch
):
    monkeypatch.setattr("tempfile.tempdir", str(tmp_path))
    with client(of_volumes) as http:
        answer = http.post("/predict", files={"file": ("scan", sent)})
        assert http.get("/health").json() == {"status": "ok", "taken": 0, "places": 4}
    assert (answer.status_code, list(answer.json())) == (status, ["error"])
    assert sentence in answer.json()["error"] and "/" not in answer.json()["error"]
    assert list(tmp_path.iterdir()) == []


def test_what_was_meant_is_told(of_volumes):
    with client(of_volumes) as http:
        for answer in (
            http.post("/predict"),
            http.post("/predict", content=b"x"),
            http.post("/predict", data={"file": "x"}),
        ):
            assert answer.status_code == 400 and "form field 'file'" in answer.json()["error"]
        wrong = http.post("/predict?map=gif", files={"file": ("a", nifti()[1])})
        assert wrong.status_code == 400 and wrong.json()["error"].startswith("map: ")
        assert http.get("/nothing").status_code == 404 and list(http.get("/nothing").json()) == ["error"]


def test_a_chunked_upload_is_stopped_at_the_limit(of_volumes):
    def endless():
        head = b'--x\r\nContent-Disposition: form-data; name="file"; filename="a"\r\n\r\n'
        yield head
        for _ in range(40):
            yield bytes(100_000)

    with client(of_volumes) as http:
        answer = http.post("/predict", content=endless(), headers={"Content-Type": "multipart/form-data; boundary=x"})
        assert answer.status_code == 413 and http.get("/health").json()["taken"] == 0


def test_a_token_is_asked_of_everybody_but_whoever_asks_for_health(of_pictures):
    with client(of_pictures, token="sesame") as http:
        for given in (
            {},
            {"Authorization": "Bearer sesam"},
            {"Authorization": "Basic sesame"},
            {"Authorization": "sesame"},
        ):
            refused = http.post("/predict", files={"file": ("a.png", png())}, headers=given)
            assert refused.status_code == 401 and "token" in refused.json()["error"]
            assert http.get("/version", headers=given).status_code == 401
        allowed = {"Authorization": "Bearer sesame"}
        assert http.post("/predict", files={"file": ("a.png", png())}, headers=allowed).status_code == 200
        assert http.get("/version", headers=allowed).json()["mriad"] == mriad.__version__
        assert http.get("/health").status_code == http.get("/openapi.json").status_code == 200


def test_the_page_comes_from_this_machine(of_pictures):
    with client(of_pictures) as http:
        page = http.get("/").text
        assert "swagger-ui" in page and "https://" not in page
        assert len(http.get("/static-offline-docs/swagger-ui-bundle.js").content) > 100_000
        paths = http.get("/openapi.json").json()["paths"]
    assert set(paths) == {"/predict", "/map", "/mask", "/health", "/version"}
    assert set(paths["/predict"]["post"]["responses"]) >= {"200", "400", "413", "503", "504"}


class Slow:
    """A detector that looks until it is told to stop."""

    run_id, of_volumes, threshold, pixel_threshold = None, False, 0.0, 0.0

    def __init__(self):
        self.begun, self.go_on = threading.Event(), threading.Event()

    def __call__(self, path, series=None):
        self.begun.set()
        assert self.go_on.wait(60)
        raise mriad.MriadError("seen")


def test_a_full_queue_answers_at_once_and_gives_its_places_back():
    slow = Slow()
    with client(slow, places=2) as http:
        sent = [
            threading.Thread(target=http.post, args=("/predict",), kwargs={"files": {"file": ("a", b"x")}})
            for _ in (0, 1)
        ]
        for thread in sent:
            thread.start()
        assert slow.begun.wait(60)
        while http.get("/health").json()["taken"] < 2:
            time.sleep(0.01)
        answer = http.post("/predict", files={"file": ("a", b"x")})
        assert answer.status_code == 503 and answer.headers["retry-after"] == "5"
        assert "All 2 places in the queue are taken" in answer.json()["error"]
        slow.go_on.set()
        for thread in sent:
            thread.join()
        assert http.get("/health").json()["taken"] == 0


def test_a_scan_that_takes_too_long_is_given_up():
    slow = Slow()
    with client(slow, limits=Limits(upload_bytes=1000, unpacked_bytes=1000, files=1, seconds=0.5)) as http:
        answer = http.post("/predict", files={"file": ("a", b"x")})
        assert answer.status_code == 504 and "more than 0.5 seconds" in answer.json()["error"]
        assert http.get("/health").json()["taken"] == 1  # the job goes on, and has its place until it ends
        slow.go_on.set()
        while http.get("/health").json()["taken"]:
            time.sleep(0.01)
