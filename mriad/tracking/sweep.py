"""One MLflow parent run per multirun, made once before its jobs start."""

from __future__ import annotations

import atexit
import os
from typing import TYPE_CHECKING, Any

from hydra.experimental.callback import Callback
from hydra.types import RunMode
from omegaconf import DictConfig

if TYPE_CHECKING:
    from mlflow import MlflowClient
    from mlflow.entities import RunInfo

PARENT_VARIABLE = "MRIAD_PARENT_RUN"


class ParentRun(Callback):
    """Hydra callback: opens the parent run and hands its id to the jobs through the environment.

    Only jobs that log to the store get a parent; the id reaches every launcher's jobs, on other nodes too.
    """

    def on_multirun_start(self, config: DictConfig, **kwargs: Any) -> None:
        """Make the parent run; predictions and audits leave no run, so they need none."""
        if config.hydra.job.name in ("predict", "audit"):
            return
        from mriad.tracking.run import Tracker

        tracker = Tracker(tracking_uri=config.logger.tracking_uri, experiment=config.logger.experiment)
        overrides = " ".join(config.hydra.overrides.task)
        parent = tracker.client.create_run(
            tracker.experiment_id,
            run_name=f"sweep {overrides}"[:250],
            tags={"kind": "sweep", "overrides": overrides},
        )
        os.environ[PARENT_VARIABLE] = parent.info.run_id
        atexit.register(_close, tracker.client, parent.info)  # Hydra has no hook for a multirun that ends in an error


def _close(client: MlflowClient, parent: RunInfo) -> None:
    """Close the parent: FAILED if a child did not finish."""
    from mriad.tracking.run import PARENT_TAG

    children = client.search_runs(
        [parent.experiment_id], filter_string=f"tags.`{PARENT_TAG}` = '{parent.run_id}'", max_results=1000
    )
    whole = bool(children) and all(child.info.status == "FINISHED" for child in children)
    client.set_terminated(parent.run_id, "FINISHED" if whole else "FAILED")


def parent_run() -> str | None:
    """Id of the parent run of the multirun that this job belongs to, or None."""
    from hydra.core.hydra_config import HydraConfig

    if HydraConfig.initialized() and HydraConfig.get().mode == RunMode.MULTIRUN:
        return os.environ.get(PARENT_VARIABLE)
    return None
