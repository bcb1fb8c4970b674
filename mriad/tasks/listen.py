"""Score what a scanner or an archive sends, series by series."""

from __future__ import annotations

import json
import logging
import time
from collections import Counter
from dataclasses import asdict, dataclass, field, replace
from pathlib import Path
from typing import Any, Protocol

import pandas as pd
from filelock import FileLock, Timeout
from omegaconf import DictConfig
from rich.console import Console

from mriad.checkpoints.named import named_checkpoint
from mriad.disk import written_whole
from mriad.errors import MriadError, ReadError, reason
from mriad.experiment.job import prepare
from mriad.interrupts import held
from mriad.pacs.address import Address, is_address
from mriad.pacs.dicomweb import DicomWeb
from mriad.pacs.session import AwayError
from mriad.pacs.spool import Arrival, Spool
from mriad.prediction.predictor import Predictor
from mriad.prediction.scan_files import TABLE, ScanFile
from mriad.tables import write_csv
from mriad.tasks.scoring import Read, Row, Scoring, require_dicom
from mriad.writing.maps import MapFolder
from mriad.writing.tables import COLUMNS, OF_VOLUMES

log = logging.getLogger(__name__)

_LOOK = 0.2  # seconds between two looks at the spool
_TRIES = 5  # of a series whose scoring fails for a reason that may pass, such as a full disk
_AGAIN, _LONGEST = 1.0, 60.0  # seconds until what failed in passing is tried again, growing
_HOUR, _GB = 3600, 10**9


class Archive(Protocol):
    """Where results go."""

    def store(self, files: list[Path]) -> None:
        """Store DICOM files, see ``mriad.pacs``."""


@dataclass(frozen=True, kw_only=True)
class Record:
    """What became of a series; on disk before anybody is told.

    Args:
        series: its SeriesInstanceUID.
        images: SOPInstanceUIDs of the images that it had.
        row: of ``predictions.csv``.
        objects: files of its results.
        stored: whether they have gone where results go; True where they go nowhere.
    """

    series: str
    images: list[str]
    row: dict[str, Any]
    objects: list[str] = field(default_factory=list)
    stored: bool = True


class Records:
    """A file for each series that was scored, and the table of all of them.

    Args:
        output: the folder of ``predictions.csv``.
    """

    def __init__(self, output: Path) -> None:
        self._folder, self._table = output / "series", output / TABLE
        self._folder.mkdir(parents=True, exist_ok=True)
        files = sorted(self._folder.glob("*.json"), key=lambda file: file.stat().st_mtime_ns)
        self.of = {file.stem: Record(**json.loads(file.read_text(encoding="utf-8"))) for file in files}
        self._write_table()

    def keep(self, record: Record) -> None:
        """Write a record down."""
        with held():
            with written_whole(self._folder / f"{record.series}.json") as part:
                part.write_text(json.dumps(asdict(record)), encoding="utf-8")
            self.of[record.series] = record
            self._write_table()

    def _write_table(self) -> None:
        rows = pd.DataFrame([record.row for record in self.of.values()], columns=[*COLUMNS, *OF_VOLUMES])
        with written_whole(self._table) as part:
            write_csv(rows, part)


def listen(cfg: DictConfig) -> None:
    """Take what is sent to a port, and score each series as soon as it is complete, until the command is stopped.

    Each image is on the disk before its sender is told so, each result before it is stored, and what is stored has
    UIDs that follow from what was scored: a process that is killed at any time goes on where it was, and nothing is
    lost or there twice.

    Args:
        cfg: the composed ``conf/listen.yaml``.

    Raises:
        MriadError: on bad input.
    """
    require_dicom("mriad listen")
    from mriad.pacs.node import Node  # with pynetdicom

    folder = prepare(cfg)
    output = Path(cfg.output).expanduser()
    checkpoint, _ = named_checkpoint(cfg, None, folder, box=True)
    predictor = Predictor(checkpoint=checkpoint, device=cfg.device)
    if not predictor.of_volumes:
        raise MriadError("The detector was trained on pictures, and series are volumes; take one trained on volumes.")
    archive = _archive(cfg)
    lock = FileLock(output / ".listening")
    try:
        output.mkdir(parents=True, exist_ok=True)
        lock.acquire(blocking=False)
    except Timeout:
        raise MriadError(f"Another mriad listens for {output}; stop it, or choose another output.") from None
    except OSError as error:
        raise MriadError(f"The folder {output} cannot be made ({error.strerror}); choose another output.") from error
    try:
        spool = Spool(output / "spool", quiet=cfg.quiet, most_bytes=int(cfg.most_gb * _GB))
        listener = Listener(
            scoring=Scoring(predictor=predictor),
            records=Records(output),
            spool=spool,
            archive=archive,
            output=output,
            series="" if cfg.series is None else str(cfg.series),
            keep=cfg.keep * _HOUR,
        )
        with Node(spool, title=cfg.aet, host=cfg.host, port=cfg.port, allow=cfg.allow):
            Console().print(f"{cfg.aet} listens on {cfg.host}:{cfg.port}; Ctrl-C stops it.", highlight=False)
            while True:
                try:
                    listener.work()
                except MriadError as error:  # a record that the disk does not take
                    log.warning("%s", error)
                    time.sleep(_AGAIN)
                time.sleep(_LOOK)
    except KeyboardInterrupt:
        log.info("Stopped; what has arrived is kept, and scored when mriad listens again.")
    finally:
        lock.release()


def _archive(cfg: DictConfig) -> Archive | None:
    if cfg.store is None:
        return None
    if is_address(cfg.store):
        return DicomWeb(Address.of(cfg.store), patience=0)  # a try at a time: scans come meanwhile
    from mriad.pacs.node import Receiver

    return Receiver(str(cfg.store), title=cfg.aet)


@dataclass(kw_only=True)
class Listener:
    """Scores what has arrived, and sends off what it says.

    Args:
        scoring: the detector.
        records: what became of series.
        spool: where they arrive.
        archive: where results go; None where they stay in the output.
        output: folder of the results.
        series: which series are scored, see ``read_scan``; '' for all.
        keep: seconds for which images stay after they were scored, should another of their series come late.
    """

    scoring: Scoring
    records: Records
    spool: Spool
    archive: Archive | None
    output: Path
    series: str = ""
    keep: float = 0.0
    _refused: set[str] = field(default_factory=set)
    _late: set[str] = field(default_factory=set)
    _tries: Counter[str] = field(default_factory=Counter)
    _not_before: dict[str, tuple[float, float]] = field(default_factory=dict)

    def work(self) -> None:
        """Do what there is to do."""
        for arrival in self.spool.complete():
            record = self.records.of.get(arrival.series)
            if record is not None and arrival.images <= set(record.images):
                if self.spool.age(arrival) >= self.keep:
                    self.spool.remove(arrival)
            elif record is not None and not arrival.images >= set(record.images):
                self._tell_late(arrival, record)
            elif self._may(arrival.series):
                self._score(arrival)
        for record in list(self.records.of.values()):
            if not record.stored and record.series not in self._refused and self._may("store"):
                self._store(record)

    def _score(self, arrival: Arrival) -> None:
        file = ScanFile(path=arrival.folder, series=self.series)
        predictor = self.scoring.predictor
        maps = MapFolder(
            self.output,
            scans=[file],
            calibration=predictor.calibration,
            formats=["dicom"],
            algorithm=self.scoring.algorithm,
        )
        self.scoring.maps = maps
        read: Read | None = None
        row: Row = {"threshold": predictor.calibration.threshold}
        try:
            read = self.scoring.read(file)
            (row,) = self.scoring.rows([file], [read])
        except Exception as error:  # of one series, whatever it is: the next ones are waiting
            row["error"] = reason(error)
        problem = row["error"]
        if (read is None or isinstance(read, ReadError | tuple)) and problem and self._tries[arrival.series] < _TRIES:
            self._tries[arrival.series] += 1
            wait = self._later(arrival.series)
            log.warning("The series %s is not scored: %s; another try in %.0f s.", arrival.series, problem, wait)
            return
        row["path"] = f"{arrival.study}/{arrival.series}"
        again = " again, with images that came late" if arrival.series in self.records.of else ""
        self.records.keep(
            Record(
                series=arrival.series,
                images=sorted(arrival.images),
                row={name: row.get(name, "") for name in (*COLUMNS, *OF_VOLUMES)},
                objects=[] if problem else [str(one.relative_to(self.output)) for one in maps.objects(file)],
                stored=self.archive is None or bool(problem),
            )
        )
        self._not_before.pop(arrival.series, None)
        self._tries.pop(arrival.series, None)
        if problem:
            log.warning("The series %s is not scored: %s", arrival.series, problem)
        else:
            log.info("The series %s is scored%s: %.5g.", arrival.series, again, row["score"])

    def _store(self, record: Record) -> None:
        assert self.archive is not None
        files = [self.output / one for one in record.objects]
        try:
            self.archive.store(files)
        except AwayError as error:
            wait = self._later("store")
            log.warning("%s Another try in %.0f s; %d series wait.", error, wait, self._waiting)
            return
        except MriadError as error:
            log.warning("The results of the series %s are not stored: %s", record.series, error)
            self._refused.add(record.series)
            return
        self._not_before.pop("store", None)
        self.records.keep(replace(record, stored=True, objects=[]))
        for file in files:
            file.unlink(missing_ok=True)
        log.info("The results of the series %s are stored.", record.series)

    def _tell_late(self, arrival: Arrival, record: Record) -> None:
        """Say that a series is not whole any more: it was scored, its images are gone, and another one has come."""
        if arrival.series not in self._late:
            self._late.add(arrival.series)
            log.warning(
                "The series %s was scored with %d images, which are gone, and %d have come since; send all of them "
                "again.",
                *(arrival.series, len(record.images), len(arrival.images - set(record.images))),
            )

    @property
    def _waiting(self) -> int:
        return sum(not record.stored for record in self.records.of.values())

    def _may(self, what: str) -> bool:
        return time.monotonic() >= self._not_before.get(what, (0.0, 0.0))[0]

    def _later(self, what: str) -> float:
        wait = min(2 * self._not_before[what][1], _LONGEST) if what in self._not_before else _AGAIN
        self._not_before[what] = (time.monotonic() + wait, wait)
        return wait
