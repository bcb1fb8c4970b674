"""Names and ids of patients stand where DICOM objects need them, and in nothing else that mriad writes."""

from __future__ import annotations

import gzip
import signal
import zipfile
import zlib
from pathlib import Path

import pytest
from pydicom import dcmread
from servers import free_port

from .command_line import Terminal, TrainedRun
from .hospital import PLANTED, WORDS, write_series
from .test_pacs import Listening

pytestmark = pytest.mark.slow


def contents(file: Path) -> bytes:
    """The bytes of a file, and of what is packed in it."""
    data = file.read_bytes()
    if zipfile.is_zipfile(file):
        with zipfile.ZipFile(file) as archive:
            data += b"".join(archive.read(name) for name in archive.namelist())
    if data[:2] == b"\x1f\x8b":
        data += gzip.decompress(data)
    if file.suffix == ".parquet":
        import pandas as pd

        data += pd.read_parquet(file).to_csv().encode()
    if file.suffix in (".png", ".npz"):
        data += b"".join(_inflated(data))
    return data


def _inflated(data: bytes) -> list[bytes]:
    at = data.find(b"IDAT")
    try:
        return [zlib.decompressobj().decompress(data[at + 4 :])] if at >= 0 else []
    except zlib.error:
        return []


def holding(folder: Path) -> dict[str, list[str]]:
    """The planted words in each file below a folder that holds any, in whatever encoding."""
    found = {}
    for file in folder.rglob("*"):
        if file.is_file():
            data = contents(file).lower()
            words = [
                word for word in WORDS if word.lower().encode() in data or word.lower().encode("utf-16-le") in data
            ]
            if words:
                found[str(file.relative_to(folder))] = words
    return found


def test_the_words_are_found_where_they_are(tmp_path):
    write_series(tmp_path / "in", seed=1)
    (tmp_path / "a.csv.gz").write_bytes(gzip.compress(b"x," + PLANTED["PatientID"].encode()))
    assert holding(tmp_path)["a.csv.gz"] == ["MRN47110815"]
    assert set(holding(tmp_path)["in/IM0000"]) == set(WORDS)


def test_a_training_on_series_writes_no_patient_down(hospital):
    assert len(list((hospital / "work").rglob("*"))) > 50
    assert TrainedRun(Terminal(hospital / "looking", store=hospital / "work" / "mlflow.db"), "").terminal.runs()
    assert holding(hospital / "work") == {}


@pytest.fixture(scope="module")
def used(hospital, tmp_path_factory) -> Path:
    """A desk on which the detector was tested again, has predicted, refused, and listened."""
    root = tmp_path_factory.mktemp("used")
    series = write_series(root / "sent", seed=60, lesion=True)
    bad = write_series(root / "bad", seed=61)
    for file in bad[3:9]:
        file.unlink()
    cut = write_series(root / "cut", seed=62)
    cut[5].write_bytes(cut[5].read_bytes()[:900])
    desk = Terminal(root / "desk", store=hospital / "work" / "mlflow.db")
    checkpoint = f"checkpoint={hospital / 'work' / 'trained' / 'best.ckpt'}"
    desk.evaluate(checkpoint, "data=volumes", f"data.root={hospital / 'data'}", "hydra.run.dir=tested")
    for name, options in {
        "plain": (),
        "maps": ("maps=true",),
        "objects": ("format=dicom",),
        "both": ("format=[nifti,dicom]",),
    }.items():
        desk.predict(checkpoint, f"input={root / 'sent'}", f"output={name}", f"hydra.run.dir=job_{name}", *options).ok()
    for name in ("bad", "cut"):
        desk.predict(checkpoint, f"input={root / name}", f"output={name}", "format=dicom")
    node = Listening(desk, hospital / "work" / "trained" / "best.ckpt", free_port())
    node.send(series)
    node.until(lambda: node.whole)
    node._command.signal(signal.SIGTERM)
    node._command.wait().ok()
    return desk.folder


def test_what_uses_the_detector_writes_the_patient_into_dicom_objects_alone(used):
    found = holding(used)
    assert {Path(name).suffix for name in found} == {".dcm"}
    objects = {name for name in found if name.startswith(("objects/maps", "both/maps", "out/maps"))}
    assert len(objects) == 9 and set(found) - objects == {name for name in found if name.startswith("out/spool/")}


def test_a_patient_is_known_again_by_a_mark_that_is_no_id(used):
    import pandas as pd

    marks = {pd.read_csv(used / name / "predictions.csv")["patient"][0] for name in ("plain", "maps", "objects", "out")}
    assert len(marks) == 1 and len(marks.pop()) == 32


def test_dicom_objects_have_what_they_need(used):
    for file in (used / "objects" / "maps").iterdir():
        made = dcmread(file)
        for name in ("PatientName", "PatientID", "PatientBirthDate", "AccessionNumber", "StudyID"):
            assert str(made[name].value) == PLANTED[name]
