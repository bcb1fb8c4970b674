"""How a job of a sweep ended."""

from __future__ import annotations

import os
import sys
import traceback
from collections.abc import Callable, Mapping
from dataclasses import dataclass

from hydra.errors import HydraException
from omegaconf import DictConfig
from omegaconf.errors import OmegaConfBaseException

from mriad.errors import MriadError
from mriad.passwords import hide

Task = Callable[[DictConfig], float | None]


@dataclass(frozen=True, kw_only=True)
class Outcome:
    """How a job ended.

    Args:
        value: what the task returned: the objective, None where it has none.
        failure: why the job failed, in one line; None if it finished.
    """

    value: float | None = None
    failure: str | None = None


@dataclass(frozen=True, kw_only=True)
class Attempt:
    """A task that tells how it ended instead of raising, in whatever process a launcher runs it.

    Args:
        task: the task.
        environment: what its process shall know, such as the parent run; a cluster may not hand it on.
    """

    task: Task
    environment: Mapping[str, str]

    def __call__(self, cfg: DictConfig) -> Outcome:
        """Run the task; only an interrupt gets through."""
        os.environ.update(self.environment)
        try:
            return Outcome(value=self.task(cfg))
        except Exception as error:
            from mriad.errors import reason

            failure = reason(error)
            if not isinstance(error, MriadError | HydraException | OmegaConfBaseException):
                print(hide(traceback.format_exc()), file=sys.stderr)
            print(f"This job failed: {failure}", file=sys.stderr, flush=True)
            return Outcome(failure=failure)
