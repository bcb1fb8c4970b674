import csv
import errno
import os
from pathlib import Path

import pandas as pd
import pytest

from mriad.errors import MriadError
from mriad.prediction.lesions import Lesion
from mriad.writing.tables import lesion_rows, lesion_table, prediction_table


def files(folder):
    return sorted(str(file.relative_to(folder)) for file in folder.rglob("*") if file.is_file())


def rows(file):
    with file.open(newline="") as stream:
        return list(csv.DictReader(stream))


def row(path, **more):
    return {"path": path, "threshold": 0.5, "error": ""} | more


def test_rows_are_on_disk_as_they_come_and_the_table_takes_its_name_when_it_is_complete(tmp_path):
    (tmp_path / "predictions.csv").write_text("before")
    with prediction_table(tmp_path, scans=[Path("a"), Path("b")]) as table:
        table.add([row("a", score=0.1, decision=0)])
        assert rows(tmp_path / "predictions.csv.part") == [
            {"path": "a", "score": "0.1", "threshold": "0.5", "decision": "0", "error": ""}
        ]
        assert (tmp_path / "predictions.csv").read_text() == "before"
        table.add([row("b", error="is no image")])
    assert [found["path"] for found in rows(tmp_path / "predictions.csv")] == ["a", "b"]
    assert files(tmp_path) == ["predictions.csv"]


def test_a_prediction_that_stops_leaves_what_it_had(tmp_path):
    with pytest.raises(KeyboardInterrupt), prediction_table(tmp_path, scans=[Path("a")]) as table:
        table.add([row("a", score=0.1, decision=0)])
        raise KeyboardInterrupt
    assert files(tmp_path) == ["predictions.csv.part"]
    assert rows(tmp_path / "predictions.csv.part")[0]["score"] == "0.1"


def test_names_are_no_formulas_and_need_not_be_utf8(tmp_path):
    odd = os.fsdecode(b"sc\xffn.png")
    with prediction_table(tmp_path, scans=[Path(odd)]) as table:
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

    with prediction_table(tmp_path, scans=[Path("a")]) as table:
        monkeypatch.setattr(os, "write", full)
        table.add([row("a", score=0.1, decision=0)])
    assert rows(tmp_path / "predictions.csv")[0]["score"] == "0.1"


def test_a_disk_that_takes_nothing_ends_in_a_sentence(tmp_path, monkeypatch):
    def refuse(*_):
        raise OSError(errno.ENOSPC, "No space left on device")

    with (
        pytest.raises(MriadError, match=r"predictions.csv cannot be written \(No space left on device\); make room"),
        prediction_table(tmp_path, scans=[Path("a")]) as table,
    ):
        table.add([row("a", score=0.1, decision=0)])
        monkeypatch.setattr(os, "write", refuse)
        table.add([row("b", score=0.1, decision=0)])
    assert [found["path"] for found in rows(tmp_path / "predictions.csv.part")] == ["a"]


def test_a_folder_that_is_a_file_is_told(tmp_path):
    (tmp_path / "out").touch()
    with pytest.raises(MriadError, match="out cannot be made"):
        prediction_table(tmp_path / "out", scans=[])


def test_volumes_say_more_after_what_all_scans_say(tmp_path):
    with prediction_table(tmp_path, scans=[Path("a")], volumes=True) as table:
        table.add([row("a", score=0.1, decision=0, patient="p1", lesions=2, lesion_ml="1.5")])
    with (tmp_path / "predictions.csv").open() as stream:
        assert next(csv.reader(stream)) == (
            ["path", "score", "threshold", "decision", "error", "patient", "lesions", "lesion_ml"]
        )
    assert rows(tmp_path / "predictions.csv")[0]["lesion_ml"] == "1.5"


def test_lesions_are_numbered_and_lie_in_mm(tmp_path):
    lesions = [
        Lesion(ml=ml, voxels=1, centre=(1.25, -2.0, 30.126), peak_at=(1, 2, 3), peak=0.5, mean=0.25)
        for ml in (12.3456, 0.004)
    ]
    with lesion_table(tmp_path, scans=[Path("a")]) as table:
        table.add(lesion_rows("=a.nii", lesions))
    found = pd.read_csv(tmp_path / "lesions.csv")
    assert list(found.columns) == ["path", "lesion", "ml", "x", "y", "z", "peak", "mean"]
    assert found.iloc[0].to_dict() == (
        {"path": "'=a.nii", "lesion": 1, "ml": 12.346, "x": 1.25, "y": -2, "z": 30.13, "peak": 0.5, "mean": 0.25}
    )
    assert list(found["lesion"]) == [1, 2]


def test_rows_that_the_disk_does_not_take_whole_are_not_there_in_part(tmp_path, monkeypatch):
    write = os.write

    def full(descriptor, data):
        if len(data) < 60:
            raise OSError(errno.ENOSPC, "No space left on device")
        return write(descriptor, data[:30])

    lesion = Lesion(ml=1, voxels=1, centre=(1, 2, 3), peak_at=(1, 2, 3), peak=0.5, mean=0.25)
    with lesion_table(tmp_path, scans=[Path("a")]) as table:
        table.add(lesion_rows("a", [lesion]))
        monkeypatch.setattr(os, "write", full)
        with pytest.raises(MriadError, match="cannot be written"):
            table.add(lesion_rows("b", [lesion] * 3))
        monkeypatch.setattr(os, "write", write)
        table.add(lesion_rows("c", [lesion]))
    assert [found["path"] for found in rows(tmp_path / "lesions.csv")] == ["a", "c"]
