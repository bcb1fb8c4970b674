"""The task of a sweep's job, which ends with an outcome in whatever process a launcher runs it."""

from __future__ import annotations

import os
import sys
from collections.abc import Mapping
from dataclasses import dataclass

from omegaconf import DictConfig

from mriad.processes.outcome import Outcome, Task, attempt


@dataclass(frozen=True, kw_only=True)
class Attempt:
    """A task that tells how it ended instead of raising.

    Args:
        task: the task.
        environment: what its process shall know, such as the parent run; a cluster may not hand it on.
    """

    task: Task
    environment: Mapping[str, str]

    def __call__(self, cfg: DictConfig) -> Outcome:
        """Run the task; only an interrupt gets through."""
        os.environ.update(self.environment)
        outcome = attempt(self.task, cfg)
        if outcome.failure is not None:
            print(f"This job failed: {outcome.failure}", file=sys.stderr, flush=True)
        return outcome
