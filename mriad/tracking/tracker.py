"""A tracking store and an experiment in it: where runs are opened and found again."""

from __future__ import annotations

import getpass
import logging
import sys
from collections.abc import Iterator, Mapping
from contextlib import contextmanager, nullcontext
from pathlib import Path
from typing import TYPE_CHECKING

from hydra.core.hydra_config import HydraConfig

from mriad.errors import MriadError, reason
from mriad.guesses import nearest
from mriad.invocation import typed
from mriad.passwords import conceal, shown
from mriad.tracking.registry import run_id_of
from mriad.tracking.run import Run
from mriad.tracking.spool import Spool
from mriad.tracking.store import absolute, connect, experiment_id, gone, limit_waiting, why_away
from mriad.tracking.sweep import slurm_job, this_job
from mriad.tracking.system import require_system_metrics, system_metrics
from mriad.tracking.tags import JOB_TAG, OUTPUT_TAG, PARENT_TAG, SLURM_TAG

if TYPE_CHECKING:
    from mlflow import MlflowClient
    from mlflow.entities import Run as StoredRun

log = logging.getLogger(__name__)

_MOST_RUNS = 5000  # that are looked through for one that an unknown id may mean


class Tracker:
    """A tracking store and an experiment in it.

    Args:
        tracking_uri: MLflow tracking URI.
        experiment: name of the experiment; made if it is not there.
        log_model: log a pyfunc model with each training run.
        model_copy: let that model carry its own copy of the checkpoint, so that it can be moved away from its run;
            False lets it read the run's checkpoint, for big networks.
        system_metrics: log what the machine does while a run lasts.

    Raises:
        MriadError: if the store cannot be reached, or nothing is installed to read the machine with.
    """

    def __init__(
        self,
        *,
        tracking_uri: str,
        experiment: str = "mriad",
        log_model: bool = True,
        model_copy: bool = True,
        system_metrics: bool = False,
    ) -> None:
        if system_metrics:
            require_system_metrics()
        self._watch = system_metrics
        self.tracking_uri = tracking_uri = conceal(absolute(tracking_uri))
        self.log_model = log_model
        self.model_copy = model_copy
        self.client: MlflowClient = connect(tracking_uri)
        self.experiment_id = experiment_id(self.client, experiment, tracking_uri)

    @contextmanager
    def run(
        self, *, name: str, tags: Mapping[str, str], parent: str | None = None, resume: str | None = None
    ) -> Iterator[Run]:
        """Open a run, and close it with the status that it earned.

        A run that leaves with an exception is marked FAILED, one that is interrupted KILLED; the tag ``failure``
        says why in one line. Once it is open, the store may go away: a run with the tag ``output_dir`` keeps in that
        folder what it could not send (see :mod:`mriad.tracking.spool`).

        Args:
            name: name of a new run.
            tags: tags of the run.
            parent: id of the run that it belongs to.
            resume: id of a run to go on with instead of a new one.

        Raises:
            MriadError: if the store goes away before the run is open.
        """
        try:
            run = self._new(name, tags, parent) if resume is None else self._earlier(resume)
        except Exception as error:
            if (why := why_away(error)) is None:
                raise
            raise gone(self.tracking_uri, why) from error
        limit_waiting()
        try:
            with system_metrics(run) if self._watch else nullcontext():
                yield run
        except (KeyboardInterrupt, SystemExit):
            _close_anyway(run, "KILLED", "interrupted")
            raise
        except BaseException as error:
            _close_anyway(run, "FAILED", reason(error))
            raise
        run.close("FINISHED")

    def find(self, run_id: str) -> Run:
        """An existing run.

        Args:
            run_id: its id, or what its detector is called in the registry (see :mod:`mriad.tracking.registry`).

        Raises:
            MriadError: if the store does not know it.
        """
        from mlflow.exceptions import MlflowException

        try:
            run_id = run_id_of(self.client, run_id, self.tracking_uri)
            stored = self.client.get_run(run_id)
        except MlflowException as error:
            if why := why_away(error):
                raise gone(self.tracking_uri, why) from error
            meant = nearest_run(self.client, run_id)
            raise MriadError(
                f"There is no run '{run_id}' in {shown(self.tracking_uri)}{meant}; look its id up in the MLflow UI, or "
                "set logger.tracking_uri to the store it is in."
            ) from None
        return Run(client=self.client, stored=stored, uri=self.tracking_uri)

    def send_rest(self, run_id: str, tags: Mapping[str, str]) -> None:
        """Send what waits for a run on this machine, if anything does.

        Args:
            run_id: id of the run.
            tags: its tags.
        """
        if (folder := _folder(tags)) is not None:
            Spool(folder=folder, uri=self.tracking_uri, run_id=run_id).send(self.client)

    def _open(self, stored: StoredRun) -> Run:
        return Run(client=self.client, stored=stored, uri=self.tracking_uri, folder=_folder(stored.data.tags))

    def _new(self, name: str, tags: Mapping[str, str], parent: str | None) -> Run:
        links = {PARENT_TAG: parent} if parent else {}
        if job := this_job():
            links[JOB_TAG] = job
        stored = self.client.create_run(self.experiment_id, run_name=name, tags={**_origin(), **tags, **links})
        return self._open(stored)

    def _earlier(self, run_id: str) -> Run:
        """A run to go on with, which says again that it runs; first it gets what still waits for it."""
        self.send_rest(run_id, self.find(run_id).tags)
        run = self._open(self.client.get_run(run_id))
        run.history(*run.metrics)  # read while the store is there
        self.client.update_run(run_id, status="RUNNING")
        if run.tags.pop("failure", None):  # why it ended before says nothing of how it ends now
            self.client.delete_tag(run_id, "failure")
        return run


def nearest_run(client: MlflowClient, run_id: str) -> str:
    """A clause with the run that an unknown id may mean: one with a similar id, or of that name; else nothing."""
    from mlflow.exceptions import MlflowException

    if run_id.endswith(".ckpt") or Path(run_id).expanduser().exists():
        return ", and this is a path: a .ckpt file is given as checkpoint=<path>"
    try:
        experiments = [experiment.experiment_id for experiment in client.search_experiments()]
        runs = client.search_runs(experiments, max_results=_MOST_RUNS) if experiments else []
    except MlflowException:
        return ""
    ids = {run.info.run_id: run.info.run_id for run in reversed(runs)}
    names = {run.info.run_name: run.info.run_id for run in reversed(runs) if run.info.run_name}
    known = names | ids
    guess = nearest(run_id, known, share=0.8)
    return f", perhaps {known[guess]} was meant" if guess else ""


def _close_anyway(run: Run, status: str, failure: str) -> None:
    """Close a run as well as it goes; that it cannot be closed must not hide what has ended it."""
    try:
        run.close(status, failure)
    except Exception as error:
        log.warning("Run %s is not closed in its store: %s", run.run_id, reason(error))


def _origin() -> dict[str, str]:
    """Who started the run, with which command, in which job of a cluster."""
    try:
        user = getpass.getuser()
    except (KeyError, OSError):  # a container may know no name for its user
        user = "unknown"
    slurm = {SLURM_TAG: job} if (job := slurm_job()) else {}
    command = typed(HydraConfig.get().job.name) if HydraConfig.initialized() else Path(sys.argv[0]).name
    return slurm | {"mlflow.user": user, "mlflow.source.type": "LOCAL", "mlflow.source.name": command}


def _folder(tags: Mapping[str, str]) -> Path | None:
    """Output folder of a run, where it is on this machine."""
    folder = Path(tags.get(OUTPUT_TAG, ""))
    return folder if folder.is_absolute() and folder.is_dir() else None
