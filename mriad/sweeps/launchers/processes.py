"""Several jobs at a time on this machine."""

from __future__ import annotations

import os
import tempfile
from collections.abc import Sequence
from concurrent.futures import ThreadPoolExecutor
from functools import partial
from pathlib import Path
from threading import Lock, Semaphore
from typing import IO

from mriad.errors import MriadError
from mriad.interrupts import listen
from mriad.processes.outcome import Outcome
from mriad.processes.process import Process
from mriad.sweeps.launchers.job import Job, JobLauncher


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
        self._running: set[Process] = set()
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
                process.interrupt()

    def _run(self, job: Job) -> Outcome:
        log = job.sweep_folder / f"{job.number}.log"
        with self._slots, tempfile.TemporaryDirectory() as work:
            with log.open("wb") as output:
                process = self._start(job, Path(work), output)
            print(f"Job {job.number} runs; its output goes to {log}", flush=True)
            process.wait()
            with self._lock:
                self._running.discard(process)
            process.end()
            if self._stopped:
                raise KeyboardInterrupt
            died = Outcome(failure=f"The job's process {process.ending()} before it could tell why; see {log}.")
            outcome = process.outcome() or died
        print(f"Job {job.number} {f'failed: {outcome.failure}' if outcome.failure else 'finished'}", flush=True)
        return outcome

    def _start(self, job: Job, folder: Path, output: IO[bytes]) -> Process:
        threads = os.environ.get("OMP_NUM_THREADS", str(self._threads))
        with self._lock:
            if self._stopped:
                raise KeyboardInterrupt
            call = partial(_interruptible, job)
            process = Process(call, folder=folder, environment={"OMP_NUM_THREADS": threads}, output=output)
            self._running.add(process)
        return process


def _interruptible(job: Job) -> Outcome:
    listen()
    return job()
