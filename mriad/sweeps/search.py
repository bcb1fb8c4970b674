"""A search by Optuna: asks for a trial, runs its jobs through any launcher, tells how it ended."""

from __future__ import annotations

import math
from collections.abc import Sequence
from concurrent.futures import ThreadPoolExecutor
from statistics import mean
from threading import Lock
from typing import TYPE_CHECKING

from hydra.core.override_parser.types import Override
from hydra.plugins.launcher import Launcher
from omegaconf import DictConfig

from mriad.errors import MriadError
from mriad.processes.outcome import Outcome
from mriad.sweeps import study as studies
from mriad.sweeps.jobs import Jobs
from mriad.sweeps.launchers.job import JobLauncher
from mriad.sweeps.parent import Parent
from mriad.sweeps.space import as_text, space_of
from mriad.sweeps.summary import lower_is_better

if TYPE_CHECKING:
    from optuna import Trial

_STUDY_TAG = "study"
_NUMBERS = ("trials", "seeds", "workers")


class Search:
    """Looks for the best options, a trial at a time or several.

    Args:
        config: composed config of the command; ``sweep`` holds the options of the search.
        options: the command line.
        parent: parent run.
        jobs: runs the jobs of a trial, one for each seed.
        launcher: what runs them.

    Raises:
        MriadError: on bad options of the search.
    """

    def __init__(
        self, *, config: DictConfig, options: Sequence[Override], parent: Parent, jobs: Jobs, launcher: Launcher
    ) -> None:
        self._options = config.sweep
        _require_numbers(config.sweep, launcher)
        self._distributions, self._fixed = space_of(dict(config.sweep.space), options)
        self._objective: str = config.objective
        self._seeds = range(config.seed, config.seed + config.sweep.seeds)
        self._parent, self._jobs, self._launcher = parent, jobs, launcher
        url = studies.storage_of(config.sweep.storage, parent.run.uri)
        name = (
            config.sweep.study or self._earlier_study() or f"{config.hydra.runtime.choices.sweep} {parent.run.run_id}"
        )
        parent.run.set_tags({_STUDY_TAG: name, "study.storage": url})
        self._study = studies.open_study(
            url, name, minimize=lower_is_better(self._objective), seed=config.seed, workers=config.sweep.workers
        )
        self._lock = Lock()
        self._in_flight = 0

    def run(self) -> None:
        """Run trials until there are as many as wanted, those of earlier attempts and of other searches included."""
        studies.requeue_open_trials(self._study, self._parent.run.run_id)
        try:
            if self._options.workers == 1:
                self._work()
            else:
                self._work_in_threads()
        finally:
            self._parent.run.log_figures(studies.figures(self._study, self._objective))

    def _work_in_threads(self) -> None:
        assert isinstance(self._launcher, JobLauncher)
        with ThreadPoolExecutor(max_workers=self._options.workers) as pool:
            workers = [pool.submit(self._work) for _ in range(self._options.workers)]
            try:
                for worker in workers:
                    worker.result()
            except BaseException:
                self._launcher.stop()
                raise

    def _work(self) -> None:
        while (trial := self._next()) is not None:
            seeds = [[*self._chosen(trial), f"seed={seed}"] for seed in self._seeds]
            self._tell(trial, self._jobs.run(seeds))

    def _next(self) -> Trial | None:
        with self._lock:
            if studies.trials_done(self._study) + self._in_flight >= self._options.trials:
                return None
            trial = self._study.ask(self._distributions)
            trial.set_user_attr(studies.PARENT, self._parent.run.run_id)
            self._in_flight += 1
            return trial

    def _chosen(self, trial: Trial) -> list[str]:
        varied = {name: as_text(value) for name, value in trial.params.items()}
        fixed = {name: value for name, value in self._fixed.items() if name != "seed"}
        return [f"{name}={value}" for name, value in (fixed | varied).items()]

    def _tell(self, trial: Trial, outcomes: Sequence[Outcome]) -> None:
        from optuna.trial import TrialState

        failure = next((outcome.failure for outcome in outcomes if outcome.failure), None)
        values = [outcome.value for outcome in outcomes if outcome.value is not None]
        with self._lock:
            self._in_flight -= 1
            if failure is None and len(values) == len(outcomes) and not math.isnan(mean(values)):
                self._study.tell(trial, mean(values))
                print(f"Trial {trial.number}: {self._objective} {mean(values):.4g}", flush=True)
                return
            trial.set_user_attr(studies.FAILURE, failure or "no value")
            self._study.tell(trial, state=TrialState.FAIL)
        if failure is None:
            raise MriadError(
                f"objective={self._objective} has no value for these data, as val/auroc has none where val holds no "
                "anomalies; choose another, such as objective=val/loss."
            )

    def _earlier_study(self) -> str | None:
        return self._parent.run.client.get_run(self._parent.run.run_id).data.tags.get(_STUDY_TAG)


def _require_numbers(options: DictConfig, launcher: Launcher) -> None:
    for name in _NUMBERS:
        if not isinstance(options[name], int) or options[name] < 1:
            raise MriadError(f"sweep.{name}={options[name]} is no whole number from 1 up; give one.")
    if options.workers > 1 and not isinstance(launcher, JobLauncher):
        raise MriadError(
            f"sweep.workers={options.workers} needs a launcher that runs several jobs at a time; "
            "add hydra/launcher=joblib or hydra/launcher=slurm."
        )
