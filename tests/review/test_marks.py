import csv
import multiprocessing
import os

import pytest

from mriad.errors import MriadError
from mriad.review import marks as module
from mriad.review.marks import COLUMNS, Mark, add_mark, read_marks, readings


def mark(**said):
    return Mark.of({"time": "t", "reader": "anna", "path": "a.nii", "decision": 1, "lesions": 2, "score": 0.5} | said)


def lesion(number, value, **more):
    return mark(lesion=number, x=number, y=0, z=0, mark=value, **more)


def test_events_come_back_as_they_were(tmp_path):
    file = tmp_path / "marks.csv"
    events = [
        mark(mark="agree", note='=1+1,"so"\n<b>\''),
        mark(mark="missed", x=1.25, y=-2, z=3),
        lesion(2, "false", path="=cmd.nii"),
        mark(mark="", reader="béla", patient="p"),
    ]
    for event in events:
        add_mark(file, event)
    assert read_marks(file) == (events, [])
    with file.open(newline="") as stream:
        rows = list(csv.reader(stream))
    assert tuple(rows[0]) == COLUMNS
    assert not any(cell.startswith(("=", "+", "@")) for row in rows for cell in row)


@pytest.mark.parametrize(
    "said",
    [
        {"mark": "maybe"},
        {"mark": "true"},
        {"mark": "agree", "lesion": 1, "x": 0, "y": 0, "z": 0},
        {"mark": "true", "lesion": 0, "x": 0, "y": 0, "z": 0},
        {"mark": "true", "lesion": 1.5, "x": 0, "y": 0, "z": 0},
        {"mark": "true", "lesion": 1},
        {"mark": "missed", "x": 0, "y": 0},
        {"mark": "missed", "x": "nan", "y": 0, "z": 0},
        {"mark": "missed", "x": [], "y": 0, "z": 0},
        {"mark": "agree", "reader": " "},
        {"mark": "agree", "reader": "a" * 101},
        {"mark": "agree", "path": ""},
        {"mark": "agree", "note": "n" * 2001},
        {"mark": "agree", "note": {"a": 1}},
    ],
)
def test_what_is_no_mark_is_refused(said):
    with pytest.raises(ValueError):
        mark(**said)


def test_the_newest_mark_counts_and_none_is_lost():
    said = [
        mark(mark="agree"),
        lesion(1, "true"),
        lesion(2, "true"),
        lesion(2, "false"),
        lesion(1, ""),
        mark(mark="miss"),
    ]
    said += [
        mark(mark="missed", x=9, y=9, z=9),
        mark(mark="missed", x=5, y=5, z=5),
        mark(mark="withdrawn", x=9, y=9, z=9),
    ]
    found = readings(said)["anna", "a.nii"]
    assert (found.mark, {which: one.mark for which, one in found.lesions.items()}) == ("miss", {2: "false"})
    assert found.missed == [(5, 5, 5)]
    assert not found.is_complete


def test_marks_of_a_prediction_with_another_call_do_not_count():
    found = readings([mark(mark="agree"), lesion(1, "true"), lesion(1, "false", decision=0, lesions=3)])[
        "anna", "a.nii"
    ]
    assert (found.mark, {which: one.mark for which, one in found.lesions.items()}) == ("", {1: "false"})


@pytest.mark.parametrize(
    ("said", "decision", "label"),
    [
        (["agree"], 1, 1),
        (["agree"], 0, 0),
        (["miss"], 0, 1),
        (["miss"], 1, 1),
        (["false"], 1, 0),
        (["unsure"], 1, None),
        ([""], 1, None),
        (["agree", ""], 1, None),
    ],
)
def test_what_a_reader_takes_a_scan_for(said, decision, label):
    found = readings([mark(mark=one, decision=decision) for one in said])["anna", "a.nii"]
    assert found.label == label


def test_a_scan_with_a_true_lesion_is_anomalous_though_another_is_false():
    assert readings([lesion(1, "true"), lesion(2, "false"), mark(mark="false")])["anna", "a.nii"].label == 1


def _write(file, reader):
    for number in range(40):
        add_mark(file, mark(mark="agree", reader=reader, path=f"{number}.nii"))


def test_readers_who_write_at_once_lose_no_mark(tmp_path):
    file = tmp_path / "marks.csv"
    context = multiprocessing.get_context("fork")
    readers = [context.Process(target=_write, args=(file, reader)) for reader in ("anna", "béla", "chen")]
    for process in readers:
        process.start()
    for process in readers:
        process.join(120)
    events, wrong = read_marks(file)
    assert (len(events), wrong) == (120, [])
    assert len(readings(events)) == 120


def test_a_line_that_a_crash_has_torn_off_costs_itself_alone(tmp_path):
    file = tmp_path / "marks.csv"
    add_mark(file, mark(mark="agree"))
    with file.open("a") as stream:
        stream.write("2026,anna,torn")
    add_mark(file, mark(mark="miss"))
    events, wrong = read_marks(file)
    assert [event.mark for event in events] == ["agree", "miss"]
    assert len(wrong) == 1 and "row 3" in wrong[0]


def test_a_full_disk_leaves_the_file_as_it_was(tmp_path, monkeypatch):
    file = tmp_path / "marks.csv"
    add_mark(file, mark(mark="agree"))
    before = file.read_bytes()

    def full(descriptor):
        raise OSError(28, "No space left on device")

    monkeypatch.setattr(module.os, "fsync", full)
    with pytest.raises(MriadError, match="not kept"):
        add_mark(file, mark(mark="miss"))
    monkeypatch.setattr(module.os, "fsync", os.fsync)
    assert file.read_bytes() == before


@pytest.mark.parametrize("content", ["", "a,b\n1,2\n"])
def test_another_file_is_refused(tmp_path, content):
    (tmp_path / "x.csv").write_text(content)
    with pytest.raises(MriadError, match="no file of marks"):
        read_marks(tmp_path / "x.csv")
    with pytest.raises(MriadError, match="cannot be read"):
        read_marks(tmp_path / "none.csv")
