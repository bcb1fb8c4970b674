"""``mriad serve`` as a user starts it, and clients who mean no good."""

import os
import socket
import subprocess
import sys
from pathlib import Path

import made
import numpy as np
import pytest
import requests

import mriad
from benchmarks import load

from .brains import lesion, save
from .command_line import REPOSITORY

pytestmark = pytest.mark.slow


@pytest.fixture(scope="module")
def checkpoint(tmp_path_factory: pytest.TempPathFactory) -> Path:
    file = tmp_path_factory.mktemp("trained") / "best.ckpt"
    return made.checkpoint(file, *made.PICTURES, "model=intensity", "score=brain", threshold=0.5, pixel_threshold=0.9)


def test_the_server_bears_clients_who_send_rubbish_and_hang_up(checkpoint: Path, tmp_path: Path) -> None:
    with load.Server(checkpoint, tmp_path) as server:
        good = requests.post(f"{server.address}/predict", files={"file": ("a.png", load.a_picture())}, timeout=600)
        assert good.status_code == 200
        seen = load.measure(server, load.a_picture(), clients=4, seconds=20)
        assert server.process.poll() is None and server.taken == 0
        after = requests.post(f"{server.address}/predict", files={"file": ("a.png", load.a_picture())}, timeout=600)
        assert after.json() == good.json()
    kinds = {answer.partition(":")[0] for answer in seen.answers}
    assert kinds == {"good", "rubbish", "cut_off", "gone", "too_large", "no_http"}
    assert seen.answers["good: 200"] == len(seen.seconds) > 0
    assert {answer for answer in seen.answers if answer.startswith("rubbish")} <= {"rubbish: 400", "rubbish: 503"}
    assert not any(answer.endswith(" 500") for answer in seen.answers)
    assert np.median(seen.memory[-5:]) < 1.5 * np.median(seen.memory[:5])


def test_a_token_of_the_environment_is_asked_for_and_names_are_not_logged(
    checkpoint: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setenv("MRIAD_TOKEN", "sesame")
    scan = save(tmp_path / "Doe_John.png", lesion(3)[0])
    with load.Server(checkpoint, tmp_path) as server:
        with scan.open("rb") as stream:
            assert requests.post(f"{server.address}/predict", files={"file": stream}, timeout=600).status_code == 401
        with scan.open("rb") as stream:
            allowed = {"Authorization": "Bearer sesame"}
            url = f"{server.address}/predict?series=Doe"
            answer = requests.post(url, files={"file": stream}, headers=allowed, timeout=600)
    assert answer.json()["score"] == mriad.load(checkpoint, device="cpu")(scan).score
    log = server.log.read_text()
    assert "POST /predict 401" in log and "POST /predict 200" in log
    assert "Doe" not in log and "sesame" not in log


@pytest.mark.parametrize(
    ("words", "sentence"),
    [
        (("port=99999",), "port=99999 is no port"),
        (("port={taken}",), "cannot be served at; choose another port"),
        (("token_file=nowhere",), "token_file=nowhere cannot be read"),
        (("queue=0",), "queue=0 is no number above 0"),
        (("device=nonsense",), "device=nonsense cannot be used"),
    ],
)
def test_what_cannot_be_is_one_sentence(
    words: tuple[str, ...], sentence: str, checkpoint: Path, tmp_path: Path
) -> None:
    environment = {**os.environ, "PYTHONPATH": str(REPOSITORY)}
    with socket.create_server(("127.0.0.1", 0)) as taken:
        typed = [word.format(taken=taken.getsockname()[1]) for word in words]
        command = [sys.executable, "-m", "mriad", "serve", f"checkpoint={checkpoint}", *typed]
        done = subprocess.run(command, cwd=tmp_path, env=environment, capture_output=True, text=True, timeout=600)
    assert done.returncode == 1, done.stderr
    assert sentence in done.stderr and "Traceback" not in done.stderr
