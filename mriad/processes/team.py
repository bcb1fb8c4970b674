"""The processes of one task on several devices: how they find each other, fail and end together."""

from __future__ import annotations

import atexit
import os
import signal
import sys
import threading
import time
from collections.abc import Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any, cast

from hydra.core.hydra_config import HydraConfig
from hydra.core.singleton import Singleton
from hydra.core.utils import configure_log, setup_globals
from joblib import cpu_count
from omegaconf import DictConfig
from torch import distributed

from mriad.processes.outcome import Outcome, Task, attempt
from mriad.processes.process import Process

WORK = "MRIAD_DEVICES"  # variable: folder in which the processes of one job leave word for it
_LOCAL = "127.0.0.1"
_PATIENCE = 30.0  # seconds in which the others may end by themselves
_TO_SAVE = 100.0  # seconds in which rank 0 may write a checkpoint and close its run: less than clusters give
_LOOK = 0.1  # seconds between two looks at them


@dataclass(frozen=True, kw_only=True)
class Order:
    """What each process is to do, with Hydra's state, for it knows of no command."""

    task: Task
    config: DictConfig
    singletons: Any
    arguments: list[str]

    def __call__(self) -> Outcome:
        """Run the task as one of its ranks; only rank 0 is interrupted, by the job."""
        rank = int(os.environ["RANK"])
        if rank > 0:
            signal.signal(signal.SIGINT, signal.SIG_IGN)
        threading.Thread(target=_end_with_the_job, daemon=True).start()
        sys.argv = self.arguments
        Singleton.set_state(self.singletons)
        setup_globals()
        if rank == 0:
            configure_log(cast(DictConfig, HydraConfig.get()).job_logging, HydraConfig.get().verbose)
        try:
            outcome = attempt(self.task, self.config)
        except (KeyboardInterrupt, SystemExit) as stop:
            return Outcome(failure=str(stop) if isinstance(stop, KeyboardInterrupt) else "")
        if outcome.failure is None:
            atexit.register(_leave_the_others)
        return outcome


class Team:
    """The processes of one task.

    Args:
        count: how many.
        work: empty folder for what they are told and tell.
        logs: folder for what all but rank 0 print.
    """

    def __init__(self, *, count: int, work: Path, logs: Path) -> None:
        self._count, self._work, self._logs = count, work, logs
        self._processes: list[Process] = []

    def start(self, order: Order) -> None:
        """Start them."""
        # they meet at a port that is taken from now on, instead of one that rank 0 may not get any more
        self._store = distributed.TCPStore(_LOCAL, 0, is_master=True, wait_for_workers=False)
        self._start(order, 0)
        for rank in range(1, self._count):
            with self._log(rank).open("wb") as log:
                self._start(order, rank, output=log)

    def _start(self, order: Order, rank: int, **output: Any) -> None:
        cores = int(os.environ.get("OMP_NUM_THREADS") or cpu_count())  # of this job
        place = {
            "RANK": rank,
            "LOCAL_RANK": rank,
            "GROUP_RANK": 0,
            "WORLD_SIZE": self._count,
            "LOCAL_WORLD_SIZE": self._count,
            "MASTER_ADDR": _LOCAL,
            "MASTER_PORT": self._store.port,
            "TORCHELASTIC_RUN_ID": "mriad",
            "TORCHELASTIC_USE_AGENT_STORE": True,
            "OMP_NUM_THREADS": max(1, cores // self._count),
            WORK: self._work,
        }
        folder = self._work / f"rank{rank}"
        folder.mkdir()
        environment = {name: str(value) for name, value in place.items()}
        self._processes.append(Process(order, folder=folder, environment=environment, **output))

    def wait(self) -> int | None:
        """Wait until rank 0 has ended, or another has failed, and then for the rest.

        Returns:
            The first that failed; None if none did.
        """
        while not self._failed() and self._processes[0].poll() is None:
            time.sleep(_LOOK)
        failed = self._failed()
        self._wait_for(self._processes, _PATIENCE)
        return failed[0] if failed else None

    def interrupt(self) -> None:
        """Interrupt rank 0 and let it save what it can; the others wait for it until they are ended."""
        for process in self._processes[:1]:
            process.interrupt()
            self._wait_for([process], _TO_SAVE)

    def end(self) -> None:
        """End those that still run, and drop what was printed if nothing was."""
        for process in self._processes:
            process.end()
        for rank in range(1, len(self._processes)):
            if self._log(rank).stat().st_size == 0:
                self._log(rank).unlink()

    def outcome(self) -> Outcome | None:
        """How the task ended in rank 0; None if it died, or was never there."""
        return self._processes[0].outcome() if self._processes else None

    def run_id(self) -> str | None:
        """The run that rank 0 has opened, if it has come that far."""
        file = self._work / "run"
        return file.read_text() if file.exists() else None

    def failure(self, rank: int) -> str:
        """Why a process failed, in a sentence."""
        outcome = self._processes[rank].outcome()
        if outcome and outcome.failure and outcome.plain:
            return outcome.failure
        why = f"failed: {outcome.failure}" if outcome else self._processes[rank].ending()
        ended = f"The process of rank {rank} {why}"
        return f"{ended}; see {self._log(rank)}." if self._log(rank).exists() else f"{ended}."

    def _failed(self) -> list[int]:
        """Ranks that have failed, those first that were killed; one whose task is done may end as it likes."""
        codes = {rank: process.poll() for rank, process in enumerate(self._processes)}
        failed = [rank for rank, code in codes.items() if code and not self._done(rank)]
        return sorted(failed, key=lambda rank: codes[rank] or 0)

    def _done(self, rank: int) -> bool:
        outcome = self._processes[rank].outcome()
        return outcome is not None and outcome.failure is None

    def _log(self, rank: int) -> Path:
        return self._logs / f"rank{rank}.log"

    def _wait_for(self, processes: Sequence[Process], seconds: float) -> None:
        until = time.monotonic() + seconds
        while time.monotonic() < until and any(process.poll() is None for process in processes):
            time.sleep(_LOOK)


def _leave_the_others() -> None:
    if distributed.is_initialized():
        distributed.destroy_process_group()  # left to the interpreter's end, it may abort when the others are gone


def _end_with_the_job() -> None:
    os.read(sys.stdin.fileno(), 1)  # nothing comes until the job is gone
    os._exit(1)
