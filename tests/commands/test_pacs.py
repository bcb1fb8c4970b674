"""Scans out of a real Orthanc, or sent by it, and results back into it, whoever is killed on the way."""

from __future__ import annotations

import json
import signal
import time
from functools import partial
from pathlib import Path

import pandas as pd
import pytest
import requests
from orthanc import PASSWORD, USER, new_orthanc
from pydicom import dcmread
from pynetdicom import AE
from pynetdicom.sop_class import MRImageStorage, Verification
from servers import free_port

from mriad.data.reading.read import read_scan

from .command_line import Terminal
from .hospital import write_series

pytestmark = pytest.mark.slow
RESULTS = ["OT", "SEG", "SR"]


@pytest.fixture
def checkpoint(hospital):
    return hospital / "work" / "trained" / "best.ckpt"


@pytest.fixture
def desk(tmp_path):
    return Terminal(tmp_path / "work", MRIAD_DICOMWEB_USER=USER, MRIAD_DICOMWEB_PASSWORD=PASSWORD)


@pytest.fixture
def series(tmp_path):
    return write_series(tmp_path / "sent", seed=50, lesion=True)


@pytest.fixture
def orthanc(tmp_path, series):
    with new_orthanc(tmp_path / "orthanc", nodes={"MRIAD": ("127.0.0.1", free_port())}) as orthanc:
        orthanc.put(*series)
        yield orthanc


def study(series):
    return str(dcmread(series[0]).StudyInstanceUID)


def table(folder):
    return pd.read_csv(folder / "predictions.csv", keep_default_na=False)


def results(orthanc):
    """Modalities of what is in the archive besides the scan."""
    return sorted(one["Modality"] for one in orthanc.instances() if one["Modality"] != "MR")


def there_and_back(orthanc, checkpoint, series, *more):
    """The options that fetch a study, score it, and store what is found."""
    return (
        f"checkpoint={checkpoint}",
        f"input={orthanc.address}/studies/{study(series)}",
        f"output={orthanc.address}",
        "hydra.run.dir=out",
        *more,
    )


def stop_at(method: str, call: int, marks: Path, *, after: bool) -> None:
    """In the command's process: at a call of a method of the archive, say so and wait to be told to go on."""
    from mriad.pacs import dicomweb

    plain, count = getattr(dicomweb.DicomWeb, method), [0]

    def stopping(*arguments, **options):
        count[0] += 1
        returned = plain(*arguments, **options) if after else None
        if count[0] == call:
            (marks / "stopped").touch()
            while not (marks / "go on").exists():
                time.sleep(0.02)
        return returned if after else plain(*arguments, **options)

    setattr(dicomweb.DicomWeb, method, stopping)


def stopped(desk, options, tmp_path, method, call, *, after):
    """A prediction that stands still at a call, and the folder of its marks."""
    marks = tmp_path / "marks"
    marks.mkdir()
    options = (*options, "threads=1", "device=cpu")
    command = desk.start("predict.py", *options, before=partial(stop_at, method, call, marks, after=after))
    command.wait_for((marks / "stopped").exists)
    return command, marks


def log_of(desk):
    file = desk.folder / ".terminal" / str(desk._count) / "out"
    return file.read_text() if file.exists() else ""


def test_a_study_is_fetched_scored_and_its_results_stand_in_it(desk, orthanc, checkpoint, series, tmp_path):
    desk.predict(*there_and_back(orthanc, checkpoint, series)).ok()
    assert results(orthanc) == RESULTS
    assert {one["StudyInstanceUID"] for one in orthanc.instances()} == {study(series)}
    (row,) = table(desk.folder / "out").to_dict("records")
    assert row["path"] == f"{orthanc.address}/studies/{study(series)}/series/{dcmread(series[0]).SeriesInstanceUID}"
    assert row["error"] == "" and not (desk.folder / "out" / ".fetched").exists()

    desk.predict(f"checkpoint={checkpoint}", f"input={series[0].parent}", "output=here", "maps=true").ok()
    (local,) = table(desk.folder / "here").to_dict("records")
    assert (row["score"], row["decision"], row["lesions"]) == (local["score"], local["decision"], local["lesions"])
    (seg,) = orthanc.instances("SEG")
    stored = dcmread(orthanc.file(seg["SOPInstanceUID"], tmp_path)).pixel_array
    mask = read_scan(next((desk.folder / "here" / "maps").glob("*_mask.nii.gz")))
    assert stored.sum() == mask.levels.sum() > 0

    again = desk.predict(*there_and_back(orthanc, checkpoint, series, "hydra.run.dir=again")).ok()
    assert "1 of them were scored before" in again.out
    assert table(desk.folder / "again").to_dict("records") == [row]
    desk.predict(f"checkpoint={checkpoint}", f"input={series[0].parent}", f"output={orthanc.address}").ok()
    assert results(orthanc) == RESULTS


def test_a_query_names_studies_and_nobody_writes_the_patient_down(desk, orthanc, checkpoint, series):
    query = f"{orthanc.address}?PatientID=MRN47110815&Modality=MR"
    desk.predict(f"checkpoint={checkpoint}", f'input="{query}"', "output=out").ok()
    assert len(table(desk.folder / "out")) == 1
    written = b"".join(file.read_bytes() for file in desk.folder.rglob("*") if file.is_file())
    assert b"PatientID=***" in written and b"MRN47110815" not in written
    none = desk.predict(f"checkpoint={checkpoint}", f'input="{orthanc.address}?PatientID=nobody"', "output=out")
    none.sentence("holds no MR series")


def test_a_wrong_login_is_said_in_one_sentence(desk, orthanc, checkpoint, series):
    wrong = {"MRIAD_DICOMWEB_PASSWORD": "wrong"}
    options = there_and_back(orthanc, checkpoint, series, "threads=1", "device=cpu")
    desk.run("predict.py", *options, environment=wrong).sentence("refuses the login", "MRIAD_DICOMWEB_USER")
    away = f"dicomweb://127.0.0.1:{free_port()}/x/studies/1.2.3"
    desk.predict(f"checkpoint={checkpoint}", f"input={away}", "patience=0.1").sentence("does not answer")


def test_an_archive_that_is_killed_while_we_fetch_and_while_we_store(desk, orthanc, checkpoint, series, tmp_path):
    options = there_and_back(orthanc, checkpoint, series)
    for number, (method, call) in enumerate((("_fetch_one", 7), ("store", 1))):
        place = tmp_path / str(number)
        place.mkdir()
        command, marks = stopped(desk, options, place, method, call, after=False)
        orthanc.kill()
        (marks / "go on").touch()
        command.wait_for(lambda: "another try" in log_of(desk))
        assert command.runs
        orthanc.start()
        command.wait().ok()
        assert results(orthanc) == RESULTS
        if number == 0:
            for kind in RESULTS:  # so that the second time there is something to do
                remove(orthanc, kind)
    assert len(orthanc.instances("MR")) == len(series)


def remove(orthanc, modality):
    for name in orthanc.ask("instances"):
        if orthanc.ask(f"instances/{name}/simplified-tags")["Modality"] == modality:
            requests.delete(f"{orthanc.root}/instances/{name}", auth=(USER, PASSWORD), timeout=60).raise_for_status()


@pytest.mark.parametrize(
    ("method", "call", "after"), [("_fetch_one", 7, False), ("store", 1, False), ("store", 1, True)]
)
def test_we_are_killed(desk, orthanc, checkpoint, series, tmp_path, method, call, after):
    options = there_and_back(orthanc, checkpoint, series)
    command, _ = stopped(desk, options, tmp_path, method, call, after=after)
    command.signal(signal.SIGKILL)
    command.wait()
    assert results(orthanc) == (RESULTS if after else [])
    again = desk.predict(*options).ok()
    assert ("scored before" in again.out) == after
    assert results(orthanc) == RESULTS
    assert len(table(desk.folder / "out")) == 1 and not (desk.folder / "out" / ".fetched").exists()


class Listening:
    """``mriad listen`` in its own process, started and killed as often as wanted."""

    def __init__(self, desk, checkpoint, port, *options):
        self._desk, self.port = desk, port
        self._options = (f"checkpoint={checkpoint}", f"port={port}", "output=out", "quiet=1", "device=cpu", *options)
        self.start()

    def start(self):
        self._command = self._desk.start("mriad/__main__.py", "listen", "threads=1", *self._options)
        self.until(lambda: "listens on" in self.log)

    @property
    def log(self):
        return log_of(self._desk)

    def until(self, condition):
        self._command.wait_for(condition)

    def kill(self):
        self._command.signal(signal.SIGKILL)
        self._command.wait()

    def stop(self):
        self._command.signal(signal.SIGTERM)
        return self._command.wait().ok()

    def records(self):
        return [json.loads(file.read_text()) for file in (self._desk.folder / "out" / "series").glob("*.json")]

    @property
    def whole(self):
        """Number of images of each series that is scored, once the table has it."""
        rows = table(self._desk.folder / "out")["error"] == ""
        scored = [len(one["images"]) for one in self.records() if not one["row"]["error"]]
        return scored if len(scored) == rows.sum() else []

    def send(self, files, *, title="SCANNER"):
        """Send files, and give the status of each."""
        entity = AE(ae_title=title)
        entity.add_requested_context(MRImageStorage)
        entity.add_requested_context(Verification)
        link = entity.associate("127.0.0.1", self.port)
        if not link.is_established:
            return []
        assert link.send_c_echo().Status == 0
        told = [link.send_c_store(dcmread(file)).Status for file in files]
        link.release()
        return told


@pytest.fixture
def listening(desk, checkpoint):
    started = []

    def start(*options, port=None):
        started.append(Listening(desk, checkpoint, port or free_port(), *options))
        return started[-1]

    yield start
    for one in started:
        one._command._process.kill()


def test_a_series_that_is_sent_is_scored_and_stored(desk, listening, checkpoint, orthanc, series):
    port = int(orthanc.ask("modalities/MRIAD/configuration")["Port"])
    node = listening(f"store={orthanc.address}", "keep=0", port=port)
    name = orthanc.ask("series")[0]
    sent = requests.post(f"{orthanc.root}/modalities/MRIAD/store", data=name, auth=(USER, PASSWORD), timeout=600)
    sent.raise_for_status()
    node.until(lambda: results(orthanc) == RESULTS)
    node.until(lambda: [one["stored"] for one in node.records()] == [True] and node.whole != [])
    node.until(lambda: not list((desk.folder / "out" / "spool").rglob("*.dcm")))
    (row,) = table(desk.folder / "out").to_dict("records")
    assert row["error"] == "" and row["score"] != "" and row["lesions"] >= 1 and len(row["patient"]) == 32
    requests.post(
        f"{orthanc.root}/modalities/MRIAD/store", data=orthanc.ask("studies")[0], auth=(USER, PASSWORD), timeout=600
    ).raise_for_status()  # the whole study, our own results in it
    node.until(lambda: not list((desk.folder / "out" / "spool").rglob("*.dcm")))
    assert "Stopped" in node.stop().out
    assert node.log.count("is scored") == 1 and results(orthanc) == RESULTS and len(node.records()) == 1


def test_a_listener_that_is_killed_between_two_images(desk, listening, series):
    node = listening("quiet=5")
    half = len(series) // 2
    assert node.send(series[:half]) == [0] * half
    node.kill()
    assert len(list((desk.folder / "out" / "spool").rglob("*.dcm"))) == half
    node.start()
    assert node.send(series[half:]) == [0] * (len(series) - half)
    node.until(lambda: node.whole == [len(series)])
    (row,) = table(desk.folder / "out").to_dict("records")
    assert row["error"] == ""
    kinds = {file.name.rpartition("_")[2] for file in (desk.folder / "out" / "maps").iterdir()}
    assert kinds == {"seg.dcm", "map.dcm", "sr.dcm"}
    assert node.send(series) == [0] * len(series)  # a sender that was not sure sends all again
    node.stop()
    node.start()
    node.stop()
    assert len(table(desk.folder / "out")) == 1 and node.log.count("is scored") == 0


def test_results_wait_for_an_archive_that_is_away_even_if_the_listener_is_killed(listening, orthanc, series):
    orthanc.kill()
    node = listening(f"store={orthanc.address}")
    node.send(series)
    node.until(lambda: "Another try" in node.log and node.whole == [len(series)])
    assert [one["stored"] for one in node.records()] == [False]
    node.kill()
    orthanc.start()
    node.start()
    node.until(lambda: results(orthanc) == RESULTS)
    node.until(lambda: [one["stored"] for one in node.records()] == [True])
    node.stop()
    assert "is scored" not in node.log


def test_a_late_image_has_the_series_scored_again_as_a_whole(listening, series):
    node = listening()
    end = max(series, key=lambda file: float(dcmread(file).ImagePositionPatient[2]))
    node.send([file for file in series if file != end])
    node.until(lambda: node.whole == [len(series) - 1])
    node.send([end])
    node.until(lambda: node.whole == [len(series)])
    node.until(lambda: "is scored again" in node.log)
    node.stop()


def test_who_is_not_allowed_is_refused_and_results_go_to_another_node(listening, orthanc, series):
    node = listening("allow=[SCANNER]", f"store=ORTHANC@127.0.0.1:{orthanc.dicom_port}")
    assert node.send(series, title="STRANGER") == []
    node.send(series)
    node.until(lambda: results(orthanc) == RESULTS)
    node.stop()


def test_a_series_with_a_gap_is_no_volume_until_what_lacks_has_come(desk, listening, series):
    node = listening()
    ordered = sorted(series, key=lambda file: float(dcmread(file).ImagePositionPatient[2]))
    node.send([ordered[0], *ordered[5:]])
    node.until(lambda: len(table(desk.folder / "out")))
    (row,) = table(desk.folder / "out").to_dict("records")
    assert "lacks about 4 slices" in row["error"] and row["score"] == ""
    node.send(ordered[1:5])
    node.until(lambda: table(desk.folder / "out")["error"][0] == "")
    node.stop()


def test_a_port_that_is_taken_and_a_folder_that_is(desk, listening, checkpoint, tmp_path):
    node = listening()
    common = ("listen", f"checkpoint={checkpoint}", "threads=1", "device=cpu")
    desk.run("mriad/__main__.py", *common, "output=out").sentence("Another mriad listens")
    desk.run("mriad/__main__.py", *common, "output=other", f"port={node.port}").sentence("Nothing can listen")
    desk.run("mriad/__main__.py", *common, "output=x", "store=nowhere").sentence("store=nowhere")


def test_files_are_left_to_nobody_else(desk, listening, series):
    node = listening("quiet=60")
    node.send(series[:2])
    spool = desk.folder / "out" / "spool"
    assert {oct(folder.stat().st_mode & 0o077) for folder in (spool, *spool.rglob("*")) if folder.is_dir()} == {"0o0"}
    node.kill()
