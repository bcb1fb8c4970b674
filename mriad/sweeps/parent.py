"""The MLflow run that holds a sweep together: opened before its first job, written when its last has ended."""

from __future__ import annotations

import logging
import os
import shlex
import shutil
import subprocess
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import TYPE_CHECKING

from hydra.core.override_parser.overrides_parser import OverridesParser
from omegaconf import DictConfig, OmegaConf

from mriad.errors import MriadError
from mriad.processes.outcome import Outcome
from mriad.tracking.sweep import PARENT_VARIABLE
from mriad.tracking.tags import JOB_TAG, OUTPUT_TAG, PARENT_TAG, SLURM_TAG

if TYPE_CHECKING:
    from mlflow.entities import Run as StoredRun

    from mriad.tracking.run import Run
    from mriad.tracking.tracker import Tracker

log = logging.getLogger(__name__)

_KINDS = {"train": "training", "evaluate": "evaluation"}  # commands whose jobs leave a run


class Parent:
    """The parent run of a sweep and the children below it.

    Args:
        tracker: the store that the jobs log to.
        run: the open parent run.
        kind: tag ``kind`` of the jobs' runs.
        objective: metric that chooses the best child; None if there is none.
    """

    def __init__(self, *, tracker: Tracker, run: Run, kind: str, objective: str | None) -> None:
        self.run = run
        self.objective = objective
        self._tracker = tracker
        self._kind = kind
        self._before: dict[str, Outcome] = {}

    def children(self) -> list[StoredRun]:
        """The jobs' runs, oldest first."""
        below, found, page = f"tags.`{PARENT_TAG}` = '{self.run.run_id}'", [], None
        while True:
            runs = self.run.client.search_runs(
                [self.run.experiment_id], below, order_by=["attributes.start_time ASC"], page_token=page
            )
            found += [run for run in runs if JOB_TAG in run.data.tags]
            page = runs.token
            if not page:
                return found

    def settle_earlier_attempt(self, *, keep_failed: bool) -> None:
        """Look at what an earlier attempt has left: what finished is kept, the rest no longer counts as a child.

        Args:
            keep_failed: whether failed jobs are left as they are, because a search will not run them again.

        Raises:
            MriadError: if one of them still runs on a cluster.
        """
        for child in self.children():
            self._tracker.send_rest(child.info.run_id, child.data.tags)  # it may have finished while the store was away
        for child in self.children():
            run_id, name = child.info.run_id, child.data.tags[JOB_TAG]
            if child.info.status == "FINISHED":
                self._before[name] = Outcome(value=child.data.metrics.get(self.objective or ""))
                continue
            if child.info.status == "FAILED" and keep_failed:
                continue
            job = child.data.tags.get(SLURM_TAG)
            if child.info.status != "FAILED" and job is not None and _is_queued(job):  # KILLED: it waits to go on
                raise MriadError(
                    f"{name} of this sweep still runs or waits as SLURM job {job}; wait for it, or scancel it, and "
                    "resume then."
                )
            self._end(child, "KILLED", "its sweep ended before it did")
            self.run.client.delete_tag(run_id, PARENT_TAG)
            self.run.client.set_tag(run_id, "sweep.earlier_attempt_of", self.run.run_id)

    def finished(self, name: str) -> Outcome | None:
        """How a job ended in an earlier attempt at this sweep; None if it has not finished there."""
        return self._before.get(name)

    def remember(self, name: str, outcome: Outcome) -> None:
        """Keep how a job has finished, for a search may ask for the same one twice."""
        self._before[name] = outcome

    def mark_failed(self, name: str, failure: str, *, label: str) -> None:
        """See that a job which failed is marked so, also if it died before it could say so or had a run at all.

        Args:
            name: the job.
            failure: why it failed.
            label: name of the run of a job that never had one.
        """
        with self.as_far_as_the_store_is_there():
            self._mark_failed(name, failure, label)

    @contextmanager
    def as_far_as_the_store_is_there(self) -> Iterator[None]:
        """Do something that can be put right later, and only say so if the store is away."""
        from mriad.tracking.store import why_away

        try:
            yield
        except Exception as error:
            if (why := why_away(error)) is None:
                raise
            log.warning(
                "The MLflow store is away (%s), and what it holds of this sweep is not up to date. When it is back, "
                "the same command with resume_sweep=%s puts it right.",
                why,
                self.run.run_id,
            )

    def _mark_failed(self, name: str, failure: str, label: str) -> None:
        child = next((run for run in reversed(self.children()) if run.data.tags[JOB_TAG] == name), None)
        if child is not None:
            self._end(child, "FAILED", failure)
            return
        tags = {"kind": self._kind, PARENT_TAG: self.run.run_id, JOB_TAG: name}
        info = self.run.client.create_run(self.run.experiment_id, run_name=label[:250], tags=tags).info
        self._tracker.find(info.run_id).close("FAILED", failure)

    def stop(self) -> None:
        """Close the children that an interrupt has left open."""
        for child in self.children():
            self._end(child, "KILLED", "interrupted")

    def _end(self, child: StoredRun, status: str, failure: str) -> None:
        """Close a run that is open, or that a signal has closed; FINISHED and FAILED are a job's own last word."""
        if child.info.status in ("RUNNING", "KILLED") and child.info.status != status:
            self._tracker.find(child.info.run_id).close(status, failure)


def _is_queued(job: str) -> bool:
    """Whether a SLURM job runs or waits; False where there is no SLURM."""
    if shutil.which("squeue") is None:
        return False
    return bool(subprocess.run(["squeue", "-h", "-j", job], capture_output=True, text=True).stdout.strip())


@contextmanager
def parent_of(config: DictConfig) -> Iterator[Parent | None]:
    """Open the parent run of a sweep, or go on with the one that ``resume_sweep`` names; None for jobs without runs.

    The store and the experiment are made here, once, so that jobs which start together find them.

    Raises:
        MriadError: if the store cannot be reached, or ``resume_sweep`` is no sweep in it.
    """
    kind = _KINDS.get(config.hydra.job.name)
    if kind is None:
        yield None
        return
    from mriad.tracking.tracker import Tracker

    tracker = Tracker(tracking_uri=config.logger.tracking_uri, experiment=config.logger.experiment)
    earlier = OmegaConf.select(config, "resume_sweep")
    if earlier is not None:
        _require_sweep(tracker, str(earlier))
    overrides = list(config.hydra.overrides.task)
    folder = Path(config.hydra.sweep.dir).absolute()
    folder.mkdir(parents=True, exist_ok=True)  # where what it cannot send will wait
    tags = {"kind": "sweep", "overrides": shlex.join(overrides), OUTPUT_TAG: str(folder)}
    with tracker.run(name=_name(overrides), tags=tags, resume=earlier and str(earlier)) as run:
        parent = Parent(tracker=tracker, run=run, kind=kind, objective=OmegaConf.select(config, "objective"))
        parent.settle_earlier_attempt(keep_failed=OmegaConf.select(config, "sweep") is not None)
        os.environ[PARENT_VARIABLE] = run.run_id
        try:
            yield parent
        except (KeyboardInterrupt, SystemExit):
            with parent.as_far_as_the_store_is_there():
                parent.stop()
            raise
        finally:
            from mriad.sweeps.summary import summarize

            os.environ.pop(PARENT_VARIABLE)
            with parent.as_far_as_the_store_is_there():
                summarize(run, parent.children(), parent.objective)


def _name(overrides: list[str]) -> str:
    """Name of a sweep: what it varies, such as 'sweep model=ae,vae seed=0,1'."""
    parsed = OverridesParser.create().parse_overrides(overrides)
    varied = [
        option.input_line or "" for option in parsed if option.is_sweep_override() or option.key_or_group == "sweep"
    ]
    return " ".join(["sweep", *(varied or overrides)])[:250]


def _require_sweep(tracker: Tracker, run_id: str) -> None:
    run = tracker.find(run_id)
    if run.client.get_run(run_id).data.tags.get("kind") != "sweep":
        raise MriadError(
            f"resume_sweep={run_id} is no sweep but a run of another kind; give the id of the parent run, which the "
            "sweep has printed and the MLflow UI shows (resume=<run> goes on with a single training)."
        )
