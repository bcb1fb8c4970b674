"""mriad review, agreement and labels in processes of their own, as they are typed."""

import json
import os
import signal
import subprocess
import sys
import threading
from contextlib import contextmanager
from pathlib import Path

import pandas as pd
import pytest
import requests
from PIL import Image

from mriad.review.folder import read_list, read_scan_of
from mriad.review.marks import COLUMNS, read_marks

from .conftest import picture, scored, write_page

pytestmark = pytest.mark.slow

REPOSITORY = Path(__file__).parents[2]


def started(folder, *words):
    environment = {**os.environ, "PYTHONPATH": str(REPOSITORY), "COLUMNS": "150"}
    command = [sys.executable, "-m", "mriad", *words]
    pipes = {"stdin": subprocess.DEVNULL, "stdout": subprocess.PIPE, "stderr": subprocess.PIPE, "text": True}
    return subprocess.Popen(command, cwd=folder, env=environment, **pipes)


def typed(folder, *words):
    """Exit code and both streams of a command that ends."""
    process = started(folder, *words)
    out, err = process.communicate(timeout=600)
    assert "Traceback" not in out + err
    return process.returncode, out, err


def refused(folder, *words):
    """The one sentence of a command that ends with it."""
    code, _, err = typed(folder, *words)
    assert code == 1 and err.count("\n") == 1 and err.startswith("Error: ") and err.endswith(".\n"), err
    return err


@contextmanager
def reviewing(folder, *words):
    process = started(folder, "review", *words, "port=0")
    try:
        yield process, process.stdout.readline().split()[-1]
    finally:
        process.kill()
        process.communicate()


@pytest.fixture
def desk(tmp_path):
    """A folder with scans and, in ``read/``, the page of their prediction."""
    names = ("a.png", "b.png", "c.png")
    for name in names:
        Image.fromarray(picture()[0].levels[0]).save(tmp_path / name)
    scans = [(str(tmp_path / name), *picture(), scored(0.9 - 0.3 * at), {}) for at, name in enumerate(names)]
    write_page(tmp_path / "read", scans, model="synthetic_anomaly", run="abc123")
    return tmp_path


def mark(address, **told):
    return requests.post(f"{address}marks", json={"reader": "anna"} | told, timeout=60)


def read_all(desk, address):
    """Mark all scans: the first lesion of a and b is true, c is healthy."""
    page = desk / "read" / "review"
    for number, scan in enumerate(read_list(page)["scans"]):
        name = Path(scan["path"]).name
        for which, lesion in enumerate(read_scan_of(page, number)["lesions"], start=1):
            told = "true" if which == 1 and name != "c.png" else "false"
            where = {"lesion": which, **dict(zip("xyz", lesion["at"], strict=True))}
            assert mark(address, path=scan["path"], mark=told, **where).status_code == 201
        told = "agree" if scan["decision"] == (name != "c.png") else "false"
        assert mark(address, path=scan["path"], mark=told).status_code == 201


@pytest.fixture
def marked(desk):
    with reviewing(desk, "read") as (_, address):
        read_all(desk, address)
    return desk


def test_marks_outlive_a_server_that_is_killed_and_another_goes_on(desk):
    path = str(desk / "a.png")
    with reviewing(desk, "read", "reader=anna") as (process, address):
        assert "mriad review" in requests.get(address, timeout=60).text
        assert requests.get(f"{address}marks", timeout=60).json()["reader"] == "anna"
        assert mark(address, path=path, mark="agree").status_code == 201
        process.kill()
    with reviewing(desk, "read/review/index.html", "--reader", "béla") as (process, address):
        told = requests.get(f"{address}marks", timeout=60).json()
        assert told["reader"] == "béla" and [one["mark"] for one in told["marks"]] == ["agree"]
        process.send_signal(signal.SIGINT)
        out, err = process.communicate(timeout=60)
    assert process.returncode == 0 and "each mark is in the file" in err
    assert "mriad labels read/review/marks.csv" in out and "mriad agreement read/review/marks.csv" in out


def test_two_servers_on_one_page_lose_no_mark(desk):
    path = str(desk / "a.png")
    with reviewing(desk, "read") as (_, one), reviewing(desk, "read") as (_, other):

        def read(address, reader):
            for number in range(20):
                assert mark(address, reader=reader, path=path, mark="unsure", note=str(number)).status_code == 201

        threads = [threading.Thread(target=read, args=words) for words in ((one, "anna"), (other, "béla"))]
        for thread in threads:
            thread.start()
        for thread in threads:
            thread.join()
    events, wrong = read_marks(desk / "read" / "review" / "marks.csv")
    assert wrong == []
    for reader in ("anna", "béla"):
        assert [event.note for event in events if event.reader == reader] == [str(number) for number in range(20)]


@pytest.mark.parametrize(
    ("words", "sentence"),
    [
        (("nowhere",), "There is no folder nowhere"),
        (("empty",), "There is no page in empty; predict with review=true"),
        (("pageless",), "The prediction in pageless has no page; type its command once more with review=true"),
        (("damaged",), "damaged/review/list.js is no part of a page"),
        ((), "arguments are required: FOLDER"),
        (("read", "port=70000"), "Port 70000 cannot be used (it is no port); choose another with --port"),
        (("read", "port=many"), "--port: invalid int value: 'many'"),
        (("read", "--prot=1"), "perhaps --port=1 was meant"),
    ],
)
def test_what_cannot_be_reviewed_is_one_sentence(desk, words, sentence):
    for name in ("empty", "pageless", "damaged/review"):
        (desk / name).mkdir(parents=True)
    (desk / "pageless" / "predictions.csv").write_text("path,score\n")
    (desk / "damaged" / "review" / "list.js").write_text("<script>")
    assert sentence in refused(desk, "review", *words)


def test_a_port_that_is_taken_is_one_sentence(desk):
    with reviewing(desk, "read") as (_, address):
        port = address.rstrip("/").rpartition(":")[2]
        assert f"Port {port} cannot be used" in refused(desk, "review", "read", f"port={port}")


def test_agreement_is_printed_and_written(marked):
    code, out, _ = typed(marked, "agreement", "read", "output=told/agreement.csv")
    assert code == 0 and "anna and the detector" in out and "false per scan" in out
    table = pd.read_csv(marked / "told" / "agreement.csv").set_index(["of", "measure"])["value"]
    assert table["scans", "read"] == 3 and table["scans", "agreement"] == 1
    assert table["lesions", "precision"] == pytest.approx(2 / 6)


def test_readers_of_several_files_are_compared(marked):
    file = marked / "read" / "review" / "marks.csv"
    (marked / "béla.csv").write_text(file.read_text().replace(",anna,", ",béla,") + "torn off")
    code, out, err = typed(marked, "agreement", "read/review/marks.csv", "béla.csv")
    assert code == 0 and "anna and béla" in out
    assert "béla.csv: row 11 has 1 entries, and the header 13; left out." in err
    assert (marked / "agreement.csv").exists()


@pytest.mark.parametrize(
    ("words", "sentence"),
    [
        (("nowhere.csv",), "There is no file of marks nowhere.csv; make some with mriad review FOLDER"),
        (("empty",), "There is no page in empty"),
        (("read",), "There is no file of marks read/review/marks.csv; make some with mriad review"),
        (("other.csv",), "other.csv is no file of marks: its first line has no columns time, reader, path and mark"),
        (("bytes.csv",), "bytes.csv is no file of marks"),
        (("unmarked.csv",), "There is no mark in unmarked.csv"),
        ((), "arguments are required: MARKS"),
    ],
)
@pytest.mark.parametrize("command", ["agreement", "labels"])
def test_what_is_no_file_of_marks_is_one_sentence(desk, command, words, sentence):
    (desk / "empty").mkdir()
    (desk / "other.csv").write_text("path,label\na.png,1\n")
    (desk / "bytes.csv").write_bytes(bytes(range(256)) * 20)
    (desk / "unmarked.csv").write_text(",".join(COLUMNS) + "\n")
    assert sentence in refused(desk, command, *words)
    assert not (desk / "labels").exists() and not (desk / "agreement.csv").exists()


def test_labels_are_a_manifest_with_masks_and_say_how_to_train(marked):
    for kind, name in (("healthy", "x"), ("tumour", "y")):
        (marked / "own" / kind).mkdir(parents=True)
        Image.fromarray(picture()[0].levels[0].T).save(marked / "own" / kind / f"{name}.png")
    code, out, _ = typed(marked, "labels", "read", "with=own", "output=made")
    assert code == 0
    assert "3 scans: 1 healthy, 2 anomalous with a mask, 0 without one." in out
    train = "model=synthetic_anomaly data=folder data.layout.manifest=made/manifest.csv data.labelled_train=2"
    assert f"mriad train {train} init=abc123 split=from_init\n" in out
    table = pd.read_csv(marked / "made" / "manifest.csv", keep_default_na=False)
    assert list(table["label"][3:]) == [0, 1] and set(table["pool"][:3]) == {"labelled", ""}
    assert [Path(path).name for path in table["path"][3:]] == ["x.png", "y.png"]
    assert all(Path(mask).exists() for mask in table["mask"] if mask)


def test_labels_alone_say_what_is_missing_to_train(marked):
    code, out, _ = typed(marked, "labels", "read")
    assert code == 0 and "--with=FOLDER" in out and "Train" not in out


@pytest.mark.parametrize(
    ("words", "sentence"),
    [
        (("order=best",), "--order=best is unknown; choose uncertain, score, path or time"),
        (("first=0",), "--first=0 is no number of scans; give 1 or more"),
        (("with=nowhere",), "There is no nowhere; give --with the folder of the scans that train, or their manifest"),
        (("with=list.csv",), "Line 2 of list.csv names the scan"),
        (("page=empty",), "There is no page in empty"),
        (("page=other",), "None of the 3 scans that were read gives a label"),
        (("output=file",), "The folder file cannot be written"),
    ],
)
def test_labels_that_cannot_be_made_are_one_sentence(marked, words, sentence):
    (marked / "empty").mkdir()
    (marked / "file").touch()
    (marked / "list.csv").write_text("path,label\ngone.png,0\n")
    write_page(marked / "other", [("z.png", *picture(), scored(0.5), {})])
    assert sentence in refused(marked, "labels", "read", *words)


def test_marks_that_were_taken_elsewhere_ask_for_their_page(marked):
    (marked / "read" / "review" / "marks.csv").replace(marked / "marks.csv")
    assert "There is no page beside marks.csv; say with --page=FOLDER" in refused(marked, "labels", "marks.csv")
    assert typed(marked, "labels", "marks.csv", "page=read")[0] == 0


def test_the_page_says_which_detector_it_is_of(desk):
    told = json.loads((desk / "read" / "review" / "list.js").read_text().partition("(")[2].rpartition(")")[0])
    assert (told["model"], told["run"]) == ("synthetic_anomaly", "abc123")
