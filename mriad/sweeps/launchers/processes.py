"""Several jobs at a time on this machine."""

from __future__ import annotations

import json
import os
import pickle
import signal
import subprocess
import sys
import tempfile
from collections.abc import Sequence
from concurrent.futures import ThreadPoolExecutor
from dataclasses import asdict
from pathlib import Path
from threading import Lock, Semaphore
from typing import IO

import cloudpickle

from mriad.errors import MriadError
from mriad.interrupts import listen
from mriad.sweeps.launchers.job import Job, JobLauncher
from mriad.sweeps.outcome import Outcome

_ROOT = Path(__file__).parents[3]


class ProcessLauncher(JobLauncher):
    """Runs each job in a new process and keeps its terminal output in ``<number>.log`` in the sweep's folder.

    joblib's own workers are not used: one that is killed, as for lack of memory, takes all others with it.

    Args:
        n_jobs: jobs at a time; -1 for one per core.
    """

    def __init__(self, *, n_jobs: int = -1) -> None:
        if n_jobs != -1 and n_jobs < 1:
            raise MriadError(
                f"hydra.launcher.n_jobs={n_jobs} is no number of jobs; give 1 or more, or -1 for one per core."
            )
        from joblib import cpu_count  # takes a while, and the launcher is known to Hydra in every command

        cores = cpu_count()
        self.n_jobs = cores if n_jobs == -1 else n_jobs
        self._slots = Semaphore(self.n_jobs)
        self._threads = max(1, cores // self.n_jobs)
        self._running: set[subprocess.Popen[bytes]] = set()
        self._lock = Lock()
        self._stopped = False

    def outcomes(self, jobs: Sequence[Job]) -> list[Outcome]:
        """Run jobs, as many at a time as there are slots."""
        with ThreadPoolExecutor(max_workers=len(jobs)) as pool:
            waiting = [pool.submit(self._run, job) for job in jobs]
            try:
                return [job.result() for job in waiting]
            except BaseException:
                self.stop()
                raise

    def stop(self) -> None:
        """Interrupt the jobs that run, and start no more."""
        with self._lock:
            self._stopped = True
            for process in self._running:
                process.send_signal(signal.SIGINT)

    def _run(self, job: Job) -> Outcome:
        log = job.sweep_folder / f"{job.number}.log"
        with self._slots, tempfile.TemporaryDirectory() as work:
            order, answer = Path(work) / "job.pkl", Path(work) / "outcome.json"
            order.write_bytes(cloudpickle.dumps(job))
            with log.open("wb") as stream:
                process = self._start([sys.executable, "-m", __name__, str(order), str(answer)], stream)
                print(f"Job {job.number} runs; its output goes to {log}", flush=True)
                code = process.wait()
            with self._lock:
                self._running.discard(process)
            if self._stopped:
                raise KeyboardInterrupt
            if answer.exists():
                outcome = Outcome(**json.loads(answer.read_text()))
            else:
                outcome = Outcome(failure=f"The job's process {_ending(code)} before it could tell why; see {log}.")
        print(f"Job {job.number} {f'failed: {outcome.failure}' if outcome.failure else 'finished'}", flush=True)
        return outcome

    def _start(self, command: list[str], output: IO[bytes]) -> subprocess.Popen[bytes]:
        """Start a process that Ctrl-C reaches through this launcher only, and once."""
        path = os.pathsep.join([str(_ROOT), *filter(None, [os.environ.get("PYTHONPATH")])])
        environment = {"OMP_NUM_THREADS": str(self._threads), **os.environ, "PYTHONPATH": path}
        with self._lock:
            if self._stopped:
                raise KeyboardInterrupt
            process = subprocess.Popen(
                command, stdout=output, stderr=subprocess.STDOUT, env=environment, start_new_session=True
            )
            self._running.add(process)
        return process


def _ending(code: int) -> str:
    return f"was killed by {signal.Signals(-code).name}" if code < 0 else f"ended with exit code {code}"


def main(order: Path, answer: Path) -> None:
    """In the new process: run a job and write how it ended."""
    signal.signal(signal.SIGINT, signal.default_int_handler)
    listen()
    job: Job = pickle.loads(order.read_bytes())  # of this launcher, in a folder that its user alone can write to
    outcome = job()
    partial = answer.with_suffix(".part")
    partial.write_text(json.dumps(asdict(outcome)))
    partial.replace(answer)


if __name__ == "__main__":
    main(Path(sys.argv[1]), Path(sys.argv[2]))
