"""One job of a sweep as it travels to the process that runs it."""

from __future__ import annotations

from abc import abstractmethod
from collections.abc import Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from hydra.core.singleton import Singleton
from hydra.core.utils import JobReturn, JobStatus, run_job, setup_globals
from hydra.plugins.launcher import Launcher
from hydra.types import HydraContext, TaskFunction
from omegaconf import DictConfig, open_dict

from mriad.processes.outcome import Outcome


@dataclass(frozen=True, kw_only=True)
class Job:
    """Everything that a new process needs to be Hydra with one job; called there.

    Args:
        number: number of the job in its sweep, which names its folder.
        options: its options.
        config: config of the sweep.
        context: Hydra's loader and callbacks.
        task: what it runs.
        singletons: Hydra's state in the process of the sweep.
    """

    number: int
    options: tuple[str, ...]
    config: DictConfig
    context: HydraContext
    task: TaskFunction
    singletons: Any

    @property
    def sweep_folder(self) -> Path:
        """Folder of the sweep."""
        return Path(self.config.hydra.sweep.dir).absolute()

    def __call__(self) -> Outcome:
        """Run the job."""
        Singleton.set_state(self.singletons)
        setup_globals()
        config = self.context.config_loader.load_sweep_config(self.config, list(self.options))
        with open_dict(config):
            config.hydra.job.id = config.hydra.job.num = self.number
        ended = run_job(
            hydra_context=self.context,
            task_function=self.task,
            config=config,
            job_dir_key="hydra.sweep.dir",
            job_subdir_key="hydra.sweep.subdir",
        )
        outcome = ended.return_value
        assert isinstance(outcome, Outcome)
        return outcome


class JobLauncher(Launcher):
    """What the launchers share: how Hydra sets them up, and how a batch becomes jobs."""

    def setup(self, *, hydra_context: HydraContext, task_function: TaskFunction, config: DictConfig) -> None:
        """Keep what each job needs."""
        self._context, self._task, self._config = hydra_context, task_function, config

    def launch(self, job_overrides: Sequence[Sequence[str]], initial_job_idx: int) -> Sequence[JobReturn]:
        """Run jobs and wait for them; a job that dies is an outcome as well. May be called from several threads.

        Args:
            job_overrides: the options of each job.
            initial_job_idx: number of the first.
        """
        state = Singleton.get_state()
        jobs = [
            Job(
                number=number,
                options=tuple(options),
                config=self._config,
                context=self._context,
                task=self._task,
                singletons=state,
            )
            for number, options in enumerate(job_overrides, initial_job_idx)
        ]
        return [_returned(outcome) for outcome in self.outcomes(jobs)]

    @abstractmethod
    def outcomes(self, jobs: Sequence[Job]) -> list[Outcome]:
        """Run jobs and wait for them."""

    @abstractmethod
    def stop(self) -> None:
        """Interrupt the jobs that run, from another thread, and start no more."""


def _returned(outcome: Outcome) -> JobReturn:
    ended = JobReturn(status=JobStatus.COMPLETED)
    ended.return_value = outcome
    return ended
