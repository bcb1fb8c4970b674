"""An Orthanc on this machine, for the tests that need an archive."""

from __future__ import annotations

import contextlib
import json
import shutil
import signal
import subprocess
import time
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import pytest
import requests
from servers import free_port

USER, PASSWORD = "mriad", "a secret of orthanc"
_PROGRAMS = ("Orthanc", "/usr/sbin/Orthanc")
_PLUGIN = Path("/usr/share/orthanc/plugins/libOrthancDicomWeb.so")


class Orthanc:
    """An Orthanc with DICOMweb and a login, that can be killed and come back with what it holds."""

    def __init__(self, folder: Path, program: str, *, nodes: dict[str, tuple[str, int]] | None = None) -> None:
        folder.mkdir(parents=True, exist_ok=True)
        self._folder, self._program = folder, program
        self.port, self.dicom_port = free_port(), free_port()
        settings: dict[str, Any] = {
            "Name": "TEST",
            "StorageDirectory": str(folder / "storage"),
            "IndexDirectory": str(folder / "storage"),
            "Plugins": [str(_PLUGIN)],
            "HttpPort": self.port,
            "DicomPort": self.dicom_port,
            "DicomAet": "ORTHANC",
            "RemoteAccessAllowed": False,
            "AuthenticationEnabled": True,
            "RegisteredUsers": {USER: PASSWORD},
            "DicomWeb": {"Enable": True, "Root": "/dicom-web/"},
            "DicomModalities": {name: [name, host, port] for name, (host, port) in (nodes or {}).items()},
            "StableAge": 1,
        }
        self._settings = folder / "orthanc.json"
        self._settings.write_text(json.dumps(settings))
        self.start()

    def start(self) -> None:
        """Start it and wait until it answers."""
        with (self._folder / "log").open("ab") as log:
            self._process = subprocess.Popen([self._program, self._settings], stdout=log, stderr=log)
        for _ in range(1200):
            assert self._process.poll() is None, (self._folder / "log").read_text()
            with contextlib.suppress(requests.ConnectionError):
                if requests.get(f"{self.root}/system", auth=(USER, PASSWORD), timeout=10).ok:
                    return
            time.sleep(0.05)
        raise AssertionError((self._folder / "log").read_text())

    def kill(self) -> None:
        """Kill it, as a power cut does."""
        self._process.send_signal(signal.SIGKILL)
        self._process.wait(60)

    @property
    def root(self) -> str:
        return f"http://127.0.0.1:{self.port}"

    @property
    def address(self) -> str:
        """Of its DICOMweb services, as mriad takes it."""
        return f"dicomweb://127.0.0.1:{self.port}/dicom-web"

    def ask(self, path: str, **options: Any) -> Any:
        """What its own interface answers."""
        answer = requests.get(f"{self.root}/{path}", auth=(USER, PASSWORD), timeout=60, **options)
        answer.raise_for_status()
        return answer.json()

    def put(self, *files: Path) -> None:
        """Store DICOM files in it."""
        for file in files:
            requests.post(
                f"{self.root}/instances", data=file.read_bytes(), auth=(USER, PASSWORD), timeout=60
            ).raise_for_status()

    def instances(self, modality: str | None = None) -> list[dict[str, str]]:
        """The tags of all instances that it holds, of one modality if given."""
        tags = [self.ask(f"instances/{name}/simplified-tags") for name in self.ask("instances")]
        return [one for one in tags if modality in (None, one["Modality"])]

    def file(self, sop: str, folder: Path) -> Path:
        """An instance, written to a folder."""
        names = requests.post(f"{self.root}/tools/lookup", data=sop, auth=(USER, PASSWORD), timeout=60).json()
        name = next(found["ID"] for found in names if found["Type"] == "Instance")
        content = requests.get(f"{self.root}/instances/{name}/file", auth=(USER, PASSWORD), timeout=60).content
        file = folder / f"{sop}.dcm"
        file.write_bytes(content)
        return file


@contextlib.contextmanager
def new_orthanc(folder: Path, **options: Any) -> Iterator[Orthanc]:
    """An Orthanc with nothing in it; skips the test where there is none."""
    program = next(filter(None, map(shutil.which, _PROGRAMS)), None)
    if program is None or not _PLUGIN.exists():
        pytest.skip("Orthanc is not installed (apt-get install orthanc orthanc-dicomweb)")
    orthanc = Orthanc(folder, program, **options)
    try:
        yield orthanc
    finally:
        orthanc.kill()
