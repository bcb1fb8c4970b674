"""Keeps beside a run what its store could not take, until it can."""

from __future__ import annotations

import json
import logging
import shlex
import shutil
import time
from dataclasses import asdict, replace
from pathlib import Path
from threading import Lock
from typing import TYPE_CHECKING, Any

from filelock import FileLock, Timeout

from mriad.disk import written_whole
from mriad.errors import MriadError, no_room
from mriad.interrupts import held
from mriad.invocation import typed
from mriad.passwords import shown
from mriad.tracking.store import answers, first_line, why_away
from mriad.tracking.writes import Write

if TYPE_CHECKING:
    from mlflow import MlflowClient

log = logging.getLogger(__name__)

_KINDS: dict[str, type[Write]] = {kind.__name__: kind for kind in Write.__subclasses__()}
_FOLDER, _RUN = "spool", "run.json"
_PAUSE, _LONGEST_PAUSE = 60.0, 600.0  # seconds until a store that was away is asked again; doubled each time


class Busy(MriadError):  # noqa: N818
    """A spool that another process sends."""


class Spool:
    """Writes that wait for their store, in their order.

    A write is a file ``<number>.json``, with what belongs to it in the folder ``<number>``; it is there as a whole or
    not at all, and deleted once the store has it.

    Args:
        folder: output folder of the run.
        uri: tracking URI of its store.
        run_id: id of the run.
    """

    def __init__(self, *, folder: Path, uri: str, run_id: str) -> None:
        self.folder = folder.absolute() / _FOLDER
        self.uri = uri
        self.run_id = run_id
        self._last = 0

    @classmethod
    def find(cls, folder: Path) -> list[Spool]:
        """The spools in a folder and below it.

        Raises:
            MriadError: if there is no such folder.
        """
        if not folder.is_dir():
            raise MriadError(f"There is no folder {folder}; give the output folder of a run, or of a whole sweep.")
        files = [file for file in sorted(folder.absolute().rglob(_RUN)) if file.parent.name == _FOLDER]
        return [cls(folder=file.parent.parent, **json.loads(file.read_text())) for file in files]

    def add(self, write: Write) -> None:
        """Keep a write, and a copy of what belongs to it.

        Raises:
            MriadError: if there is no room for it; what waits already is untouched.
        """
        try:
            self._add(write)
        except (OSError, MriadError) as error:
            if (why := no_room(error)) is None:
                raise
            raise MriadError(
                f"The MLflow store {shown(self.uri)} cannot take what run '{self.run_id}' logs, nor can {self.folder} "
                f"keep it ({why}); make room, and go on with the run: what was kept before is untouched."
            ) from error

    def _add(self, write: Write) -> None:
        if not (self.folder / _RUN).exists():
            self.folder.mkdir(parents=True, exist_ok=True, mode=0o700)  # the address of a store may hold a password
            _write_whole(self.folder / _RUN, {"uri": self.uri, "run_id": self.run_id})
        self._last = max([self._last, *(int(entry.stem) for entry in self.waiting())]) + 1
        entry = self.folder / f"{self._last:06}.json"
        if write.path is not None:
            copy = entry.with_suffix("") / write.path.name
            shutil.rmtree(copy.parent, ignore_errors=True)  # of a process that was killed here
            copy.parent.mkdir()
            try:
                (shutil.copytree if write.path.is_dir() else shutil.copy2)(write.path, copy)
            except BaseException:
                shutil.rmtree(copy.parent, ignore_errors=True)
                raise
            write = replace(write, path=copy.relative_to(self.folder))
        _write_whole(entry, {"write": type(write).__name__, **asdict(write)})

    def waiting(self) -> list[Path]:
        """The writes that wait, first come first."""
        return sorted(self.folder.glob("[0-9]*.json"))

    def send(self, client: MlflowClient) -> None:
        """Send what waits.

        Raises:
            Busy: if another process is at it.
            MriadError: if the store refuses a write.
            Exception: if the store is away; what it has not taken waits on.
        """
        if not self.waiting():
            return
        try:
            with FileLock(self.folder / "lock", timeout=0):
                while waiting := self.waiting():
                    for entry in waiting:
                        self._send(entry, client)
        except Timeout:
            raise Busy(f"Another process sends what waits in {self.folder}; let it finish.") from None

    def _send(self, entry: Path, client: MlflowClient) -> None:
        record = json.loads(entry.read_text())
        kind, path = _KINDS[record.pop("write")], record.pop("path")
        write: Write = kind(path=path and self.folder / path, **record)
        try:
            write.send(client, self.run_id)
        except Exception as error:
            if why_away(error) is not None:
                raise
            raise MriadError(
                f"{shown(self.uri)} refuses {entry} of run '{self.run_id}' ({first_line(error)}); "
                "put that right, or delete the file to go on without it."
            ) from error
        entry.unlink()
        shutil.rmtree(entry.with_suffix(""), ignore_errors=True)


class Sender:
    """Sends the writes of a run. While the store is away they wait in the spool, until a later one takes them along.

    Args:
        client: client of the store.
        run_id: id of the run.
        uri: tracking URI of the store.
        folder: output folder of the run; without one a store that is away is an error.
    """

    def __init__(self, *, client: MlflowClient, run_id: str, uri: str, folder: Path | None) -> None:
        self._client = client
        self._run_id = run_id
        self._spool = Spool(folder=folder, uri=uri, run_id=run_id) if folder else None
        self._pause = _PAUSE
        self._ask_again = 0.0
        self._lock = Lock()

    @held()
    def send(self, write: Write) -> None:
        """Send a write, after those that wait; may be called from several threads.

        Raises:
            MriadError: if the store refuses one that has waited.
            Exception: if the store refuses this one.
        """
        with self._lock:
            self._send(write)

    def _send(self, write: Write) -> None:
        if self._spool is None:
            write.send(self._client, self._run_id)
            return
        try:
            if not self._spool.waiting() or self._may_go_on(self._spool):
                write.send(self._client, self._run_id)
                return
        except Exception as error:
            if (why := why_away(error)) is None:
                raise
            self._rest()
            if not self._spool.waiting():
                log.warning(
                    "The MLflow store %s is away (%s). The run goes on, and what it logs waits in %s.",
                    shown(self._spool.uri),
                    why,
                    self._spool.folder,
                )
        self._spool.add(write)

    def finish(self, write: Write) -> None:
        """Send the last write of the run, and say how to send what must wait longer."""
        self._ask_again = 0.0
        self.send(write)
        if self._spool is not None and self._spool.waiting():
            log.warning(
                "The MLflow store does not have all of run %s; when it is back, send the rest with: %s %s",
                self._run_id,
                typed("resend"),
                shlex.quote(str(self._spool.folder.parent)),
            )

    def _may_go_on(self, spool: Spool) -> bool:
        """Whether the store is back and has what waited for it; asked now and then only."""
        if time.monotonic() < self._ask_again:
            return False
        if not answers(spool.uri):
            self._rest()
            return False
        try:
            spool.send(self._client)
        except Busy:  # with a resend
            return False
        self._pause = _PAUSE
        log.warning("The MLflow store %s is back and has what waited for it.", shown(spool.uri))
        return True

    def _rest(self) -> None:
        self._ask_again = time.monotonic() + self._pause
        self._pause = min(2 * self._pause, _LONGEST_PAUSE)


def _write_whole(file: Path, record: dict[str, Any]) -> None:
    with written_whole(file) as part:
        part.write_text(json.dumps(record, default=str))
