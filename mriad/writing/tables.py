"""Tables that grow as scans are scored: what was written is on disk, whatever happens next."""

from __future__ import annotations

import csv
import os
from collections.abc import Iterable, Mapping, Sequence
from io import StringIO
from pathlib import Path
from types import TracebackType

from mriad.errors import MriadError
from mriad.prediction.lesions import Lesion
from mriad.prediction.scan_files import TABLE
from mriad.tables import guarded

COLUMNS = ("path", "score", "threshold", "decision", "error")
OF_VOLUMES = ("patient", "lesions", "lesion_ml")
LESIONS = "lesions.csv"
LESION_COLUMNS = ("path", "lesion", "ml", "x", "y", "z", "peak", "mean")

_ROW = 500  # bytes of a row besides its path, which an error names again
_LESION_ROOM = 20_000  # bytes of a scan's lesions


class GrowingTable:
    """A CSV file, written row by row to one that ends in ``.part``, which takes its name when it is complete.

    A command that is killed leaves the rows that it had. Room for all rows is kept from the start: maps that fill the
    disk leave the table alone. Cells of text are ``mriad.tables.guarded``.

    Args:
        file: the table; its folder is made where it is not there.
        columns: what it holds.
        room: bytes to keep for it.

    Raises:
        MriadError: if the folder cannot be written.
    """

    def __init__(self, file: Path, *, columns: Sequence[str], room: int) -> None:
        self.file, self._columns = file, tuple(columns)
        self._unfinished = file.with_name(f"{file.name}.part")
        self._room = file.with_name(f".{os.getpid()}.{file.stem}.room")
        try:
            file.parent.mkdir(parents=True, exist_ok=True)
        except OSError as error:
            raise MriadError(
                f"The folder {file.parent} cannot be made ({error.strerror}); choose another output."
            ) from error
        try:
            self._table = os.open(self._unfinished, os.O_WRONLY | os.O_CREAT | os.O_TRUNC, 0o666)
            self._room.write_bytes(bytes(room))
        except OSError as error:
            self._room.unlink(missing_ok=True)
            raise MriadError(
                f"The folder {file.parent} cannot be written ({error.strerror}); choose another output."
            ) from error
        self._write([self._columns])

    def __enter__(self) -> GrowingTable:
        return self

    def __exit__(
        self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None
    ) -> None:
        os.close(self._table)
        self._room.unlink(missing_ok=True)
        if kind is None:
            os.replace(self._unfinished, self.file)

    def add(self, rows: Iterable[Mapping[str, object]]) -> None:
        """Write rows, all of them or none.

        Raises:
            MriadError: if the disk does not take them.
        """
        self._write([row.get(column, "") for column in self._columns] for row in rows)

    def _write(self, rows: Iterable[Iterable[object]]) -> None:
        text = StringIO()
        csv.writer(text, lineterminator="\n").writerows(
            [guarded(cell) if isinstance(cell, str) else cell for cell in row] for row in rows
        )
        end = os.lseek(self._table, 0, os.SEEK_CUR)
        left = text.getvalue().encode()
        while left:
            try:
                left = left[os.write(self._table, left) :]
            except OSError as error:
                if not self._room.exists():
                    os.ftruncate(self._table, end)
                    os.lseek(self._table, end, os.SEEK_SET)
                    raise MriadError(
                        f"{self.file} cannot be written ({error.strerror}); make room there and start again: "
                        f"{self._unfinished} has what was scored before."
                    ) from error
                self._room.unlink()


def prediction_table(folder: Path, *, scans: Sequence[Path], volumes: bool = False) -> GrowingTable:
    """``predictions.csv`` of a folder, for as many rows as there are scans; those of volumes say more."""
    columns = COLUMNS + OF_VOLUMES if volumes else COLUMNS
    return GrowingTable(folder / TABLE, columns=columns, room=sum(2 * len(str(scan)) + _ROW for scan in scans))


def lesion_table(folder: Path, *, scans: Sequence[Path]) -> GrowingTable:
    """``lesions.csv`` of a folder: one row per lesion."""
    return GrowingTable(folder / LESIONS, columns=LESION_COLUMNS, room=_LESION_ROOM * min(len(scans), 50))


def lesion_rows(path: str, lesions: Sequence[Lesion]) -> list[dict[str, object]]:
    """The rows of a scan's lesions, numbered from 1 on."""
    return [
        {
            "path": path,
            "lesion": number,
            "ml": told(lesion.ml),
            **{axis: round(mm, 2) for axis, mm in zip("xyz", lesion.centre, strict=True)},
            "peak": told(lesion.peak),
            "mean": told(lesion.mean),
        }
        for number, lesion in enumerate(lesions, start=1)
    ]


def told(value: float) -> float:
    """A measure with as many digits as a scan can tell."""
    return float(f"{value:.5g}")
