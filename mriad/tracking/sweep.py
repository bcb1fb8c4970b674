"""One MLflow parent run per multirun, made once before its jobs start."""

from __future__ import annotations

import os
from typing import Any

from hydra.experimental.callback import Callback
from hydra.types import RunMode
from omegaconf import DictConfig

PARENT_VARIABLE = "MRIAD_PARENT_RUN"


class ParentRun(Callback):
    """Hydra callback: opens the parent run and hands its id to the jobs through the environment.

    Only jobs that log to the store get a parent; the id reaches every launcher's jobs, on other nodes too.
    """

    def on_multirun_start(self, config: DictConfig, **kwargs: Any) -> None:
        """Make the parent run."""
        from mriad.tracking.run import Tracker

        tracker = Tracker(tracking_uri=config.logger.tracking_uri, experiment=config.logger.experiment)
        overrides = " ".join(config.hydra.overrides.task)
        parent = tracker.client.create_run(
            tracker.experiment_id, run_name=f"sweep {overrides}"[:250], tags={"kind": "sweep", "overrides": overrides}
        )
        self._client, self._run_id = tracker.client, parent.info.run_id
        os.environ[PARENT_VARIABLE] = self._run_id

    def on_multirun_end(self, config: DictConfig, **kwargs: Any) -> None:
        """Close the parent: FAILED if a child failed."""
        from mriad.tracking.run import PARENT_TAG

        if os.environ.pop(PARENT_VARIABLE, None) is None:
            return
        parent = self._client.get_run(self._run_id)
        children = self._client.search_runs(
            [parent.info.experiment_id], filter_string=f"tags.`{PARENT_TAG}` = '{self._run_id}'", max_results=1000
        )
        whole = all(child.info.status == "FINISHED" for child in children)
        self._client.set_terminated(self._run_id, "FINISHED" if whole else "FAILED")


def parent_run() -> str | None:
    """Id of the parent run of the multirun that this job belongs to, or None."""
    from hydra.core.hydra_config import HydraConfig

    if HydraConfig.initialized() and HydraConfig.get().mode == RunMode.MULTIRUN:
        return os.environ.get(PARENT_VARIABLE)
    return None
