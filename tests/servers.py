"""PostgreSQL and an MLflow server on this machine, for the tests that need them."""

from __future__ import annotations

import contextlib
import os
import pwd
import shutil
import signal
import socket
import subprocess
import sys
import tempfile
import time
from collections.abc import Iterator
from pathlib import Path

import pytest
import requests

_QUIET = {"MLFLOW_SERVER_ENABLE_JOB_EXECUTION": "false", "MLFLOW_DISABLE_TELEMETRY": "true"}


def free_port() -> int:
    with socket.socket() as any_port:
        any_port.bind(("127.0.0.1", 0))
        return any_port.getsockname()[1]


class Postgres:
    """A PostgreSQL that can go away and come back; as root it runs as the user postgres."""

    def __init__(self, folder: Path, binaries: Path) -> None:
        self._bin, self._data, self._port = binaries, folder / "data", free_port()
        self._user = "postgres" if os.getuid() == 0 else None
        if self._user is not None:
            shutil.chown(folder, self._user)
        options = ["-D", self._data, "-U", "mriad", "-A", "trust", "--no-sync"]
        subprocess.run([self._bin / "initdb", *options], user=self._user, cwd=folder, check=True, capture_output=True)
        self.start()

    def start(self) -> None:
        """Start it and wait until it answers."""
        command = [self._bin / "postgres", "-D", self._data, "-h", "127.0.0.1", "-p", str(self._port), "-k", "", "-F"]
        with (self._data / "log").open("ab") as log:
            self._process = subprocess.Popen(command, user=self._user, cwd=self._data, stdout=log, stderr=log)
        ready = [self._bin / "pg_isready", "-q", "-h", "127.0.0.1", "-p", str(self._port)]
        for _ in range(600):
            assert self._process.poll() is None, (self._data / "log").read_text()
            if subprocess.run(ready).returncode == 0:
                return
            time.sleep(0.2)
        raise AssertionError((self._data / "log").read_text())

    def stop(self) -> None:
        """Stop it at once, with its connections."""
        self._process.send_signal(signal.SIGINT)
        self._process.wait(60)

    def uri(self, database: str) -> str:
        """Address of a database, which is made if it is not there."""
        import psycopg

        address = f"postgresql://mriad@127.0.0.1:{self._port}/"
        with psycopg.connect(f"{address}postgres", autocommit=True) as connection:
            names = {name for (name,) in connection.execute("SELECT datname FROM pg_database")}
            if database not in names:
                connection.execute(f"CREATE DATABASE {database}")
        return address + database


@contextlib.contextmanager
def new_postgres() -> Iterator[Postgres]:
    """A PostgreSQL with nothing in it; skips the test where there is none, or none that can run."""
    binaries = sorted(Path("/usr/lib/postgresql").glob("*/bin/initdb"))
    if not binaries:
        pytest.skip("PostgreSQL is not in /usr/lib/postgresql (apt-get install postgresql)")
    if os.getuid() == 0 and not any(entry.pw_name == "postgres" for entry in pwd.getpwall()):
        pytest.skip("PostgreSQL does not run as root, and there is no user postgres")
    folder = Path(tempfile.mkdtemp(prefix="mriad-postgres-"))  # pytest's folders are closed to other users
    postgres = Postgres(folder, binaries[-1].parent)
    try:
        yield postgres
    finally:
        postgres.stop()
        shutil.rmtree(folder)


class MlflowServer:
    """An MLflow server that can go away and come back.

    Args:
        folder: where it keeps artifacts and its log.
        backend: URL of the database.
    """

    def __init__(self, folder: Path, backend: str) -> None:
        self.folder, self.port = folder, free_port()
        self.uri = f"http://127.0.0.1:{self.port}"
        self._command = [sys.executable, "-m", "mlflow", "server", "--backend-store-uri", backend, "--port"]
        self._command += [str(self.port), "--artifacts-destination", str(folder / "artifacts"), "--workers", "1"]
        self._process: subprocess.Popen[bytes] | None = None

    def start(self) -> MlflowServer:
        """Start it and wait until it answers."""
        clean = {name: value for name, value in os.environ.items() if not name.startswith("MLFLOW_")}
        self.folder.mkdir(parents=True, exist_ok=True)
        log = self.folder / "log"
        with log.open("ab") as stream:
            self._process = subprocess.Popen(
                self._command,
                cwd=self.folder,
                env=clean | _QUIET,
                stdout=stream,
                stderr=stream,
                start_new_session=True,
            )
        for _ in range(600):
            assert self._process.poll() is None, log.read_text()
            with contextlib.suppress(requests.RequestException):
                if requests.get(f"{self.uri}/health", timeout=10).ok:
                    return self
            time.sleep(0.2)
        self.stop()
        raise AssertionError(f"the server does not answer: {log.read_text()}")

    def stop(self) -> None:
        """Kill it, with its workers."""
        if self._process is not None:
            with contextlib.suppress(ProcessLookupError):
                os.killpg(self._process.pid, signal.SIGKILL)
            self._process.wait(60)
            self._process = None
