"""The lines of README, of the tutorial and of the guides that look at trained detectors; see ``typed``."""

from __future__ import annotations

import os
import signal
import socket
import subprocess
import sys
import time

import pytest
import requests

from .command_line import REPOSITORY, users_environment
from .typed import DESKS, ELSEWHERE, STANDS_FOR, UI, Desk, check, command_of, lines_of, pages, typed_on

pytestmark = pytest.mark.slow

NAME = "use"


@pytest.fixture(scope="module")
def desk(tmp_path_factory: pytest.TempPathFactory) -> Desk:
    return Desk.laid(NAME, tmp_path_factory)


@pytest.mark.parametrize("line", typed_on(NAME))
def test_a_line_does_what_its_page_says(desk: Desk, line: str) -> None:
    check(desk.done[line])


def test_the_ui_answers(desk: Desk) -> None:
    assert UI in lines_of(REPOSITORY / "README.md")
    with socket.socket() as free:
        free.bind(("127.0.0.1", 0))
        port = free.getsockname()[1]
    command = ["make", "-f", str(REPOSITORY / "Makefile"), "-o", "install", "ui", f"PORT={port}", f"VENV={sys.prefix}"]
    with (desk.terminal.folder / "ui.log").open("wb") as log:
        ui = subprocess.Popen(
            command, cwd=desk.terminal.folder, env=users_environment(), stdout=log, stderr=log, start_new_session=True
        )
        try:
            assert _answer(f"http://127.0.0.1:{port}", ui) == 200, (desk.terminal.folder / "ui.log").read_text()
            found = requests.post(
                f"http://127.0.0.1:{port}/api/2.0/mlflow/runs/search",
                json={"experiment_ids": [desk.first().stored.info.experiment_id]},
                timeout=60,
            ).json()["runs"]
            assert desk.first().id in {run["info"]["run_id"] for run in found}
        finally:
            os.killpg(ui.pid, signal.SIGTERM)
            ui.wait(60)


def _answer(address: str, process: subprocess.Popen[bytes]) -> int | None:
    for _ in range(240):
        try:
            return requests.get(address, timeout=60).status_code
        except requests.ConnectionError:
            if process.poll() is not None:
                return None
            time.sleep(0.5)
    return None


def test_the_pages_have_lines_to_type() -> None:
    everything = {line for name in DESKS for page in pages(*DESKS[name]) for line in lines_of(page)}
    assert {command_of(line) for name in DESKS for line in typed_on(name)} >= {
        "train.py", "evaluate.py", "predict.py", "mriad.audit", "mriad.compare",
    }  # fmt: skip
    assert everything >= ELSEWHERE | {*STANDS_FOR, UI}  # what is gone from the pages is not to be excused here


def test_every_page_lies_on_a_desk() -> None:
    laid = {page for places in DESKS.values() for page in pages(*places)}
    assert laid >= {*(REPOSITORY / "docs").rglob("*.md"), REPOSITORY / "README.md"}
