"""What a prediction leaves in its folder: a table that grows as scans are scored, and their maps."""

from __future__ import annotations

import csv
import os
from collections.abc import Iterable, Mapping, Sequence
from io import BytesIO, StringIO
from pathlib import Path
from types import TracebackType

from PIL import Image

from mriad.data.reading.levels import Levels, percentiles, rescaled
from mriad.disk import written_whole
from mriad.errors import MriadError
from mriad.plots import overlay
from mriad.prediction.inputs import MAP_ENDING, MAPS, OVERLAY_ENDING, TABLE, UNFINISHED
from mriad.prediction.predictor import Prediction, Predictor
from mriad.tables import guarded

COLUMNS = ("path", "score", "threshold", "decision", "error")

_ROW = 500  # bytes of a row besides its path, which an error names again


class PredictionTable:
    """``predictions.csv``, written row by row to ``predictions.csv.part``, which takes its name when it is complete.

    A prediction that is killed leaves the rows that it had. Room for all rows is kept from the start: maps that fill
    the disk leave the table alone. Cells of text are ``mriad.tables.guarded``.

    Args:
        folder: where it lies; made where it is not there.
        scans: files of all scans.

    Raises:
        MriadError: if the folder cannot be written.
    """

    def __init__(self, folder: Path, *, scans: Sequence[Path]) -> None:
        self.file = folder / TABLE
        self._unfinished, self._room = folder / UNFINISHED, folder / f".{os.getpid()}.room"
        try:
            folder.mkdir(parents=True, exist_ok=True)
        except OSError as error:
            raise MriadError(
                f"The folder {folder} cannot be made ({error.strerror}); choose another output."
            ) from error
        try:
            self._table = os.open(self._unfinished, os.O_WRONLY | os.O_CREAT | os.O_TRUNC, 0o666)
            self._room.write_bytes(bytes(sum(2 * len(str(scan)) + _ROW for scan in scans)))
        except OSError as error:
            self._room.unlink(missing_ok=True)
            raise MriadError(
                f"The folder {folder} cannot be written ({error.strerror}); choose another output."
            ) from error
        self._write([COLUMNS])

    def __enter__(self) -> PredictionTable:
        return self

    def __exit__(
        self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None
    ) -> None:
        os.close(self._table)
        self._room.unlink(missing_ok=True)
        if kind is None:
            os.replace(self._unfinished, self.file)

    def add(self, rows: Iterable[Mapping[str, object]]) -> None:
        """Write rows.

        Raises:
            MriadError: if the disk does not take them.
        """
        self._write([row.get(column, "") for column in COLUMNS] for row in rows)

    def _write(self, rows: Iterable[Iterable[object]]) -> None:
        text = StringIO()
        csv.writer(text, lineterminator="\n").writerows(
            [guarded(cell) if isinstance(cell, str) else cell for cell in row] for row in rows
        )
        left = text.getvalue().encode()
        while left:
            try:
                left = left[os.write(self._table, left) :]
            except OSError as error:
                if not self._room.exists():
                    raise MriadError(
                        f"{self.file} cannot be written ({error.strerror}); make room there and start again: "
                        f"{self._unfinished} has what was scored before."
                    ) from error
                self._room.unlink()


class MapFolder:
    """``maps/``: for each scan a float32 TIFF of its anomaly map, and a PNG with the map laid over the scan.

    They have the scan's own size, and its path from the folder that all scans have in common.

    Args:
        folder: the folder of the prediction.
        scans: files of all scans.
        predictor: whose calibration sets the colours.
    """

    def __init__(self, folder: Path, *, scans: Sequence[Path], predictor: Predictor) -> None:
        self._folder = folder / MAPS
        self._base = os.path.commonpath([os.path.dirname(os.path.abspath(scan)) for scan in scans])
        self._calibration = predictor.calibration
        self._written: set[tuple[int, int]] = set()

    def write(self, scan: Path, levels: Levels, found: Prediction) -> str:
        """Write the map and the overlay of a scan.

        Returns:
            What went wrong, '' if nothing did.
        """
        name = os.path.relpath(os.path.abspath(scan), self._base)  # no '..' is left in it
        anomaly_map = found.map
        low, high = percentiles(levels, [0.5, 99.5])  # a 12-bit scan in a 16-bit file would be black
        picture = overlay(
            rescaled(levels, low, high) / 255,
            anomaly_map,
            map_scale=self._calibration.map_scale,
            pixel_threshold=self._calibration.pixel_threshold,
        )
        try:
            self._save(self._folder / f"{name}{MAP_ENDING}", Image.fromarray(anomaly_map), "TIFF")
            self._save(self._folder / f"{name}{OVERLAY_ENDING}", Image.fromarray(picture), "PNG")
        except (OSError, ValueError, MemoryError, MriadError) as error:
            return f"its map cannot be written ({getattr(error, 'strerror', None) or error or 'memory is short'})"
        return ""

    def _save(self, target: Path, image: Image.Image, form: str) -> None:
        target.parent.mkdir(parents=True, exist_ok=True)
        if self._is_ours(target):
            raise ValueError("the map of another scan has its name")
        encoded = BytesIO()
        image.save(encoded, format=form)  # Pillow hides why a disk does not take what it writes
        with written_whole(target) as part:
            part.write_bytes(encoded.getvalue())
        self._written.add(_identity(target))

    def _is_ours(self, target: Path) -> bool:
        """Whether this prediction has written a file, under whatever name the disk takes for the same."""
        try:
            return _identity(target) in self._written
        except FileNotFoundError:
            return False


def _identity(file: Path) -> tuple[int, int]:
    found = file.stat()
    return found.st_dev, found.st_ino
