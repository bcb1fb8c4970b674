"""The processes of one task on several devices: how they are told what to do, and what they leave word of."""

from __future__ import annotations

import json
import os
import pickle
import signal
import subprocess
import sys
import threading
import time
import traceback
from collections.abc import Callable, Sequence
from dataclasses import asdict, dataclass
from pathlib import Path
from typing import IO, Any, cast

import cloudpickle
from hydra.core.hydra_config import HydraConfig
from hydra.core.singleton import Singleton
from hydra.core.utils import configure_log, setup_globals
from hydra.errors import HydraException
from joblib import cpu_count
from omegaconf import DictConfig
from omegaconf.errors import OmegaConfBaseException
from torch import distributed

from mriad.errors import MriadError, told
from mriad.interrupts import OF_CLUSTERS, listen
from mriad.passwords import hide
from mriad.tracking.run import reason

Task = Callable[[DictConfig], float | None]

WORK = "MRIAD_DEVICES"  # variable: folder in which the processes of one job leave word for it
_ROOT = Path(__file__).parents[2]
_LOCAL = "127.0.0.1"
_PATIENCE = 30.0  # seconds in which the others may end by themselves
_TO_SAVE = 100.0  # seconds in which rank 0 may write a checkpoint and close its run: less than clusters give
_LOOK = 0.1  # seconds between two looks at them


@dataclass(frozen=True, kw_only=True)
class Order:
    """What each process is to do, pickled: with Hydra's state, for it knows of no command."""

    task: Task
    config: DictConfig
    singletons: Any
    arguments: list[str]


@dataclass(frozen=True, kw_only=True)
class Answer:
    """How a task ended in one process; ``plain``: the failure is a sentence that needs nothing else."""

    value: float | None = None
    failure: str | None = None
    plain: bool = True


class Team:
    """The processes of one task.

    Args:
        count: how many.
        work: empty folder for what they are told and tell.
        logs: folder for what all but rank 0 print.
    """

    def __init__(self, *, count: int, work: Path, logs: Path) -> None:
        self._count, self._work, self._logs = count, work, logs
        self._processes: list[subprocess.Popen[bytes]] = []

    def start(self, order: Order) -> None:
        """Start them."""
        (self._work / "order").write_bytes(cloudpickle.dumps(order))
        # they meet at a port that is taken from now on, instead of one that rank 0 may not get any more
        self._store = distributed.TCPStore(_LOCAL, 0, is_master=True, wait_for_workers=False)
        command = [sys.executable, "-m", __name__]
        self._start(command, 0, None)
        for rank in range(1, self._count):
            with self._log(rank).open("wb") as log:
                self._start(command, rank, log)

    def _start(self, command: Sequence[str], rank: int, log: IO[bytes] | None) -> None:
        path = os.pathsep.join([str(_ROOT), *filter(None, [os.environ.get("PYTHONPATH")])])
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
        }
        cores = int(os.environ.get("OMP_NUM_THREADS") or cpu_count())  # of this job
        threads = {"OMP_NUM_THREADS": str(max(1, cores // self._count))}
        told_them = {name: str(value) for name, value in place.items()} | {WORK: str(self._work), "PYTHONPATH": path}
        self._processes.append(
            subprocess.Popen(
                command,
                stdin=subprocess.PIPE,
                stdout=log,
                stderr=subprocess.STDOUT if log else None,
                env=os.environ | threads | told_them,
                start_new_session=True,  # Ctrl-C reaches them through this process only
            )
        )

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
            process.send_signal(signal.SIGINT)
            self._wait_for([process], _TO_SAVE)

    def end(self) -> None:
        """End those that still run, and drop what was printed if nothing was."""
        for process in self._processes:
            process.kill()
            process.wait()
            assert process.stdin is not None
            process.stdin.close()
        for rank in range(1, len(self._processes)):
            if self._log(rank).stat().st_size == 0:
                self._log(rank).unlink()

    def answer(self, rank: int) -> Answer | None:
        """How the task ended in a process; None if it died."""
        file = self._work / f"answer{rank}"
        return Answer(**json.loads(file.read_text())) if file.exists() else None

    def run_id(self) -> str | None:
        """The run that rank 0 has opened, if it has come that far."""
        file = self._work / "run"
        return file.read_text() if file.exists() else None

    def failure(self, rank: int) -> str:
        """Why a process failed, in a sentence."""
        answer = self.answer(rank)
        if answer and answer.failure and answer.plain:
            return answer.failure
        code = self._processes[rank].returncode
        died = f"was killed by {signal.Signals(-code).name}" if code < 0 else f"ended with exit code {code}"
        ended = f"The process of rank {rank} {f'failed: {answer.failure}' if answer else died}"
        return f"{ended}; see {self._log(rank)}." if self._log(rank).exists() else f"{ended}."

    def _failed(self) -> list[int]:
        """Ranks that have failed, those first that were killed; one whose task is done may end as it likes."""
        codes = {rank: process.poll() for rank, process in enumerate(self._processes)}
        failed = [rank for rank, code in codes.items() if code and not self._done(rank)]
        return sorted(failed, key=lambda rank: codes[rank] or 0)

    def _done(self, rank: int) -> bool:
        answer = self.answer(rank)
        return answer is not None and answer.failure is None

    def _log(self, rank: int) -> Path:
        return self._logs / f"rank{rank}.log"

    def _wait_for(self, processes: Sequence[subprocess.Popen[bytes]], seconds: float) -> None:
        until = time.monotonic() + seconds
        while time.monotonic() < until and any(process.poll() is None for process in processes):
            time.sleep(_LOOK)


def main() -> None:
    """In a new process: run the task and leave word how it ended."""
    rank, work = int(os.environ["RANK"]), Path(os.environ[WORK])
    signal.signal(signal.SIGINT, signal.default_int_handler if rank == 0 else signal.SIG_IGN)
    listen()
    for number in OF_CLUSTERS:  # the job gets them as well, and interrupts rank 0
        signal.signal(number, signal.SIG_IGN)
    threading.Thread(target=_end_with_the_job, daemon=True).start()
    order: Order = pickle.loads((work / "order").read_bytes())  # of the job, in a folder that its user alone can write
    sys.argv = order.arguments
    Singleton.set_state(order.singletons)
    setup_globals()
    if rank == 0:
        configure_log(cast(DictConfig, HydraConfig.get()).job_logging, HydraConfig.get().verbose)
    answer = _attempt(order)
    partial = work / f"partial{rank}"
    partial.write_text(json.dumps(asdict(answer)))
    partial.replace(work / f"answer{rank}")
    if answer.failure is None and distributed.is_initialized():
        distributed.destroy_process_group()  # left to the interpreter's end, it may abort when the others are gone
    sys.exit(answer.failure is not None)


def _attempt(order: Order) -> Answer:
    try:
        return Answer(value=order.task(order.config))
    except (KeyboardInterrupt, SystemExit) as stop:
        return Answer(failure=str(stop) if isinstance(stop, KeyboardInterrupt) else "")
    except MriadError as error:
        return Answer(failure=str(error))
    except (HydraException, OmegaConfBaseException) as error:
        sentence = told(error)
        return Answer(failure=str(sentence) if sentence else f"The options cannot be used: {error.__cause__ or error}")
    except Exception as error:
        print(hide(traceback.format_exc()), file=sys.stderr)
        return Answer(failure=reason(error), plain=False)


def _end_with_the_job() -> None:
    os.read(sys.stdin.fileno(), 1)  # nothing comes until the job is gone
    os._exit(1)


if __name__ == "__main__":
    main()
