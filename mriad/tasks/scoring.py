"""Scans in, rows of a table and files out: what predicting and listening share."""

from __future__ import annotations

import logging
import shutil
import tempfile
from collections.abc import Sequence
from dataclasses import dataclass, field
from importlib.util import find_spec
from pathlib import Path
from typing import Any, TypeAlias

import pandas as pd
from numpy.typing import NDArray

from mriad.data.reading.read import read_scan
from mriad.data.reading.scan import Scan
from mriad.data.roles.identity import marks
from mriad.errors import MriadError
from mriad.pacs.dicomweb import DicomWeb
from mriad.pacs.session import AwayError
from mriad.prediction.lesions import Lesion
from mriad.prediction.predictor import Predictor, Prepared
from mriad.prediction.reading import prepared_for
from mriad.prediction.scan_files import ScanFile
from mriad.review.folder import ReviewFolder
from mriad.writing.dicom.algorithm import Algorithm
from mriad.writing.dicom.uids import result_uids
from mriad.writing.maps import MapFolder
from mriad.writing.tables import GrowingTable, lesion_rows, told

log = logging.getLogger(__name__)

Row: TypeAlias = dict[str, Any]
UNSTORED = "its results are not stored"


@dataclass(frozen=True, kw_only=True)
class Known:
    """What an archive holds of a scan already, by the same detector."""

    score: float
    decision: int
    lesions: list[Lesion]
    count: int
    ml: float
    patient: str


def require_dicom(what: str) -> None:
    """See that DICOM objects can be written.

    Raises:
        MriadError: if what writes them is not installed.
    """
    if missing := [name for name in ("highdicom", "pynetdicom") if find_spec(name) is None]:
        raise MriadError(f"{what} needs {' and '.join(missing)}; install it with: pip install 'mriad[pacs]'")


Read: TypeAlias = tuple[Scan, Prepared] | Known | MriadError


@dataclass(kw_only=True)
class Scoring:
    """Scores scans, and writes what they show.

    Args:
        predictor: the detector.
        maps: where maps go; None where none are asked for.
        lesions: table of lesions of volumes.
        page: what shows them to a reader; None where none is asked for.
        archive: where DICOM objects go besides; what it holds of a scan already is not made again.
    """

    predictor: Predictor
    maps: MapFolder | None = None
    lesions: GrowingTable | None = None
    page: ReviewFolder | None = None
    archive: DicomWeb | None = None
    algorithm: Algorithm = field(init=False)

    def __post_init__(self) -> None:
        self.algorithm = Algorithm.of(self.predictor)

    def read(self, file: ScanFile) -> Read:
        """Fetch, read and prepare a scan, or say why that cannot be; may be called in several threads.

        Raises:
            AwayError: if an archive does not answer.
        """
        try:
            if file.remote is not None:
                remote = file.remote.series
                if known := self._known(remote.study, remote.uid, file.remote.images):
                    return known
                file.remote.fetch(file.path)
            scan = read_scan(file.path, series=file.series or None)
            if self.archive is not None and file.remote is None and scan.slices:
                from mriad.writing.dicom.source import Source  # with pydicom

                source = Source.of(scan)
                first = source.headers[0]
                images = [uid for uid, _ in source.images]
                if known := self._known(first.StudyInstanceUID, first.SeriesInstanceUID, images):
                    return known
            return scan, prepared_for(self.predictor, scan, file)
        except AwayError:
            raise
        except MriadError as error:
            return error

    def rows(self, batch: Sequence[ScanFile], read: Sequence[Read]) -> list[Row]:
        """Rows of the table for a batch of scans, in its order; writes their lesions and maps where they are wanted.

        Raises:
            AwayError: if the archive does not answer.
        """
        prepared = [scan[1] for scan in read if isinstance(scan, tuple)]
        predictions = iter(self.predictor(prepared) if prepared else [])
        rows = []
        for file, scan in zip(batch, read, strict=True):
            row: Row = {"path": file.name, "threshold": self.predictor.calibration.threshold, "error": ""}
            row["patient"] = file.patient
            if isinstance(scan, MriadError):
                row["error"] = str(scan)
                if self.page is not None:
                    self.page.add(file, None, None, row)
            elif isinstance(scan, Known):
                row |= {"score": scan.score, "decision": scan.decision, "flat": False, "known": True}
                row |= {"patient": self._patient(file, scan.patient), "lesions": scan.count}
                row["lesion_ml"] = told(scan.ml)
                row["error"] = self._note_lesions(file, scan.lesions)
            else:
                found = next(predictions)
                row |= {"score": found.score, "threshold": found.threshold, "decision": found.decision}
                row["flat"] = _is_flat(scan[0].levels)
                problems = []
                if scan[0].is_volume:
                    shown = found.lesions(self.predictor.calibration.pixel_threshold)
                    row |= {"patient": self._patient(file, scan[0].facts.patient), "lesions": len(shown)}
                    row["lesion_ml"] = told(sum(lesion.ml for lesion in shown))
                    problems.append(self._note_lesions(file, shown))
                if self.maps is not None:
                    problems.append(problem := self.maps.write(file, scan[0], found))
                    if self.archive is not None:
                        problems.append(self._store(file, problem))
                if self.page is not None:
                    problems.append(self.page.add(file, scan[0], found.map, row))
                row["error"] = "; ".join(filter(None, problems))
            rows.append(row)
        return rows

    def done(self, batch: Sequence[ScanFile]) -> None:
        """Remove what was fetched of scans."""
        for file in batch:
            if file.remote is not None:
                shutil.rmtree(file.path, ignore_errors=True)

    def _store(self, file: ScanFile, problem: str) -> str:
        assert self.maps is not None and self.archive is not None
        if problem:
            return UNSTORED
        try:
            self.archive.store(self.maps.objects(file))
        except AwayError:
            raise
        except MriadError as error:
            return f"{UNSTORED}: {error}"
        return ""

    def _known(self, study: str, series: str, images: Sequence[str]) -> Known | None:
        """What the archive holds of a series, by its report, which is stored with all others; None where it is new."""
        if self.archive is None:
            return None
        from mriad.writing.dicom.report import as_told  # with highdicom

        uids = result_uids(series, images, detector=self.algorithm.identity)
        with tempfile.TemporaryDirectory(prefix="mriad-") as folder:
            report = self.archive.find(study, uids.report, Path(folder))
            if report is None:
                return None
            return Known(**as_told(report))

    def _note_lesions(self, file: ScanFile, lesions: list[Lesion]) -> str:
        if self.lesions is None:
            return ""
        try:
            self.lesions.add(lesion_rows(file.name, lesions))
        except MriadError as error:
            return f"its lesions are missing: {error}"
        return ""

    def _patient(self, file: ScanFile, header: str) -> str:
        """Who it is, as the input calls them; of the id in a DICOM header a mark, which is no id of the hospital's."""
        if file.patient or not header:
            return file.patient
        return str(marks(pd.Series([header]), kind="patient", key=self.predictor.key)[0])


def _is_flat(levels: NDArray[Any]) -> bool:
    """Whether a scan holds two levels and none in between."""
    low, high = levels.min(), levels.max()
    return bool(low < high and ((levels == low) | (levels == high)).all())
