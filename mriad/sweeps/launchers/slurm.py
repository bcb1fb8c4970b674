"""Each job of a sweep as a job of a SLURM cluster."""

from __future__ import annotations

import shutil
import subprocess
import time
from collections.abc import Sequence
from pathlib import Path
from typing import TYPE_CHECKING, Any

from mriad.errors import MriadError
from mriad.processes.outcome import Outcome
from mriad.sweeps.launchers.job import Job, JobLauncher
from mriad.sweeps.launchers.requeue import Requeueable

if TYPE_CHECKING:
    from submitit import Job as Submitted

_GONE = 3  # looks in a row at which the queue does not know a job before it counts as dead


class SlurmLauncher(JobLauncher):
    """Submits jobs as one SLURM array and waits for them; what submitit and the jobs print is kept in ``folder``.

    A job counts as dead when it has left the queue without a result, so clusters without accounting will do as well.
    One that reaches its time limit, or must make room for others, saves its checkpoint and is put into the queue again.

    Args:
        folder: where submitit keeps scripts, results and output; all nodes must see it.
        minutes: time limit of a job.
        requeues: times that a job which reaches its limit goes on with as many minutes again; those at which it makes
            room for others do not count.
        signal_seconds: time before the limit at which a job is stopped, to save and go on.
        memory_gb: memory of a job; None for the cluster's default.
        cpus: cores of a job.
        gpus: GPUs of a job.
        partition: where jobs run; None for the cluster's default.
        account: who pays; None for the user's default.
        array_parallelism: most jobs that run at a time.
        poll_seconds: time between two looks at the queue.
        options: further options of sbatch, by name.
    """

    def __init__(
        self,
        *,
        folder: str,
        minutes: int = 240,
        requeues: int = 3,
        signal_seconds: int = 120,
        memory_gb: float | None = None,
        cpus: int = 4,
        gpus: int = 0,
        partition: str | None = None,
        account: str | None = None,
        array_parallelism: int = 16,
        poll_seconds: float = 5.0,
        options: dict[str, Any] | None = None,
    ) -> None:
        _require_numbers(minutes, requeues, signal_seconds)
        _require_slurm()
        self._stopped = False
        self._folder = folder
        self._poll_seconds = poll_seconds
        self._requeues = requeues
        wanted = {
            "time": minutes,
            "signal_delay_s": signal_seconds,
            "mem": memory_gb and f"{int(memory_gb * 1024)}M",
            "cpus_per_task": cpus,
            "gpus_per_node": gpus or None,
            "partition": partition,
            "account": account,
            "array_parallelism": array_parallelism,
            "additional_parameters": {"requeue": True, **(options or {})},
            "srun_args": [f"--cpus-per-task={cpus}"],  # srun does not ask sbatch
            "setup": [f"export OMP_NUM_THREADS=${{OMP_NUM_THREADS:-{cpus}}}"],  # where SLURM does not pin jobs
        }
        self._parameters = {name: value for name, value in wanted.items() if value is not None}

    def outcomes(self, jobs: Sequence[Job]) -> list[Outcome]:
        """Submit jobs and wait until each has a result or has left the queue."""
        import submitit
        from submitit.core.utils import FailedJobError

        folder = Path(self._folder)
        folder.mkdir(parents=True, exist_ok=True)
        folder.chmod(0o700)  # jobs unpickle what lies in it: nobody else may put anything there
        executor = submitit.SlurmExecutor(folder=self._folder, max_num_timeout=self._requeues)
        executor.update_parameters(job_name=jobs[0].config.hydra.job.name, stderr_to_stdout=True, **self._parameters)
        try:
            submitted = executor.map_array(Requeueable(), jobs)
        except FailedJobError as error:
            raise MriadError(
                f"SLURM does not take the jobs: {_said(error)}; see hydra.launcher in --cfg hydra."
            ) from error
        print(f"Submitted {len(jobs)} jobs to SLURM as {submitted[0].job_id.split('_')[0]}", flush=True)
        try:
            return self._wait(submitted)
        except BaseException:
            for job in submitted:
                job.cancel(check=False)
            raise

    def stop(self) -> None:
        """Cancel the jobs that run, and submit no more."""
        self._stopped = True

    def _wait(self, submitted: Sequence[Submitted[Outcome]]) -> list[Outcome]:
        ended: dict[str, Outcome] = {}
        unseen = dict.fromkeys((job.job_id for job in submitted), 0)
        while len(ended) < len(submitted):
            if self._stopped:
                raise KeyboardInterrupt
            queue = _queue(submitted[0].job_id.split("_")[0])
            for job in submitted:
                if job.job_id in ended:
                    continue
                unseen[job.job_id] = 0 if queue is None or job.job_id in queue else unseen[job.job_id] + 1
                if job.paths.result_pickle.exists():
                    ended[job.job_id] = _result(job)
                elif unseen[job.job_id] >= _GONE:
                    ended[job.job_id] = _dead(job)
                else:
                    continue
                failure = ended[job.job_id].failure
                print(f"Job {job.job_id} {f'failed: {failure}' if failure else 'finished'}", flush=True)
            if len(ended) < len(submitted):
                time.sleep(self._poll_seconds)
        return [ended[job.job_id] for job in submitted]


def _queue(array: str) -> set[str] | None:
    """Ids of an array's jobs that wait or run; None if the queue cannot be read now."""
    said = subprocess.run(["squeue", "-h", "-r", "-o", "%F_%K", "-j", array], capture_output=True, text=True)
    if said.returncode and "Invalid job id" not in said.stderr:
        return None
    return {line.removesuffix("_N/A") for line in said.stdout.split()}


def _result(job: Submitted[Outcome]) -> Outcome:
    from submitit.core.utils import FailedJobError

    try:
        return job.result()
    except FailedJobError as error:
        last = str(error).strip().splitlines()[-1]
        return Outcome(failure=f"{last}; see {job.paths.stdout}.")


def _dead(job: Submitted[Outcome]) -> Outcome:
    """What is known of a job that left no result: its state, where the cluster keeps accounts."""
    said = subprocess.run(["sacct", "-n", "-X", "-o", "State%40", "-j", job.job_id], capture_output=True, text=True)
    state = " ".join(said.stdout.split()) or "dead"
    return Outcome(failure=f"SLURM job {job.job_id} ended as {state} without a result; see {job.paths.stdout}.")


def _require_slurm() -> None:
    try:
        import submitit  # noqa: F401
    except ImportError:
        raise MriadError("hydra/launcher=slurm needs submitit; install it with: pip install 'mriad[cluster]'") from None
    if shutil.which("sbatch") is None:
        raise MriadError(
            "hydra/launcher=slurm finds no sbatch here; type the command on a login node of the cluster, "
            "or choose hydra/launcher=joblib to run on this machine."
        )


def _require_numbers(minutes: int, requeues: int, signal_seconds: int) -> None:
    if not isinstance(requeues, int) or requeues < 0:
        raise MriadError(f"hydra.launcher.requeues={requeues} is no whole number from 0 up; give one.")
    if not 0 < signal_seconds < 60 * minutes:
        raise MriadError(
            f"hydra.launcher.signal_seconds={signal_seconds} is no time within hydra.launcher.minutes={minutes}; "
            "give fewer seconds, or more minutes."
        )


def _said(error: Exception) -> str:
    """The line in which sbatch says why."""
    lines = [line.removeprefix("sbatch: error: ") for line in str(error).splitlines() if "sbatch: error" in line]
    return lines[-1] if lines else str(error).strip().splitlines()[0]
