"""One MLflow run from its first parameter to its final status."""

from __future__ import annotations

import getpass
import json
import os
import re
import subprocess
import sys
import tempfile
import time
from collections.abc import Iterator, Mapping
from contextlib import contextmanager
from dataclasses import dataclass
from importlib import metadata
from pathlib import Path
from typing import TYPE_CHECKING, Any
from urllib.parse import urlparse
from urllib.request import url2pathname

import pandas as pd

from mriad.errors import MriadError, told
from mriad.tracking.store import absolute, connect, experiment_id
from mriad.tracking.sweep import JOB_TAG, this_job

if TYPE_CHECKING:
    from matplotlib.figure import Figure
    from mlflow import MlflowClient

PARENT_TAG = "mlflow.parentRunId"
SLURM_TAG = "slurm.job"


class Tracker:
    """A tracking store and an experiment in it.

    Args:
        tracking_uri: MLflow tracking URI.
        experiment: name of the experiment; made if it is not there.
        log_model: log a pyfunc model with each training run.
        model_copy: let that model carry its own copy of the checkpoint, so that it can be moved away from its run;
            False lets it read the run's checkpoint, for big networks.

    Raises:
        MriadError: if the store cannot be reached.
    """

    def __init__(
        self, *, tracking_uri: str, experiment: str = "mriad", log_model: bool = True, model_copy: bool = True
    ) -> None:
        self.tracking_uri = tracking_uri = absolute(tracking_uri)
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
        says why in one line.

        Args:
            name: name of a new run.
            tags: tags of the run.
            parent: id of the run that it belongs to.
            resume: id of a run to go on with instead of a new one.
        """
        if resume is None:
            links = {PARENT_TAG: parent} if parent else {}
            if job := this_job():
                links[JOB_TAG] = job
            info = self.client.create_run(self.experiment_id, run_name=name, tags={**_origin(), **tags, **links}).info
        else:
            self.client.update_run(resume, status="RUNNING")
            stored = self.client.get_run(resume)
            info = stored.info
            if "failure" in stored.data.tags:  # why it ended before says nothing of how it ends now
                self.client.delete_tag(resume, "failure")
        run = Run(client=self.client, run_id=info.run_id, experiment_id=info.experiment_id, uri=self.tracking_uri)
        try:
            yield run
        except (KeyboardInterrupt, SystemExit):
            run.close("KILLED", "interrupted")
            raise
        except BaseException as error:
            run.close("FAILED", reason(error))
            raise
        run.close("FINISHED")

    def find(self, run_id: str) -> Run:
        """An existing run.

        Raises:
            MriadError: if the store does not know it.
        """
        from mlflow.exceptions import MlflowException

        try:
            info = self.client.get_run(run_id).info
        except MlflowException:
            raise MriadError(
                f"There is no run '{run_id}' in {self.tracking_uri}; look its id up in the MLflow UI, "
                "or set logger.tracking_uri to the store it is in."
            ) from None
        return Run(client=self.client, run_id=info.run_id, experiment_id=info.experiment_id, uri=self.tracking_uri)


@dataclass(frozen=True, kw_only=True)
class Run:
    """A run in the tracking store.

    Args:
        client: client of the store.
        run_id: id of the run.
        experiment_id: id of its experiment.
        uri: tracking URI of the store.
    """

    client: MlflowClient
    run_id: str
    experiment_id: str
    uri: str

    def log_params(self, params: Mapping[str, Any]) -> None:
        """Log parameters; of a resumed run those that changed become tags ``resumed.<name>``."""
        from mlflow.entities import Param, RunTag

        known = self.client.get_run(self.run_id).data.params
        values = {key: str(value)[:6000] for key, value in params.items()}
        new = [Param(key, value) for key, value in values.items() if key not in known]
        changed = [RunTag(f"resumed.{k}", v) for k, v in values.items() if k in known and known[k] != v]
        for start in range(0, len(new), 100):
            self.client.log_batch(self.run_id, params=new[start : start + 100])
        if changed:
            self.client.log_batch(self.run_id, tags=changed)

    def log_metrics(self, metrics: Mapping[str, float], step: int = 0) -> None:
        """Log metrics in one call; undefined ones (NaN) are left out."""
        from mlflow.entities import Metric

        now = int(time.time() * 1000)
        batch = [Metric(key, float(value), now, step) for key, value in metrics.items() if value == value]
        self.client.log_batch(self.run_id, metrics=batch)

    def log_figures(self, figures: Mapping[str, Figure], folder: str = "plots") -> None:
        """Log figures as ``<folder>/<name>.png``."""
        with tempfile.TemporaryDirectory() as work:
            for name, figure in figures.items():
                figure.savefig(Path(work) / f"{name}.png", dpi=150)
            self.client.log_artifacts(self.run_id, work, folder)

    def log_table(self, table: pd.DataFrame, name: str) -> None:
        """Log a table as an artifact; ``name`` ends in .csv or .parquet."""
        with tempfile.TemporaryDirectory() as work:
            file = Path(work) / Path(name).name
            if file.suffix == ".csv":
                table.to_csv(file, index=False)
            else:
                table.to_parquet(file, index=False)
            self.log_file(file, str(Path(name).parent))

    def log_file(self, file: Path, folder: str = ".") -> None:
        """Log a file as an artifact in ``folder``."""
        self.client.log_artifact(self.run_id, str(file), None if folder == "." else folder)

    def log_text(self, text: str, name: str) -> None:
        """Log a text as an artifact."""
        self.client.log_text(self.run_id, text, name)

    def log_environment(self) -> None:
        """Log package versions, and the git commit as a tag where there is one."""
        needed = [re.split(r"[^\w.-]", line)[0] for line in metadata.requires("mriad") or [] if "extra ==" not in line]
        versions = {name: metadata.version(name) for name in ("mriad", *needed)}
        self.log_text(json.dumps(versions, indent=2), "environment.json")
        if commit := _git_commit():
            self.set_tags({"mlflow.source.git.commit": commit})

    def set_tags(self, tags: Mapping[str, str]) -> None:
        """Set tags in one call."""
        from mlflow.entities import RunTag

        self.client.log_batch(self.run_id, tags=[RunTag(key, str(value)) for key, value in tags.items()])

    def history(self, *names: str) -> pd.DataFrame:
        """Metrics by epoch as first logged: column ``epoch`` and one column per metric."""
        columns = {}
        for name in names:
            points = sorted(self.client.get_metric_history(self.run_id, name), key=lambda m: -m.timestamp)
            if points:
                columns[name] = pd.Series({point.step: point.value for point in points})
        return pd.DataFrame(columns).sort_index().rename_axis("epoch").reset_index()

    def local_path(self, artifact: str) -> Path | None:
        """Where an artifact of this run lies or would lie on this machine; None if its store is elsewhere."""
        root = urlparse(self.client.get_run(self.run_id).info.artifact_uri)
        return Path(url2pathname(root.path)) / artifact if root.scheme in ("", "file") else None

    def download(self, artifact: str, folder: Path) -> Path:
        """Local path of an artifact: where it lies in a local store, else fetched into ``folder``.

        Raises:
            MriadError: if the run has no such artifact.
        """
        import mlflow

        missing = MriadError(
            f"Run '{self.run_id}' in {self.uri} has no {artifact}: it did not finish its training, or is an evaluation."
        )
        if (path := self.local_path(artifact)) is not None:  # MLflow would copy half a gigabyte into a temporary folder
            if not path.exists():
                raise missing
            return path
        try:
            return Path(
                mlflow.artifacts.download_artifacts(
                    run_id=self.run_id, artifact_path=artifact, dst_path=str(folder), tracking_uri=self.uri
                )
            )
        except Exception as error:
            raise missing from error

    def close(self, status: str, failure: str | None = None) -> None:
        """Set the final status, with the reason of a failure as a tag."""
        if failure is not None:
            self.set_tags({"failure": failure[:5000]})
        self.client.set_terminated(self.run_id, status)


def reason(error: BaseException) -> str:
    """Why something failed, in one line: a MriadError's sentence, else the exception's name and first line."""
    first = str(told(error) or error).strip().split("\n")[0]
    return first if told(error) else f"{type(error).__name__}: {first}"


def _origin() -> dict[str, str]:
    """Who started the run, with which command, in which job of a cluster."""
    try:
        user = getpass.getuser()
    except (KeyError, OSError):  # a container may know no name for its user
        user = "unknown"
    slurm = {SLURM_TAG: os.environ["SLURM_JOB_ID"]} if "SLURM_JOB_ID" in os.environ else {}
    return slurm | {"mlflow.user": user, "mlflow.source.type": "LOCAL", "mlflow.source.name": Path(sys.argv[0]).name}


def _git_commit() -> str | None:
    try:
        return subprocess.run(
            ["git", "-C", str(Path(__file__).parent), "rev-parse", "HEAD"],
            capture_output=True,
            text=True,
            check=True,
        ).stdout.strip()
    except (OSError, subprocess.CalledProcessError):
        return None
