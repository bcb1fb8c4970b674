import csv
import errno
import os
from pathlib import Path
from types import SimpleNamespace

import numpy as np
import pytest
from PIL import Image

from mriad.disk import written_whole
from mriad.errors import MriadError
from mriad.geometry import ScanGeometry
from mriad.prediction import outputs
from mriad.prediction.outputs import MapFolder, PredictionTable
from mriad.prediction.predictor import Prediction

LEVELS = np.arange(64, dtype=np.uint8).reshape(8, 8)
PREDICTOR = SimpleNamespace(calibration=SimpleNamespace(map_scale=(0.0, 1.0), pixel_threshold=0.5))


def prediction(value=0.25):
    geometry = ScanGeometry.plan((8, 8), (0, 0, 8, 8), square=True, image_size=8)
    return Prediction(score=1.0, decision=1, slice_map=np.full((8, 8), value, dtype=np.float32), geometry=geometry)


def maps(output, *scans):
    return MapFolder(output, scans=[Path(scan) for scan in scans], predictor=PREDICTOR)


def files(folder):
    return sorted(str(file.relative_to(folder)) for file in folder.rglob("*") if file.is_file())


def rows(file):
    with file.open(newline="") as stream:
        return list(csv.DictReader(stream))


def row(path, **more):
    return {"path": path, "threshold": 0.5, "error": ""} | more


def test_rows_are_on_disk_as_they_come_and_the_table_takes_its_name_when_it_is_complete(tmp_path):
    (tmp_path / "predictions.csv").write_text("before")
    with PredictionTable(tmp_path, scans=[Path("a"), Path("b")]) as table:
        table.add([row("a", score=0.1, decision=0)])
        assert rows(tmp_path / "predictions.csv.part") == [
            {"path": "a", "score": "0.1", "threshold": "0.5", "decision": "0", "error": ""}
        ]
        assert (tmp_path / "predictions.csv").read_text() == "before"
        table.add([row("b", error="is no image")])
    assert [found["path"] for found in rows(tmp_path / "predictions.csv")] == ["a", "b"]
    assert files(tmp_path) == ["predictions.csv"]


def test_a_prediction_that_stops_leaves_what_it_had(tmp_path):
    with pytest.raises(KeyboardInterrupt), PredictionTable(tmp_path, scans=[Path("a")]) as table:
        table.add([row("a", score=0.1, decision=0)])
        raise KeyboardInterrupt
    assert files(tmp_path) == ["predictions.csv.part"]
    assert rows(tmp_path / "predictions.csv.part")[0]["score"] == "0.1"


def test_names_are_no_formulas_and_need_not_be_utf8(tmp_path):
    odd = os.fsdecode(b"sc\xffn.png")
    with PredictionTable(tmp_path, scans=[Path(odd)]) as table:
        table.add([row("=1+1.png", error="=cmd"), row(odd)])
    assert [found["path"] for found in rows(tmp_path / "predictions.csv")] == ["'=1+1.png", r"sc\xffn.png"]
    assert rows(tmp_path / "predictions.csv")[0]["error"] == "'=cmd"


def test_a_disk_that_maps_have_filled_takes_the_table(tmp_path, monkeypatch):
    """The room that was kept for it is given free."""
    write = os.write

    def full(descriptor, data):
        if list(tmp_path.glob(".*.room")):
            write(descriptor, data[:3])
            monkeypatch.setattr(os, "write", lambda *_: refuse(descriptor, data))
            return 3
        return write(descriptor, data)

    def refuse(descriptor, data):
        if list(tmp_path.glob(".*.room")):
            raise OSError(errno.ENOSPC, "No space left on device")
        return write(descriptor, data[3:])

    with PredictionTable(tmp_path, scans=[Path("a")]) as table:
        monkeypatch.setattr(os, "write", full)
        table.add([row("a", score=0.1, decision=0)])
    assert rows(tmp_path / "predictions.csv")[0]["score"] == "0.1"


def test_a_disk_that_takes_nothing_ends_in_a_sentence(tmp_path, monkeypatch):
    def refuse(*_):
        raise OSError(errno.ENOSPC, "No space left on device")

    with (
        pytest.raises(MriadError, match=r"predictions.csv cannot be written \(No space left on device\); make room"),
        PredictionTable(tmp_path, scans=[Path("a")]) as table,
    ):
        table.add([row("a", score=0.1, decision=0)])
        monkeypatch.setattr(os, "write", refuse)
        table.add([row("b", score=0.1, decision=0)])
    assert [found["path"] for found in rows(tmp_path / "predictions.csv.part")] == ["a"]


def test_a_folder_that_is_a_file_is_told(tmp_path):
    (tmp_path / "out").touch()
    with pytest.raises(MriadError, match="out cannot be made"):
        PredictionTable(tmp_path / "out", scans=[])


def test_maps_have_the_paths_of_their_scans_from_where_all_lie(tmp_path):
    folder = maps(tmp_path, "/data/p1/a.png", "/data/p2/a.png")
    assert folder.write(Path("/data/p1/a.png"), LEVELS, prediction(0.25)) == ""
    assert folder.write(Path("/data/p2/a.png"), LEVELS, prediction(0.75)) == ""
    places = [f"maps/{part}/a.png.{kind}" for part in ("p1", "p2") for kind in ("map.tiff", "overlay.png")]
    assert files(tmp_path) == places
    assert np.asarray(Image.open(tmp_path / places[0])).tolist() == [[0.25] * 8] * 8


def test_no_map_leaves_the_folder_whatever_the_path_of_its_scan(tmp_path, monkeypatch):
    (tmp_path / "work" / "deep").mkdir(parents=True)
    monkeypatch.chdir(tmp_path / "work" / "deep")
    scans = [Path("../../scans/a.png"), Path("../b.png"), Path("c/../d.png"), tmp_path / "e.png"]
    folder = maps(Path("out"), *scans)
    assert [folder.write(scan, LEVELS, prediction()) for scan in scans] == [""] * 4
    assert files(tmp_path) == sorted(
        f"work/deep/out/maps/{name}.{kind}"
        for name in ("scans/a.png", "work/b.png", "work/deep/d.png", "e.png")
        for kind in ("map.tiff", "overlay.png")
    )


@pytest.mark.parametrize(
    ("name", "told"),
    [("n" * 249 + ".png", "File name too long"), ("a.png", "No space left on device"), ("b.png", "has its name")],
)
def test_a_map_that_cannot_be_written_costs_nothing_else(tmp_path, monkeypatch, name, told):
    scan = tmp_path / name
    folder = maps(tmp_path / "out", scan, tmp_path / "good.png")

    def full(file):
        if file.name.startswith("a.png"):
            raise OSError(errno.ENOSPC, "No space left on device")
        return written_whole(file)

    monkeypatch.setattr(outputs, "written_whole", full)
    if name == "b.png":  # on a disk that knows no letter case, as B.png
        folder.write(tmp_path / "B.png", LEVELS, prediction())
        for file in (tmp_path / "out" / "maps").iterdir():
            os.link(file, file.with_name(file.name.lower()))
    said = folder.write(scan, LEVELS, prediction())
    assert said.startswith("its map cannot be written (") and told in said
    assert folder.write(tmp_path / "good.png", LEVELS, prediction()) == ""
    assert not list((tmp_path / "out").rglob("*.part"))


def test_a_map_whose_name_is_no_utf8_is_written(tmp_path):
    scan = Path(os.fsdecode(os.fsencode(tmp_path) + b"/sc\xffn.png"))
    assert maps(tmp_path / "out", scan).write(scan, LEVELS, prediction()) == ""
    assert len(files(tmp_path / "out")) == 2


def test_an_earlier_map_is_replaced(tmp_path):
    for value in (0.25, 0.75):
        assert maps(tmp_path, "/a.png").write(Path("/a.png"), LEVELS, prediction(value)) == ""
    assert np.asarray(Image.open(tmp_path / "maps" / "a.png.map.tiff"))[0, 0] == 0.75
