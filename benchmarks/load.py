"""What ``mriad serve`` bears: clients that send scans, rubbish and too much, and hang up, all at once.

    python -m benchmarks.load --checkpoint best.ckpt --scan scan.nii.gz [--clients 8] [--minutes 5]

prints how long answers took, how many there were, and what the memory of the server did; exit code 1 if it has ended,
has answered 500, or has not become free again. Without a checkpoint a small detector of pictures is trained first.
"""

from __future__ import annotations

import argparse
import io
import json
import random
import socket
import subprocess
import sys
import threading
import time
from collections import Counter
from collections.abc import Callable
from dataclasses import dataclass, field
from pathlib import Path
from tempfile import TemporaryDirectory

import numpy as np
import requests
from PIL import Image

from benchmarks.bench import ROOT

_START = 600  # seconds that a server may take to begin on a busy machine
_UPLOAD_MB = 20
_BOUNDARY = b"mriad-load"


@dataclass
class Seen:
    """What clients and watchman have seen."""

    seconds: list[float] = field(default_factory=list)
    answers: Counter[str] = field(default_factory=Counter)
    memory: list[float] = field(default_factory=list)


class Server:
    """``mriad serve`` in a process of its own.

    Args:
        checkpoint: of the detector.
        folder: where it works.
        options: more options of the command.
    """

    def __init__(self, checkpoint: Path, folder: Path, *options: str) -> None:
        with socket.socket() as free:
            free.bind(("127.0.0.1", 0))
            self.port: int = free.getsockname()[1]
        self.address = f"http://127.0.0.1:{self.port}"
        self.log = folder / "serve.log"
        words = [f"checkpoint={checkpoint}", f"port={self.port}", "device=cpu", f"upload_mb={_UPLOAD_MB}", *options]
        with self.log.open("wb") as log:
            self.process = subprocess.Popen(
                [sys.executable, "-m", "mriad", "serve", *words], cwd=folder, stdout=log, stderr=log
            )

    def __enter__(self) -> Server:
        until = time.monotonic() + _START
        while time.monotonic() < until and self.process.poll() is None:
            try:
                requests.get(f"{self.address}/health", timeout=5)
                return self
            except requests.RequestException:
                time.sleep(0.5)
        raise RuntimeError(self.log.read_text())

    def __exit__(self, *_: object) -> None:
        self.process.terminate()
        try:
            self.process.wait(30)
        except subprocess.TimeoutExpired:
            self.process.kill()
            self.process.wait()

    @property
    def memory(self) -> float:
        """MB that it has in memory now."""
        status = Path(f"/proc/{self.process.pid}/status").read_text()
        return int(status.split("VmRSS:")[1].split()[0]) / 1000

    @property
    def taken(self) -> int:
        """Places that are taken in its queue."""
        return int(requests.get(f"{self.address}/health", timeout=60).json()["taken"])


def measure(server: Server, scan: bytes, *, clients: int, seconds: float, seed: int = 0) -> Seen:
    """Let clients loose for a while.

    Args:
        server: is running.
        scan: the file that good clients send.
    """
    seen, until = Seen(), time.monotonic() + seconds
    threads = [
        threading.Thread(target=_client, args=(server, scan, seen, until, random.Random(seed + number)))
        for number in range(clients)
    ]
    for thread in threads:
        thread.start()
    while time.monotonic() < until and server.process.poll() is None:
        seen.memory.append(server.memory)
        time.sleep(1)
    for thread in threads:
        thread.join()
    until = time.monotonic() + 120
    while server.process.poll() is None and server.taken and time.monotonic() < until:
        time.sleep(0.2)
    return seen


def _client(server: Server, scan: bytes, seen: Seen, until: float, dice: random.Random) -> None:
    kinds: list[tuple[Callable[..., str], float]] = [
        (_good, 0.6), (_rubbish, 0.12), (_cut_off, 0.08), (_gone, 0.08), (_too_large, 0.06), (_no_http, 0.06),
    ]  # fmt: skip
    acts, weights = zip(*kinds, strict=True)
    while time.monotonic() < until and server.process.poll() is None:
        act = dice.choices(acts, weights)[0]
        begun = time.perf_counter()
        try:
            answer = act(server, scan, dice)
        except (requests.RequestException, OSError) as error:
            answer = type(error).__name__
        if act is _good and answer == "200":
            seen.seconds.append(time.perf_counter() - begun)
        seen.answers[f"{act.__name__[1:]}: {answer}"] += 1
        if answer == "503":
            time.sleep(0.5)


def _good(server: Server, scan: bytes, dice: random.Random) -> str:
    return str(requests.post(f"{server.address}/predict", files={"file": ("scan", scan)}, timeout=600).status_code)


def _rubbish(server: Server, scan: bytes, dice: random.Random) -> str:
    starts = (b"", b"PK\x03\x04", b"\x1f\x8b\x08", (348).to_bytes(4, "little"), scan[: len(scan) // 2])
    sent = dice.choice(starts) + dice.randbytes(5000)
    return str(requests.post(f"{server.address}/predict", files={"file": ("scan", sent)}, timeout=600).status_code)


def _too_large(server: Server, scan: bytes, dice: random.Random) -> str:
    sent = bytes((_UPLOAD_MB + 1) * 10**6)
    return str(requests.post(f"{server.address}/predict", files={"file": ("scan", sent)}, timeout=600).status_code)


def _cut_off(server: Server, scan: bytes, dice: random.Random) -> str:
    with socket.create_connection(("127.0.0.1", server.port), timeout=60) as line:
        sent = _as_sent(scan)
        line.sendall(sent[: dice.randrange(len(sent))])
    return "hung up"


def _gone(server: Server, scan: bytes, dice: random.Random) -> str:
    with socket.create_connection(("127.0.0.1", server.port), timeout=60) as line:
        line.sendall(_as_sent(scan))
        time.sleep(dice.random() / 2)
    return "hung up"


def _no_http(server: Server, scan: bytes, dice: random.Random) -> str:
    with socket.create_connection(("127.0.0.1", server.port), timeout=60) as line:
        line.sendall(dice.randbytes(500) + b"\r\n\r\n")
        return line.recv(100).split(b"\r\n")[0].decode("latin-1")[:20]


def _as_sent(scan: bytes) -> bytes:
    body = b'--%b\r\nContent-Disposition: form-data; name="file"; filename="a"\r\n\r\n' % _BOUNDARY
    body += scan + b"\r\n--%b--\r\n" % _BOUNDARY
    head = b"POST /predict HTTP/1.1\r\nHost: x\r\nContent-Type: multipart/form-data; boundary=%b\r\n" % _BOUNDARY
    return head + b"Content-Length: %d\r\n\r\n" % len(body) + body


def a_picture() -> bytes:
    """A PNG of a bright disc of noise, 256 x 256."""
    rows, columns = np.mgrid[-1:1:256j, -1:1:256j]
    noise = np.random.default_rng(0).integers(60, 200, rows.shape) * (rows**2 + columns**2 < 0.7)
    encoded = io.BytesIO()
    Image.fromarray(noise.astype(np.uint8)).save(encoded, "PNG")
    return encoded.getvalue()


def _trained(folder: Path) -> Path:
    small = "data.layout.healthy_subjects=16 data.layout.diseased_subjects=8 data.layout.slices_per_subject=2"
    words = f"model=ae trainer.max_epochs=1 trainer=cpu data.image_size=128 {small} hydra.run.dir={folder}/run"
    subprocess.run(
        [sys.executable, str(ROOT / "train.py"), *words.split()], cwd=folder, check=True, capture_output=True
    )
    return folder / "run" / "best.ckpt"


def main() -> int:
    """Measure, and print what was found."""
    parser = argparse.ArgumentParser(prog="python -m benchmarks.load", description=__doc__)
    parser.add_argument("--checkpoint", type=Path, help="without one a small detector of pictures is trained")
    parser.add_argument("--scan", type=Path, help="what good clients send (default: a picture)")
    parser.add_argument("--clients", type=int, default=8)
    parser.add_argument("--minutes", type=float, default=5)
    words = parser.parse_args()
    with TemporaryDirectory(prefix="mriad-load-") as name:
        folder = Path(name)
        checkpoint = words.checkpoint.absolute() if words.checkpoint else _trained(folder)
        scan = words.scan.read_bytes() if words.scan else a_picture()
        with Server(checkpoint, folder) as server:
            _good(server, scan, random.Random())
            seen = measure(server, scan, clients=words.clients, seconds=60 * words.minutes)
            alive, free = server.process.poll() is None, server.process.poll() is None and server.taken == 0
    print(json.dumps(told(seen, minutes=words.minutes) | {"alive": alive, "free": free}, indent=2))
    return int(not (alive and free and seen.seconds) or any(answer.endswith(" 500") for answer in seen.answers))


def told(seen: Seen, *, minutes: float) -> dict[str, object]:
    """What was found, in seconds and MB."""
    tenth = max(1, len(seen.memory) // 10)
    return {
        "scored": len(seen.seconds),
        "scored_per_second": round(len(seen.seconds) / (60 * minutes), 2),
        "p50_seconds": round(float(np.percentile(seen.seconds, 50)), 3) if seen.seconds else None,
        "p95_seconds": round(float(np.percentile(seen.seconds, 95)), 3) if seen.seconds else None,
        "memory_mb_after_a_tenth": round(float(np.median(seen.memory[tenth : 2 * tenth] or seen.memory))),
        "memory_mb_at_the_end": round(float(np.median(seen.memory[-tenth:]))),
        "memory_mb_at_most": round(max(seen.memory)),
        "answers": dict(sorted(seen.answers.items())),
    }


if __name__ == "__main__":
    sys.exit(main())
