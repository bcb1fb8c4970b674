"""Types mriad's commands the way a user does: each in a process and a working directory of its own.

A fork server imports torch, Lightning and MLflow once for all, so that a command costs its own work and not eight
seconds of imports. What is real: the script, the arguments, the exit code, both output streams, signals.
"""

from __future__ import annotations

import atexit
import contextlib
import multiprocessing
import os
import runpy
import shutil
import signal
import subprocess
import sys
import time
from collections.abc import Callable, Mapping
from dataclasses import dataclass
from functools import cached_property
from multiprocessing.context import ForkServerProcess
from pathlib import Path
from typing import IO

import mlflow
import pandas as pd
from matplotlib.figure import Figure
from mlflow.entities import Run as StoredRun

REPOSITORY = Path(__file__).parents[2]
QUIET = ("trainer=cpu", "threads=1")
_UNSET = (
    *("MLFLOW_TRACKING_URI", "HYDRA_FULL_ERROR", "MRIAD_PARENT_RUN", "MRIAD_DATA_ROOT", "PYTEST_CURRENT_TEST"),
    *("MAKEFLAGS", "MAKELEVEL", "MFLAGS"),  # what `make test` tells a `make` within it
)
_PATIENCE = 300  # seconds after which a command counts as hanging

sys.path.append(str(Path(__file__).parents[1]))  # a new process imports this module by its name
_context = multiprocessing.get_context("forkserver")
_context.set_forkserver_preload(["tests.commands.imported"])


def users_environment() -> dict[str, str]:
    """The environment without what the tests have put there: MLflow exports each store that it is pointed at."""
    return {name: value for name, value in os.environ.items() if name not in _UNSET}


@dataclass(frozen=True, kw_only=True)
class Outcome:
    """What a command leaves in the terminal."""

    code: int
    out: str
    err: str

    @property
    def errors(self) -> list[str]:
        """The lines of stderr that say what is wrong."""
        return [line for line in self.err.splitlines() if line.startswith("Error:")]

    def ok(self) -> Outcome:
        """The outcome itself, if the command succeeded."""
        assert self.code == 0, f"exit code {self.code}\n{self.out}\n{self.err}"
        return self

    def sentence(self, *parts: str) -> str:
        """The one sentence of a command that refused, which must hold ``parts``."""
        everything = f"exit code {self.code}\n{self.out}\n{self.err}"
        assert self.code == 1, everything
        assert len(self.errors) == 1, everything
        assert "Traceback" not in self.out + self.err, everything
        assert self.errors[0].endswith((".", "...")) or ": " in self.errors[0][7:], everything
        for part in parts:
            assert part in self.errors[0], f"{part!r} is not in {self.errors[0]!r}"
        return self.errors[0]


class Terminal:
    """A working directory with its own store and cache, and commands typed in it.

    Args:
        folder: the working directory.
        store: an MLflow database to start with a copy of; None to let the first command make one, which takes seconds.
        draws: whether figures are painted. Otherwise they are made and saved as empty files, which takes a quarter of
            a command's time less; the tests of plots and report paint theirs.
        environment: more variables.
    """

    def __init__(self, folder: Path, *, store: Path | None = None, draws: bool = False, **environment: str) -> None:
        folder.mkdir(parents=True, exist_ok=True)
        if store is not None:
            shutil.copy(store, folder / "mlflow.db")
        self.folder, self.draws = folder, draws
        self.environment = {"MRIAD_CACHE_DIR": str(folder / "cache"), "COLUMNS": "150", **environment}
        self._count = 0

    def train(self, *options: str, **environment: str) -> Outcome:
        return self.run("train.py", *options, *QUIET, environment=environment)

    def evaluate(self, *options: str, **environment: str) -> Outcome:
        return self.run("evaluate.py", *options, *QUIET, environment=environment)

    def predict(self, *options: str, **environment: str) -> Outcome:
        return self.run("predict.py", *options, "threads=1", "device=cpu", environment=environment)

    def run(self, script: str, *options: str, environment: Mapping[str, str] | None = None) -> Outcome:
        """Type a command and wait for its end."""
        return self.start(script, *options, environment=environment).wait()

    def start(
        self,
        script: str,
        *options: str,
        environment: Mapping[str, str] | None = None,
        before: Callable[[], None] | None = None,
    ) -> Command:
        """Type a command; ``before`` is called in its process first."""
        self._count += 1
        log = self.folder / ".terminal" / str(self._count)
        log.mkdir(parents=True)
        settings = self.environment | dict(environment or {})
        first = [*([] if self.draws else [_leave_figures_empty]), *([before] if before else [])]
        process = _context.Process(target=_type, args=(script, options, self.folder, settings, log, first))
        process.start()
        return Command(process, log)

    def shell(self, line: str, **environment: str) -> Outcome:
        """Type a line into bash, with the interpreter of these tests as ``python``: nothing is imported beforehand."""
        path = f"{Path(sys.executable).parent}{os.pathsep}{os.environ['PATH']}"
        done = subprocess.run(
            ["bash", "-c", line],
            cwd=self.folder,
            env=users_environment() | self.environment | {"PATH": path, "OMP_NUM_THREADS": "1"} | environment,
            capture_output=True,
            text=True,
            timeout=2 * _PATIENCE,
        )
        return Outcome(code=done.returncode, out=done.stdout, err=done.stderr)

    @cached_property
    def store(self) -> mlflow.MlflowClient:
        """A client of the store in the working directory."""
        return mlflow.MlflowClient(f"sqlite:///{self.folder / 'mlflow.db'}")

    def runs(self, kind: str | None = None) -> list[StoredRun]:
        """The runs in the store, oldest first, of one kind if given."""
        experiments = [experiment.experiment_id for experiment in self.store.search_experiments()]
        found = self.store.search_runs(experiments, order_by=["attributes.start_time ASC"], max_results=1000)
        return [run for run in found if kind is None or run.data.tags.get("kind") == kind]

    def epochs_logged(self) -> int:
        """Epochs that the newest training has logged; 0 while the store is still being made."""
        if not (self.folder / "mlartifacts").exists():
            return 0
        trainings = self.runs("training")
        return len(TrainedRun(self, trainings[-1].info.run_id).epochs("train/loss")) if trainings else 0

    def newest(self, kind: str) -> TrainedRun:
        """The last run of a kind."""
        return TrainedRun(self, self.runs(kind)[-1].info.run_id)


@dataclass(frozen=True)
class TrainedRun:
    """A run in the store, read as a user reads it."""

    terminal: Terminal
    id: str

    @property
    def stored(self) -> StoredRun:
        return self.terminal.store.get_run(self.id)

    @property
    def status(self) -> str:
        return self.stored.info.status

    @property
    def tags(self) -> dict[str, str]:
        return self.stored.data.tags

    @property
    def params(self) -> dict[str, str]:
        return self.stored.data.params

    @property
    def metrics(self) -> dict[str, float]:
        return self.stored.data.metrics

    @property
    def test_metrics(self) -> dict[str, float]:
        return {name: value for name, value in self.metrics.items() if name.startswith("test/")}

    @property
    def artifacts(self) -> Path:
        return Path(self.stored.info.artifact_uri.removeprefix("file://"))

    @property
    def checkpoint(self) -> Path:
        return self.artifacts / "checkpoint" / "best.ckpt"

    @property
    def output(self) -> Path:
        """Folder the training wrote to."""
        return Path(self.tags["output_dir"])

    @property
    def scores(self) -> pd.DataFrame:
        return pd.read_parquet(self.artifacts / "scores.parquet")

    def epochs(self, metric: str) -> list[int]:
        """Steps at which a metric was logged."""
        return sorted(point.step for point in self.terminal.store.get_metric_history(self.id, metric))

    def files(self) -> set[str]:
        return {str(file.relative_to(self.artifacts)) for file in self.artifacts.rglob("*") if file.is_file()}


class Command:
    """A command that runs."""

    def __init__(self, process: ForkServerProcess, log: Path) -> None:
        self._process, self._log = process, log

    def interrupt(self) -> None:
        """Press Ctrl-C."""
        self.signal(signal.SIGINT)

    def signal(self, number: signal.Signals) -> None:
        """Send a signal."""
        assert self._process.pid is not None
        os.kill(self._process.pid, number)

    @property
    def runs(self) -> bool:
        """Whether it has not ended yet."""
        return self._process.is_alive()

    def wait_for(self, condition: Callable[[], bool]) -> None:
        """Wait until something has happened while the command runs."""
        for _ in range(_PATIENCE * 20):
            if condition():
                return
            if not self._process.is_alive():
                break
            time.sleep(0.05)
        raise AssertionError(f"it did not happen: {self.wait()}")

    def wait(self, patience: float = _PATIENCE) -> Outcome:
        """Wait for the end, at most ``patience`` seconds."""
        self._process.join(patience)
        if self._process.is_alive():
            self._process.kill()
            raise AssertionError(f"the command hangs: {self._read()}")
        return self._read()

    def _read(self) -> Outcome:
        code = self._process.exitcode
        return Outcome(
            code=-1 if code is None else code,
            out=(self._log / "out").read_text(),
            err=(self._log / "err").read_text(),
        )


def _type(
    script: str,
    options: tuple[str, ...],
    folder: Path,
    environment: dict[str, str],
    log: Path,
    before: list[Callable[[], None]],
) -> None:
    """In the new process: become the command."""
    for number, name in ((1, "out"), (2, "err")):
        with (log / name).open("wb") as stream:
            os.dup2(stream.fileno(), number)
    sys.stdout, sys.stderr = (os.fdopen(number, "w", buffering=1, closefd=False) for number in (1, 2))
    signal.signal(signal.SIGINT, signal.default_int_handler)  # the fork server ignores Ctrl-C
    for name in _UNSET:
        os.environ.pop(name, None)
    os.environ.update(environment)
    os.chdir(folder)
    sys.argv = [script, *options]
    for prepare in before:
        prepare()
    try:
        runpy.run_path(str(REPOSITORY / script), run_name="__main__")
    finally:
        with contextlib.suppress(Exception):
            atexit._run_exitfuncs()  # multiprocessing leaves them out


def _leave_figures_empty() -> None:
    def save(_: Figure, file: str | Path | IO[bytes], **options: object) -> None:
        if isinstance(file, str | Path):
            Path(file).touch()

    Figure.savefig = save  # type: ignore[method-assign, assignment]
