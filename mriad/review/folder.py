"""The folder of a page: a script for each scan, a list of them, thumbnails, and the page itself."""

from __future__ import annotations

import json
import os
import shutil
from datetime import UTC, datetime
from importlib import metadata, resources
from pathlib import Path
from typing import Any

import numpy as np
from numpy.typing import NDArray

from mriad.data.layouts.contrasts import contrast_in
from mriad.data.reading.scan import Scan
from mriad.data.reading.suffixes import stem
from mriad.disk import written_whole
from mriad.errors import MriadError
from mriad.geometry import Grid
from mriad.prediction.lesions import lesions_of
from mriad.prediction.scan_files import LIST, TABLE, THUMBNAILS, ScanFile
from mriad.review.encode import CodedMap, as_codes, as_gray, script, thumbnail
from mriad.tables import printable
from mriad.thresholds import Calibration

REVIEW, PAGE, MARKS = "review", "index.html", "marks.csv"
FILES = (PAGE, "review.css", "review.js", "marks.js", "viewer.js", "niivue.umd.js", "niivue.LICENSE.txt")
LISTED = 200  # lesions of a scan that the page lists, the largest


class ReviewFolder:
    """``review/`` of a prediction: a page that needs nothing but this folder.

    Each scan is written when it is added, the list at the end of the ``with``, also where an error ends it. Marks of
    readers that lie there stay.

    Args:
        output: the folder of the prediction.
        calibration: of the detector.
        model: option file of the detector, where marks can teach it; '' where it does not learn from masks.
        run: MLflow run of its training, '' where unknown.
    """

    def __init__(self, output: Path, *, calibration: Calibration, model: str = "", run: str = "") -> None:
        self.folder = output / REVIEW
        self._calibration = calibration
        self._model, self._run = model, run
        self._scans: list[dict[str, Any]] = []
        self._examinations: dict[str, int] = {}
        self._patients: dict[str, int] = {}

    def __enter__(self) -> ReviewFolder:
        try:
            for name in ("scans", THUMBNAILS):
                shutil.rmtree(self.folder / name, ignore_errors=True)
                (self.folder / name).mkdir(parents=True)
            source = resources.files("mriad.review") / "page"
            for name in FILES:
                self._save(self.folder / name, (source / name).read_bytes())
        except OSError as error:
            raise MriadError(
                f"The folder {self.folder} cannot be written ({error.strerror}); choose another output."
            ) from error
        return self

    def __exit__(self, *error: object) -> None:
        calibration = self._calibration
        levels = [level for level, _ in calibration.healthy_components] or [calibration.pixel_threshold / 2]
        scale = calibration.map_scale
        told = {
            "version": metadata.version("mriad"),
            "model": self._model,
            "run": self._run,
            "made": datetime.now(UTC).isoformat(timespec="seconds"),
            "threshold": calibration.threshold,
            "rule": calibration.rule,
            "level": calibration.pixel_threshold,
            "lesion_level": calibration.lesion_level,
            "healthy": [list(pair) for pair in calibration.healthy_components],
            "healthy_scans": int((calibration.val_scores["label"] == 0).sum()),
            "scale": list(scale),
            "levels": [
                min(levels[-1], calibration.pixel_threshold),
                max(scale[1], calibration.lesion_level or 0.0, calibration.pixel_threshold),
            ],
            "scans": self._scans,
        }
        self._save(self.folder / LIST, script("list", told).encode())

    def add(
        self, file: ScanFile, scan: Scan | None, anomaly_map: NDArray[np.float32] | None, row: dict[str, Any]
    ) -> str:
        """Write a scan.

        Args:
            file: as it was named.
            scan: what was read; None where nothing could be.
            anomaly_map: (D, H, W) or (H, W) at its size.
            row: that of ``predictions.csv``.

        Returns:
            What went wrong, '' if nothing did.
        """
        number = len(self._scans)
        entry: dict[str, Any] = {
            "path": printable(str(file.path)) + (f" ({printable(file.series)})" if file.series else ""),
            "file": printable(str(file.path)),
            "series": printable(file.series),
            "score": row.get("score"),
            "threshold": row.get("threshold"),
            "decision": row.get("decision"),
            "error": printable(str(row.get("error", ""))),
            "contrast": file.contrast,
            "examination": self._examinations.setdefault(_examination(file), len(self._examinations)),
            "patient": self._patients.setdefault(_person(file, row), number),
            "shown": False,
        }
        self._scans.append(entry)
        if scan is None or anomaly_map is None:
            return ""
        try:
            entry |= self._write(number, file, scan, anomaly_map)
        except (OSError, ValueError, MemoryError, MriadError) as error:
            entry["error"] = "; ".join(filter(None, [entry["error"], f"it cannot be shown: {error}"]))
            return f"it is not on the page ({getattr(error, 'strerror', None) or error or 'memory is short'})"
        return ""

    def _write(self, number: int, file: ScanFile, scan: Scan, anomaly_map: NDArray[np.float32]) -> dict[str, Any]:
        grid = scan.grid if scan.is_volume else Grid.of_picture(*scan.levels.shape[1:], spacing=file.spacing)
        values = anomaly_map.reshape(anomaly_map.shape if scan.is_volume else (1, *anomaly_map.shape))
        if values.shape != scan.levels.shape:
            raise MriadError(f"its map has the shape {values.shape}, and the scan {scan.levels.shape}")
        level = self._calibration.pixel_threshold
        lesions = lesions_of(values, grid, level=level)
        coded = CodedMap.of(values, level=level)
        gray, (low, high) = as_gray(scan.levels, grid)
        ml = scan.is_volume
        unit = "ml" if ml else "mm2" if grid.space == "plane" else "px"
        size = {"ml": 1.0, "mm2": grid.pixel_area, "px": 1.0}[unit]
        told = {
            "scan": gray,
            "map": as_codes(coded, grid),
            "window": [low, high],
            "code": coded.code,
            "level": coded.level,
            "step": coded.step,
            "axes": grid.orientation,
            "lesions": [
                {
                    "size": float(f"{(lesion.ml if ml else lesion.voxels * size):.4g}"),
                    "at": [round(mm, 2) for mm in lesion.centre],
                    "peak_at": [round(mm, 3) for mm in lesion.peak_at],
                    "peak": float(f"{lesion.peak:.5g}"),
                }
                for lesion in lesions[:LISTED]
            ],
        }
        self._save(self.folder / "scans" / f"{number}.js", script("scan", number, told).encode())
        small = thumbnail(scan.levels, values, grid, scale=self._calibration.map_scale, level=level)
        self._save(self.folder / THUMBNAILS / f"{number}.webp", small)
        return {
            "shown": True,
            "volume": scan.is_volume,
            "lesions": len(lesions),
            "listed": min(len(lesions), LISTED),
            "size": float(f"{sum(lesion.ml if ml else lesion.voxels * size for lesion in lesions):.4g}"),
            "unit": unit,
        }

    @staticmethod
    def _save(file: Path, content: bytes) -> None:
        with written_whole(file) as part:
            part.write_bytes(content)


def read_list(folder: Path) -> dict[str, Any]:
    """What the page of a folder lists.

    Raises:
        MriadError: if there is none, or it is not one that mriad wrote.
    """
    return dict(_told(folder / LIST)[0])


def read_scan_of(folder: Path, number: int) -> dict[str, Any]:
    """What the page of a folder shows of a scan.

    Raises:
        MriadError: as above.
    """
    return dict(_told(folder / "scans" / f"{number}.js")[1])


def _told(file: Path) -> list[Any]:
    """The values that a script hands to the page; nothing in it is run."""
    try:
        text = file.read_text()
        return list(json.loads(f"[{text[text.index('(') + 1 : text.rindex(')')]}]"))
    except OSError as error:
        raise MriadError(f"{file} cannot be read ({error.strerror}); predict with review=true.") from error
    except ValueError as error:
        raise MriadError(f"{file} is no part of a page; predict with review=true.") from error


def review_folder(named: Path) -> Path:
    """The folder of the page that is meant by a prediction's folder, by its own, or by a file in it.

    Raises:
        MriadError: if there is none.
    """
    place = named.parent if named.is_file() else named
    for folder in (place / REVIEW, place):
        if (folder / LIST).is_file():
            return folder
    if not place.is_dir():
        raise MriadError(f"There is no folder {named}; give the output of a prediction with review=true.")
    if (place / TABLE).is_file():
        raise MriadError(
            f"The prediction in {place} has no page; type its command once more with review=true, which scores the "
            "scans anew and writes the page beside them."
        )
    raise MriadError(f"There is no page in {place}; predict with review=true, and give the output of that.")


def marks_file(named: Path) -> Path:
    """The file of marks that is meant by its path, or by the folder of a prediction or page.

    Raises:
        MriadError: if there is none.
    """
    file = review_folder(named) / MARKS if named.is_dir() else named
    if not file.is_file():
        raise MriadError(
            f"There is no file of marks {file}; make some with mriad review FOLDER, or give the marks.csv of a page."
        )
    return file


def _examination(file: ScanFile) -> str:
    """What scans of one session have in common: their place and name but for the contrast, as ``contrast_in`` has it.

    Those that state a patient but no contrast in their name have the patient and the folder in common.
    """
    name = file.path.name if file.path.is_dir() else stem(file.path)
    contrast, rest = contrast_in(name)
    parent = os.path.dirname(os.path.abspath(file.path))
    if not contrast and file.contrast and file.patient:
        return f"{parent}\0{file.patient}"
    return f"{parent}\0{rest if contrast else name}\0{'' if contrast else file.series}"


def _person(file: ScanFile, row: dict[str, Any]) -> str:
    """What scans of one patient have in common; no more is told on the page than which scans do."""
    known = file.patient or str(row.get("patient", ""))
    return f"patient {known}" if known else f"examination {_examination(file)}"
