"""Series that arrive image by image, kept on disk until they are complete and scored.

All that counts is on disk: the images under ``STUDY/SERIES/IMAGE.dcm``. A process that is killed and started again
finds them there, and has lost nothing but the time since when a series has been quiet.
"""

from __future__ import annotations

import logging
import os
import shutil
import threading
import time
from dataclasses import dataclass
from pathlib import Path

from pydicom import dcmread

from mriad.disk import make_private
from mriad.errors import MriadError
from mriad.pacs.address import is_uid

log = logging.getLogger(__name__)

_PATIENT = 10
"""Times as long as others a series is waited for whose sender is still there, or whose images announce more of them."""


class FullError(Exception):
    """There is no room for another image."""


@dataclass(frozen=True, kw_only=True)
class Arrival:
    """A series that has arrived.

    Args:
        study, series: UIDs.
        folder: where its images lie.
        images: their SOPInstanceUIDs.
    """

    study: str
    series: str
    folder: Path
    images: frozenset[str]


class Spool:
    """Images on their way, by series; may be filled from several threads.

    Args:
        folder: where they lie.
        quiet: seconds without a new image after which a series counts as complete.
        most_bytes: of all images; what comes beyond is refused.
    """

    def __init__(self, folder: Path, *, quiet: float, most_bytes: int) -> None:
        self._folder, self._quiet, self._most = folder, quiet, most_bytes
        self._lock = threading.Lock()
        self._last: dict[Path, float] = {}
        self._senders: dict[Path, set[object]] = {}
        self._counted: dict[Path, tuple[float, Arrival]] = {}
        self._bytes = 0
        try:
            make_private(folder, below=folder.parent)
        except OSError as error:
            raise MriadError(
                f"The folder {folder} cannot be made ({error.strerror}); choose another output."
            ) from error
        for file in folder.glob("*/*/*"):
            if file.suffix == ".dcm":
                self._last[file.parent] = time.monotonic()
                self._bytes += file.stat().st_size
            else:
                file.unlink()  # half of an image, which was not answered for

    def take(self, content: bytes, *, study: str, series: str, image: str, sender: object = None) -> None:
        """Keep an image; when this returns it is on the disk, whatever happens then.

        Args:
            content: the file.
            study, series, image: UIDs.
            sender: who has more to say perhaps, until ``gone``; None for nobody.

        Raises:
            ValueError: if its UIDs are none.
            FullError: if there is no room.
            OSError: if the disk does not take it.
        """
        if not all(map(is_uid, (study, series, image))):
            raise ValueError("an image without UIDs")
        folder = self._folder / study / series
        with self._lock:
            if self._bytes + len(content) > self._most:
                raise FullError
            self._bytes += len(content)
        target = folder / f"{image}.dcm"
        part = folder / f".{threading.get_ident()}.part"  # hidden from whoever reads the series
        try:
            make_private(folder, below=self._folder)
            with part.open("wb") as stream:
                stream.write(content)
                stream.flush()
                os.fsync(stream.fileno())
            with self._lock:
                replaced = target.stat().st_size if target.exists() else 0
                os.replace(part, target)
                self._bytes -= replaced
                self._last[folder] = time.monotonic()
                if sender is not None:
                    self._senders.setdefault(folder, set()).add(sender)
            for above in (folder, folder.parent, self._folder):
                _sync(above)
        except OSError:
            with self._lock:
                self._bytes -= len(content)
            part.unlink(missing_ok=True)
            raise

    def gone(self, sender: object) -> None:
        """A sender has nothing more to say."""
        with self._lock:
            for senders in self._senders.values():
                senders.discard(sender)

    def complete(self) -> list[Arrival]:
        """The series that have been quiet for long enough, the one that came first at the head."""
        now = time.monotonic()
        with self._lock:
            quiet = sorted((last, folder) for folder, last in self._last.items() if now - last >= self._quiet)
        arrivals = []
        for last, folder in quiet:
            if folder in self._counted and self._counted[folder][0] == last:
                arrivals.append(self._counted[folder][1])
                continue
            images = frozenset(file.stem for file in folder.glob("*.dcm"))
            waiting = self._senders.get(folder) or len(images) < _announced(folder)
            if waiting and now - last < _PATIENT * self._quiet:
                continue
            arrival = Arrival(study=folder.parent.name, series=folder.name, folder=folder, images=images)
            self._counted[folder] = last, arrival
            arrivals.append(arrival)
        return arrivals

    def age(self, arrival: Arrival) -> float:
        """Seconds since the last image of a series, or since this process began."""
        with self._lock:
            return time.monotonic() - self._last.get(arrival.folder, time.monotonic())

    def remove(self, arrival: Arrival) -> None:
        """Remove a series, unless an image has come since."""
        with self._lock:
            files = list(arrival.folder.glob("*.dcm"))
            if {file.stem for file in files} != arrival.images:
                return
            self._bytes -= sum(file.stat().st_size for file in files)
            self._last.pop(arrival.folder, None)
            self._counted.pop(arrival.folder, None)
            self._senders.pop(arrival.folder, None)
            shutil.rmtree(arrival.folder)
            if not any(arrival.folder.parent.iterdir()):
                arrival.folder.parent.rmdir()


def _announced(folder: Path) -> int:
    """How many images the series says that it has, 0 where it does not say."""
    for file in folder.glob("*.dcm"):
        try:
            found = dcmread(file, stop_before_pixels=True, specific_tags=["ImagesInAcquisition"])
            return int(found.ImagesInAcquisition)
        except Exception:  # absent or damaged, which is told when it is read
            return 0
    return 0


def _sync(folder: Path) -> None:
    """See that the names in a folder are on the disk too."""
    descriptor = os.open(folder, os.O_RDONLY)
    try:
        os.fsync(descriptor)
    finally:
        os.close(descriptor)
