"""What readers say of scans and lesions: events in a CSV file to which lines are only ever added."""

from __future__ import annotations

import csv
import io
import math
import os
from collections.abc import Iterable, Iterator, Mapping
from contextlib import contextmanager
from dataclasses import asdict, dataclass, field, fields
from datetime import UTC, datetime
from pathlib import Path
from typing import Any, Self

from filelock import FileLock

from mriad.errors import MriadError
from mriad.tables import guarded, printable, unguarded

SCAN_MARKS = ("agree", "miss", "false", "unsure")
LESION_MARKS = ("true", "false")
POINT_MARKS = ("missed", "withdrawn")
Place = tuple[float, float, float]

_NOTE, _READER = 2000, 100  # characters
_NEAR = 1.0  # mm from a lesion's place to where a mark says that it lies
_SAME = 0.01  # mm between a point and where it is withdrawn


@dataclass(frozen=True, kw_only=True)
class Mark:
    """One event; the newest of a reader on a thing counts.

    Args:
        time: UTC, ISO 8601.
        reader: who says it.
        path: of the scan, as ``predictions.csv`` has it.
        lesion: number of a lesion in ``lesions.csv``; None for what is said of the scan.
        place: of the lesion, or of one that was missed, in mm; None for the scan.
        mark: of a scan one of ``SCAN_MARKS``, of a lesion one of ``LESION_MARKS``, of a point one of ``POINT_MARKS``;
            '' takes a mark back.
        note: of the scan.
        score, decision, lesions: what the detector said of the scan: its score, 1 anomalous or 0 healthy, and how many
            lesions the page lists; None where unknown.
        patient: path of the first scan of the same patient, which tells scans of one patient from those of several.
    """

    time: str
    reader: str
    path: str
    lesion: int | None = None
    place: Place | None = None
    mark: str
    note: str = ""
    score: float | None = None
    decision: int | None = None
    lesions: int | None = None
    patient: str = ""

    @classmethod
    def of(cls, told: Mapping[str, Any]) -> Self:
        """Take an event that comes from a page or a line of the file, and look at each of its parts.

        Raises:
            ValueError: saying in a few words what is wrong.
        """
        path, reader, mark = (_text(told, name, _NOTE) for name in ("path", "reader", "mark"))
        if not path or not reader.strip() or len(reader) > _READER:
            raise ValueError("a mark has the path of a scan and a reader, of at most 100 characters")
        lesion = _number(told, "lesion")
        place = [_number(told, axis) for axis in "xyz"]
        is_point = mark in POINT_MARKS
        legal = POINT_MARKS if is_point else LESION_MARKS if lesion is not None else SCAN_MARKS
        if mark and mark not in legal:
            raise ValueError(f"'{mark[:20]}' is no mark of a {'scan' if lesion is None else 'lesion'}")
        if lesion is not None and (is_point or lesion < 1 or lesion != int(lesion)):
            raise ValueError("a lesion has a number from 1 on")
        if (lesion is not None or is_point) and any(value is None for value in place):
            raise ValueError("a lesion lies at x, y and z")
        score, decision, lesions = (_number(told, name) for name in ("score", "decision", "lesions"))
        return cls(
            time=_text(told, "time", 40),
            reader=reader.strip(),
            path=path,
            lesion=None if lesion is None else int(lesion),
            place=(float(place[0] or 0), float(place[1] or 0), float(place[2] or 0)) if None not in place else None,
            mark=mark,
            note=_text(told, "note", _NOTE),
            score=score,
            decision=None if decision is None else int(decision),
            lesions=None if lesions is None else int(lesions),
            patient=_text(told, "patient", _NOTE) or path,
        )

    def as_cells(self) -> dict[str, object]:
        """The event by ``COLUMNS``, '' where nothing is said."""
        x, y, z = self.place or ("", "", "")
        told = asdict(self) | {"x": x, "y": y, "z": z}
        return {name: "" if told[name] is None else told[name] for name in COLUMNS}

    def is_of(self, place: Place) -> bool:
        """Whether a lesion at a place is the one that is marked, and not one of another prediction."""
        return self.place is not None and math.dist(self.place, place) <= _NEAR


COLUMNS = ("time", "reader", "path", "lesion", "x", "y", "z", "mark", "note", "score", "decision", "lesions", "patient")
assert {field.name for field in fields(Mark)} - {"place"} == set(COLUMNS) - set("xyz")


@dataclass(kw_only=True)
class Reading:
    """What counts of a reader's marks of one scan.

    Args:
        mark: of the scan, '' for none.
        note: of the scan.
        lesions: the marks of its lesions that were not taken back, by their number.
        missed: places of lesions that the detector does not show.
        last: the newest event.
    """

    mark: str = ""
    note: str = ""
    lesions: dict[int, Mark] = field(default_factory=dict)
    missed: list[Place] = field(default_factory=list)
    last: Mark

    @property
    def label(self) -> int | None:
        """1 where the reader takes the scan for anomalous, 0 for healthy; None where unsure, or not marked.

        Who agrees says what the detector said; who misses something says that there is something; false says that
        nothing is there, unless a lesion is marked as true, or as missed.
        """
        if self.mark == "agree":
            return self.last.decision
        if self.mark == "miss":
            return 1
        if self.mark == "false":
            return int(bool(self.missed) or any(mark.mark == "true" for mark in self.lesions.values()))
        return None

    @property
    def is_complete(self) -> bool:
        """Whether each lesion that the detector shows is marked."""
        return self.last.lesions is not None and set(range(1, self.last.lesions + 1)) <= set(self.lesions)


def readings(marks: Iterable[Mark]) -> dict[tuple[str, str], Reading]:
    """What counts, by reader and path, from events in the order in which they were made.

    What was said of another decision of the detector, in an earlier prediction, is gone with it; so is a mark of a
    lesion that lies elsewhere than the last that was said of its number.
    """
    found: dict[tuple[str, str], Reading] = {}
    for mark in marks:
        key = mark.reader, mark.path
        reading = found.get(key)
        if reading is None or (reading.last.decision, reading.last.lesions) != (mark.decision, mark.lesions):
            reading = found[key] = Reading(last=mark, missed=reading.missed if reading else [])
        reading.last = mark
        if mark.mark == "missed" and mark.place is not None:
            reading.missed.append(mark.place)
        elif mark.mark == "withdrawn" and mark.place is not None:
            place = mark.place
            reading.missed = [other for other in reading.missed if math.dist(other, place) > _SAME]
        elif mark.lesion is not None:
            if mark.mark:
                reading.lesions[mark.lesion] = mark
            else:
                reading.lesions.pop(mark.lesion, None)
        else:
            reading.mark, reading.note = mark.mark, mark.note
    return found


def add_mark(file: Path, mark: Mark) -> None:
    """Add an event to the end of the file, and return when it is on disk; others may add theirs at the same time.

    Raises:
        MriadError: if the disk does not take it; the file is then as it was.
    """
    text = io.StringIO()
    cells = [guarded(cell) if isinstance(cell, str) else cell for cell in mark.as_cells().values()]
    csv.writer(text, lineterminator="\n").writerow(cells)
    line = text.getvalue().encode()
    try:
        with _locked(file), file.open("ab+", buffering=0) as stream:
            end = stream.seek(0, os.SEEK_END)
            if end == 0:
                line = (",".join(COLUMNS) + "\n").encode() + line
            else:
                stream.seek(end - 1)
                if stream.read(1) != b"\n":  # another was torn off by a crash
                    line = b"\n" + line
            try:
                while line:
                    line = line[stream.write(line) :]
                os.fsync(stream.fileno())
            except OSError:
                os.truncate(file, end)
                raise
    except OSError as error:
        raise MriadError(
            f"{file} cannot be written ({error.strerror}); make room there, the mark is not kept."
        ) from error


def read_marks(file: Path) -> tuple[list[Mark], list[str]]:
    """The events of a file, in its order, and what is wrong with the lines that are none.

    Raises:
        MriadError: if it cannot be read, or is not such a file.
    """
    try:
        with file.open(newline="", encoding="utf-8-sig", errors="replace") as stream:
            rows = list(csv.reader(line.replace("\0", "") for line in stream))
    except (OSError, csv.Error) as error:
        raise MriadError(f"{file} cannot be read ({getattr(error, 'strerror', None) or error}).") from error
    if not rows or not {"time", "reader", "path", "mark"} <= set(rows[0]):
        raise MriadError(f"{file} is no file of marks: its first line has no columns time, reader, path and mark.")
    marks, wrong = [], []
    for number, row in enumerate(rows[1:], start=2):
        if not row:
            continue
        if len(row) != len(rows[0]):
            wrong.append(f"row {number} has {len(row)} entries, and the header {len(rows[0])}")
            continue
        try:
            marks.append(Mark.of(dict(zip(rows[0], map(unguarded, row), strict=True))))
        except ValueError as error:
            wrong.append(f"row {number}: {error}")
    return marks, wrong


def now() -> str:
    """The time of an event."""
    return datetime.now(UTC).strftime("%Y-%m-%dT%H:%M:%SZ")


@contextmanager
def _locked(file: Path) -> Iterator[None]:
    with FileLock(file.with_name(f".{file.name}.lock"), timeout=30):
        yield


def _text(told: Mapping[str, Any], name: str, most: int) -> str:
    value = told.get(name, "")
    if value is None:
        return ""
    if not isinstance(value, str | int | float) or len(str(value)) > most:
        raise ValueError(f"{name} is no text of at most {most} characters")
    text = printable(str(value)).replace("\r\n", "\n").replace("\r", "\n")
    return "".join(letter for letter in text if letter == "\n" or letter == "\t" or ord(letter) >= 32)


def _number(told: Mapping[str, Any], name: str) -> float | None:
    value = told.get(name, "")
    if value is None or value == "":
        return None
    try:
        number = float(value)
    except (TypeError, ValueError) as error:
        raise ValueError(f"{name} is no number") from error
    if not math.isfinite(number) or abs(number) > 1e9:
        raise ValueError(f"{name} is no number")
    return number
