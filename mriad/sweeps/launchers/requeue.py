"""A job of a SLURM cluster that is stopped before its end, and goes on when it is started again."""

from __future__ import annotations

import signal
import subprocess
import sys
import time
from typing import TYPE_CHECKING

from mriad.interrupts import listen
from mriad.processes.outcome import Outcome
from mriad.sweeps.launchers.job import Job
from mriad.tracking.sweep import slurm_job

if TYPE_CHECKING:
    from submitit.helpers import DelayedSubmission

_ASKED = 5  # times, before SLURM counts as too busy to answer


class Requeueable:
    """What submitit runs in a job: as a function that has a ``checkpoint`` it may be put into the queue again.

    submitit would do that at once, while what it interrupts is not saved yet. So a signal first stops the job as
    Ctrl-C does, and submitit's handler is called when the checkpoint is written and the run is closed.
    """

    def __call__(self, job: Job) -> Outcome:
        """Run a job to its end, or put it into the queue again and end the process."""
        from submitit.core.utils import UncompletedJobError

        requeue = signal.getsignal(signal.SIGUSR2)
        listen()
        try:
            return job()
        except (KeyboardInterrupt, SystemExit) as stop:
            if not any(isinstance(one, KeyboardInterrupt) for one in (stop, stop.__context__)):
                raise  # Lightning turns an interrupt into an exit; any other exit is the job's own
            assert callable(requeue)
            if (state := _state()) == "RUNNING":  # else who stopped it has decided what becomes of it
                try:
                    requeue(signal.SIGUSR2, None)  # ends this process
                except UncompletedJobError:
                    return Outcome(
                        failure="It was stopped by its time limit once more than hydra.launcher.requeues allows; raise "
                        "that or hydra.launcher.minutes."
                    )
            print(f"Stopped; to SLURM the job is {state or 'unknown'}.", flush=True)
            sys.exit(130)

    def checkpoint(self, job: Job) -> DelayedSubmission:
        """What runs after the requeueing: the same, for the job finds its run and its ``last.ckpt`` by itself."""
        from submitit.helpers import DelayedSubmission

        return DelayedSubmission(self, job)


def _state() -> str:
    """What SLURM says of the job that this process runs in; empty if it says nothing."""
    command = ["squeue", "-h", "-o", "%T", "-j", slurm_job() or ""]
    for _ in range(_ASKED):
        said = subprocess.run(command, capture_output=True, text=True)
        if said.returncode == 0 or "Invalid job id" in said.stderr:
            return said.stdout.strip()
        time.sleep(2)
    return "RUNNING"  # so many jobs ask at a limit that they share that SLURM does not answer them all
