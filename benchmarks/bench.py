"""Where rows are measured, and how they run mriad: as a command of its own, or as a call in a process of its own."""

from __future__ import annotations

import json
import os
import subprocess
import sys
import time
from collections.abc import Iterator, Sequence
from contextlib import contextmanager, redirect_stdout
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from hydra import compose, initialize_config_dir
from omegaconf import DictConfig

from benchmarks import heads

ROOT = Path(__file__).parent.parent
JPEG = {"healthy": 1430, "anomalous": 570, "size": 512}  # 70 % of the healthy ones train: 1,000
_HALF = {"healthy": 715, "anomalous": 285, "size": 512}
_POLL = 0.02  # seconds between two looks at the memory


@dataclass(frozen=True, kw_only=True)
class Ended:
    """A process that has ended well.

    Args:
        seconds: from its start to its end.
        private: most private memory (RssAnon) that it held, in GB; 0 where the system does not say.
        peak: most memory that was resident (VmHWM), shared libraries and mapped files with it, likewise.
        out: what it printed.
    """

    seconds: float
    private: float
    peak: float
    out: str


@dataclass(frozen=True, kw_only=True)
class Bench:
    """What a row is given.

    Args:
        folder: scratch, of all rows together.
        full: measure at full size, however long it takes.
        tracking_uri: the store that the cost of logging is measured with; None for a fresh SQLite file.
    """

    folder: Path
    full: bool = False
    tracking_uri: str | None = None

    @property
    def cache(self) -> Path:
        """Where slices are kept."""
        return self.folder / "cache"

    def jpegs(self) -> Path:
        """2,000 JPEG of 512 px, laid out for ``data=folder``; 1,000 of them train."""
        return heads.write(self.folder / "jpeg", **JPEG)

    def to_train_on(self) -> tuple[Path, int]:
        """JPEG of 512 px for rows that train, and how many of them do: half of ``jpegs``, unless at full size."""
        return (self.jpegs(), 1000) if self.full else (heads.write(self.folder / "half", **_HALF), 500)

    def train(self, *options: str) -> Ended:
        """``python train.py`` with options."""
        return self.run([str(ROOT / "train.py"), *options])

    def call(self, function: str, *arguments: Any) -> tuple[Any, Ended]:
        """Call ``module:function`` with plain values in a process of its own; gives what it returned."""
        module, name = function.split(":")
        program = (
            f"import json, sys; from {module} import {name}; "
            f"print(json.dumps({name}(*json.loads(sys.argv[1]))))"
        )  # fmt: skip
        ended = self.run(["-c", program, json.dumps(arguments)])
        return json.loads(ended.out.splitlines()[-1]), ended

    def run(self, words: Sequence[str], *, code: int = 0) -> Ended:
        """Run Python in the scratch folder.

        Raises:
            RuntimeError: if it does not end with the exit code that it should.
        """
        environment = os.environ | {"PYTHONPATH": str(ROOT), "MRIAD_CACHE_DIR": str(self.cache)}
        environment.pop("MLFLOW_TRACKING_URI", None)
        start = time.perf_counter()
        process = subprocess.Popen(
            [sys.executable, *words],
            cwd=self.folder,
            env=environment,
            stdout=(self.folder / "out").open("w"),
            stderr=(self.folder / "err").open("w"),
        )
        private = peak = 0.0
        while process.poll() is None:
            private = max(private, private_memory(process.pid))
            peak = max(peak, peak_memory(process.pid))
            time.sleep(_POLL)
        seconds = time.perf_counter() - start
        out, err = ((self.folder / name).read_text() for name in ("out", "err"))
        if process.returncode != code:
            raise RuntimeError(f"{' '.join(words)} ended with {process.returncode}: {err[-2000:]}")
        return Ended(seconds=seconds, private=private, peak=peak, out=out)


def private_memory(pid: int) -> float:
    """Private memory (RssAnon) of a process now, in GB; 0 if it has ended or the system does not say."""
    return _memory(pid, "RssAnon")


def peak_memory(pid: int) -> float:
    """Most resident memory (VmHWM) of a process so far, in GB; 0 if it has ended or the system does not say."""
    return _memory(pid, "VmHWM")


def _memory(pid: int, field: str) -> float:
    try:
        lines = Path(f"/proc/{pid}/status").read_text().splitlines()
    except OSError:
        return 0.0
    found = [line.split()[1] for line in lines if line.startswith(field)]
    return int(found[0]) * 1024 / 1e9 if found else 0.0


def composed(config: str, *options: str, hydra: bool = False) -> DictConfig:
    """The config that a command with these options would run."""
    with initialize_config_dir(str(ROOT / "conf"), version_base="1.3"):
        return compose(config, overrides=list(options), return_hydra_config=hydra)


@contextmanager
def quiet() -> Iterator[None]:
    """Print nothing."""
    with open(os.devnull, "w") as nowhere, redirect_stdout(nowhere):
        yield
