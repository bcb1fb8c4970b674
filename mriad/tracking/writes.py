"""What a run writes, as plain data. Each write may be sent twice, and the store holds it once."""

from __future__ import annotations

import shutil
import tempfile
from abc import ABC, abstractmethod
from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field
from pathlib import Path
from typing import TYPE_CHECKING
from urllib.parse import urlparse
from urllib.request import url2pathname
from uuid import uuid4

from mriad.disk import written_whole

if TYPE_CHECKING:
    from mlflow import MlflowClient

Point = tuple[str, float, int, int]  # name, value, time in ms, step
_WRITE_TAG = "mriad.write"
_MOST_PARAMS = 100  # that MLflow takes at a time


@dataclass(frozen=True, kw_only=True)
class Write(ABC):
    """One write to a run.

    Args:
        path: the file or folder that belongs to it, if any.
    """

    path: Path | None = None

    @abstractmethod
    def send(self, client: MlflowClient, run_id: str) -> None:
        """Put it into the store."""


@dataclass(frozen=True, kw_only=True)
class Values(Write):
    """Metrics, parameters and tags. The store ignores a point that it has, with its time, and a parameter that it has.

    Args:
        points: metrics.
        params: parameters.
        tags: tags.
    """

    points: Sequence[Point] = ()
    params: Mapping[str, str] = field(default_factory=dict)
    tags: Mapping[str, str] = field(default_factory=dict)

    def send(self, client: MlflowClient, run_id: str) -> None:
        """Put them into the store."""
        from mlflow.entities import Metric, Param, RunTag

        params = [Param(name, value) for name, value in self.params.items()]
        for start in range(0, len(params), _MOST_PARAMS):
            client.log_batch(run_id, params=params[start : start + _MOST_PARAMS])
        if self.points or self.tags:
            metrics = [Metric(*point) for point in self.points]
            client.log_batch(run_id, metrics=metrics, tags=[RunTag(*tag) for tag in self.tags.items()])


@dataclass(frozen=True, kw_only=True)
class DataSets(Write):
    """The data sets that a run reads. The store ignores one that the run has.

    Args:
        sets: ``name``, ``digest``, ``context`` (what the run does with it), ``source`` and ``profile`` (both JSON) of
            each.
    """

    sets: Sequence[Mapping[str, str]] = ()

    def send(self, client: MlflowClient, run_id: str) -> None:
        """Put them into the store."""
        from mlflow.entities import Dataset, DatasetInput, InputTag
        from mlflow.utils.mlflow_tags import MLFLOW_DATASET_CONTEXT

        inputs = [
            DatasetInput(
                Dataset(one["name"], one["digest"], "local", one["source"], profile=one["profile"]),
                [InputTag(MLFLOW_DATASET_CONTEXT, one["context"])],
            )
            for one in self.sets
        ]
        client.log_inputs(run_id, inputs)


@dataclass(frozen=True, kw_only=True)
class Artifact(Write):
    """A file, put over one of its name.

    Args:
        folder: folder among the artifacts.
    """

    folder: str = "."

    def send(self, client: MlflowClient, run_id: str) -> None:
        """Put it into the store; where that is a folder, over an earlier file only when all of it is there."""
        assert self.path is not None
        root = urlparse(client.get_run(run_id).info.artifact_uri)
        if root.scheme not in ("", "file"):
            client.log_artifact(run_id, str(self.path), None if self.folder == "." else self.folder)
            return
        file = Path(url2pathname(root.path)) / self.folder / self.path.name
        file.parent.mkdir(parents=True, exist_ok=True)
        with written_whole(file) as part:
            shutil.copy2(self.path, part)


@dataclass(frozen=True, kw_only=True)
class Model(Write):
    """An MLflow model that was saved to a folder. What an earlier attempt at the same write has left is completed.

    Args:
        name: name of the model.
        params: its parameters.
        points: its metrics.
        key: what tells this write from any other.
    """

    name: str
    params: Mapping[str, str] = field(default_factory=dict)
    points: Sequence[Point] = ()
    key: str = field(default_factory=lambda: uuid4().hex)

    def send(self, client: MlflowClient, run_id: str) -> None:
        """Put it into the store."""
        from mlflow.entities import LoggedModelOutput, LoggedModelStatus, Metric
        from mlflow.models import Model as SavedModel
        from mlflow.models.model import MLMODEL_FILE_NAME

        assert self.path is not None
        run = client.get_run(run_id)
        experiment = run.info.experiment_id
        found = client.search_logged_models([experiment], filter_string=f"tags.`{_WRITE_TAG}` = '{self.key}'")
        model = (
            found[0]
            if found
            else client.create_logged_model(
                experiment, self.name, run_id, tags={_WRITE_TAG: self.key}, params=dict(self.params)
            )
        )
        if model.status == LoggedModelStatus.READY:
            return
        linked = run.outputs.model_outputs if run.outputs else []
        if model.model_id not in {output.model_id for output in linked}:
            client.log_outputs(run_id, [LoggedModelOutput(model.model_id, step=0)])
        client.log_batch(run_id, metrics=[Metric(*point, model_id=model.model_id) for point in self.points])
        with tempfile.TemporaryDirectory() as work:  # only now the model can say who it is
            description = Path(work) / MLMODEL_FILE_NAME
            shutil.copy(self.path / MLMODEL_FILE_NAME, description)
            saved = SavedModel.load(str(description))
            saved.run_id, saved.model_id, saved.model_uuid = run_id, model.model_id, model.model_id
            saved.artifact_path = model.artifact_location
            saved.save(str(description))
            client.log_model_artifacts(model.model_id, str(self.path))
            client.log_model_artifacts(model.model_id, work)
        client.finalize_logged_model(model.model_id, LoggedModelStatus.READY)


@dataclass(frozen=True, kw_only=True)
class Status(Write):
    """How a run ended.

    Args:
        status: FINISHED, FAILED or KILLED.
        end_time: when, in ms.
    """

    status: str
    end_time: int

    def send(self, client: MlflowClient, run_id: str) -> None:
        """Put it into the store."""
        ended = client.get_run(run_id).info.end_time
        if ended is None or ended <= self.end_time:  # else it has gone on elsewhere since, and ended again
            client.set_terminated(run_id, self.status, self.end_time)
