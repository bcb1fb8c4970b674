"""Lightning's view of a tracked run: one call per epoch, the epoch as the step."""

from __future__ import annotations

from typing import Any

from lightning.pytorch.loggers import Logger
from lightning.pytorch.utilities import rank_zero_only

from mriad.tracking.run import Run


class EpochLogger(Logger):
    """Sends Lightning's metrics to a run, and never closes it: the run's status is not Lightning's to know.

    Args:
        run: an open run.
    """

    def __init__(self, *, run: Run) -> None:
        super().__init__()
        self._run = run

    @property
    def name(self) -> str:
        """Id of the experiment."""
        return self._run.experiment_id

    @property
    def version(self) -> str:
        """Nothing: Lightning would show it in the progress bar."""
        return ""

    @rank_zero_only
    def log_hyperparams(self, params: Any, *args: Any, **kwargs: Any) -> None:
        """Nothing: the task has logged the config."""

    @rank_zero_only
    def log_metrics(self, metrics: dict[str, float], step: int | None = None) -> None:
        """Log an epoch's metrics."""
        epoch = int(metrics.get("epoch", step or 0))
        values = {name: value for name, value in metrics.items() if name != "epoch"}
        if values:
            self._run.log_metrics(values, step=epoch)
