"""Runs the jobs of a sweep through a launcher, whatever becomes of the single one."""

from __future__ import annotations

import sys
from collections.abc import Sequence
from threading import Lock

from hydra.core.utils import JobReturn
from hydra.plugins.launcher import Launcher

from mriad.errors import MriadError, reason
from mriad.processes.outcome import Outcome
from mriad.sweeps.parent import Parent
from mriad.tracking.sweep import job_name, job_options, varied_options

Options = Sequence[str]
_NAMED = 3  # failures that the last sentence of a sweep names


class Jobs:
    """The jobs of one sweep, each run once: what an earlier attempt has finished is not run again.

    Args:
        launcher: Hydra's launcher.
        parent: parent run; None for jobs that leave no runs.
    """

    def __init__(self, *, launcher: Launcher, parent: Parent | None) -> None:
        self._launcher = launcher
        self._parent = parent
        self._names: list[str] = []
        self._count = 0
        self._failures: dict[str, str] = {}
        self._lock = Lock()

    def run(self, jobs: Sequence[Options]) -> list[Outcome]:
        """Run jobs and wait for all of them; may be called from several threads where the launcher allows it.

        Args:
            jobs: the options of each job.

        Returns:
            How each job ended, in the jobs' order.
        """
        names = [job_name(job) for job in jobs]
        outcomes = {name: self._parent.finished(name) for name in names} if self._parent else {}
        missing = [(name, job) for name, job in zip(names, jobs, strict=True) if outcomes.get(name) is None]
        with self._lock:
            first = self._count
            self._count += len(missing)
            self._names += names
        new = self._launch([job for _, job in missing], first) if missing else []
        for (name, _), outcome in zip(missing, new, strict=True):
            outcomes[name] = outcome
            self._note_outcome(name, outcome)
        return [outcomes[name] or Outcome() for name in names]

    def require_success(self) -> None:
        """Raise a MriadError if a job failed, which names it and says how to run it again."""
        if skipped := len(self._names) - self._count:
            print(f"{skipped} of {len(self._names)} jobs had finished before and were not run again.")
        if not self._failures:
            return
        named = [f"{self._label(name)} ({_clause(reason)})" for name, reason in self._failures.items()]
        if len(named) > _NAMED:
            print("Failed:", *named, sep="\n  ", file=sys.stderr)
            named = [*named[:_NAMED], f"and {len(named) - _NAMED} more, listed above"]
        again = ""
        if self._parent:
            again = f" The same command with resume_sweep={self._parent.run.run_id} runs only what is missing."
        raise MriadError(f"{len(self._failures)} of {self._count} jobs failed: {'; '.join(named)}.{again}")

    def _label(self, name: str) -> str:
        """The options in which a job differs from the others."""
        job = job_options(name)
        return " ".join(f"{key}={job[key]}" for key in varied_options(self._names) if key in job) or name

    def _launch(self, jobs: list[Options], first: int) -> list[Outcome]:
        try:
            return [_outcome(ended) for ended in self._launcher.launch(jobs, initial_job_idx=first)]
        except MriadError:
            raise
        except Exception as error:  # a launcher that is not ours gives all its jobs up when one of them dies
            return [Outcome(failure=f"The launcher gave up: {reason(error)}")] * len(jobs)

    def _note_outcome(self, name: str, outcome: Outcome) -> None:
        with self._lock:
            if outcome.failure is not None:
                self._failures[name] = outcome.failure
            if self._parent is None:
                return
            if outcome.failure is None:
                self._parent.remember(name, outcome)
            else:
                self._parent.mark_failed(name, outcome.failure, label=self._label(name))


def _clause(sentence: str) -> str:
    """A sentence without its full stop; an ellipsis stays."""
    return sentence if sentence.endswith("...") else sentence.removesuffix(".")


def _outcome(ended: JobReturn) -> Outcome:
    value = ended.return_value
    assert isinstance(value, Outcome)
    return value
