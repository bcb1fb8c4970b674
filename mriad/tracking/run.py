"""One MLflow run from its first parameter to its final status."""

from __future__ import annotations

import json
import re
import subprocess
import tempfile
import time
from collections.abc import Iterator, Mapping, Sequence
from contextlib import contextmanager
from importlib import metadata
from pathlib import Path
from typing import TYPE_CHECKING, Any
from urllib.parse import urlparse
from urllib.request import url2pathname

import pandas as pd

from mriad.errors import MriadError
from mriad.invocation import in_a_clone, typed
from mriad.passwords import shown
from mriad.tables import write_csv
from mriad.tracking.spool import Sender
from mriad.tracking.store import database_file, gone, why_away, with_password
from mriad.tracking.writes import Artifact, DataSets, Model, Point, Status, Values

if TYPE_CHECKING:
    from matplotlib.figure import Figure
    from mlflow import MlflowClient
    from mlflow.entities import Run as StoredRun

METHOD = "method.json"  # the artifact that says what a run's method is
_SYSTEM = "system/"  # what MLflow knows the machine's metrics by


class Run:
    """A run in the tracking store, and what this process knows of it: nothing is read while it writes.

    Args:
        client: client of the store.
        stored: the run as the store has it.
        uri: tracking URI of the store.
        folder: where it keeps what the store cannot take; None makes a store that is away an error.
    """

    def __init__(self, *, client: MlflowClient, stored: StoredRun, uri: str, folder: Path | None = None) -> None:
        self.client = client
        self.uri = uri
        self.run_id: str = stored.info.run_id
        self.experiment_id: str = stored.info.experiment_id
        self.name: str = stored.info.run_name
        self.tags: dict[str, str] = dict(stored.data.tags)
        self.params: dict[str, str] = dict(stored.data.params)
        self.metrics: dict[str, float] = dict(stored.data.metrics)
        self._artifacts = urlparse(stored.info.artifact_uri)
        self._earlier: dict[str, list[Point]] = {}
        self._points: list[Point] = []
        self._sender = Sender(client=client, run_id=self.run_id, uri=uri, folder=folder)

    def log_params(self, params: Mapping[str, Any]) -> None:
        """Log parameters; of a resumed run those that changed become tags ``resumed.<name>``."""
        values = {name: str(value)[:6000] for name, value in params.items()}
        new = {name: value for name, value in values.items() if name not in self.params}
        known = self.params.items()
        changed = {f"resumed.{name}": value for name, value in values.items() - known if name not in new}
        self.params |= new
        self._sender.send(Values(params=new, tags=changed))

    def log_metrics(self, metrics: Mapping[str, float], step: int = 0) -> None:
        """Log metrics in one call; undefined ones (NaN) are left out."""
        now = _now()
        points = [(name, float(value), now, step) for name, value in metrics.items() if value == value]
        points = [point for point in points if not self._has(point)]
        self._points += points
        self._sender.send(Values(points=points))

    def log_system(self, metrics: Mapping[str, float], step: int) -> None:
        """Log what the machine does as ``system/...``; it does not belong to the model. May be called in a thread."""
        now = _now()
        points = [(f"{_SYSTEM}{name}", float(value), now, step) for name, value in metrics.items()]
        self._sender.send(Values(points=points))

    def next_system_step(self) -> int:
        """Where the system metrics of a resumed run go on; 0 for a new one."""
        earlier = [name for name in self.metrics if name.startswith(_SYSTEM)]
        return 1 + max((step for name in earlier for _, _, _, step in self._stored_points(name)), default=-1)

    def log_data_sets(self, sets: Sequence[Mapping[str, str]]) -> None:
        """Log the data sets that this run reads, see :class:`mriad.tracking.writes.DataSets`."""
        self._sender.send(DataSets(sets=sets))

    def set_tags(self, tags: Mapping[str, str]) -> None:
        """Set tags in one call."""
        values = {name: str(value) for name, value in tags.items()}
        self.tags |= values
        self._sender.send(Values(tags=values))

    def log_file(self, file: Path, folder: str = ".") -> None:
        """Log a file as an artifact in ``folder``."""
        self._sender.send(Artifact(path=file, folder=folder))

    def log_figures(self, figures: Mapping[str, Figure], folder: str = "plots") -> None:
        """Log figures as ``<folder>/<name>.png``."""
        for name, figure in figures.items():
            with self._artifact(f"{folder}/{name}.png") as file:
                # as small as by default, in half the time
                figure.savefig(file, dpi=150, pil_kwargs={"compress_level": 3})

    def log_table(self, table: pd.DataFrame, name: str) -> None:
        """Log a table as an artifact; ``name`` ends in .csv or .parquet."""
        with self._artifact(name) as file:
            if file.suffix == ".csv":
                write_csv(table, file)
            else:
                table.to_parquet(file, index=False)

    def log_text(self, text: str, name: str) -> None:
        """Log a text as an artifact."""
        with self._artifact(name) as file:
            file.write_text(text, encoding="utf-8")

    def log_model(self, folder: Path, name: str = "model") -> None:
        """Log an MLflow model that was saved to a folder, with the parameters and latest metrics of this run."""
        latest = {point[0]: point for point in self._points}
        self._sender.send(Model(path=folder, name=name, params=self.params, points=list(latest.values())))

    def log_environment(self) -> None:
        """Log package versions, and the git commit as a tag where there is one."""
        needed = [re.split(r"[^\w.-]", line)[0] for line in metadata.requires("mriad") or [] if "extra ==" not in line]
        versions = {name: metadata.version(name) for name in ("mriad", *needed)}
        self.log_text(json.dumps(versions, indent=2), "environment.json")
        if commit := _git_commit():
            self.set_tags({"mlflow.source.git.commit": commit})

    def history(self, *names: str) -> pd.DataFrame:
        """Metrics by epoch as first logged: column ``epoch`` and one column per metric."""
        columns = {}
        for name in names:
            points = self._stored_points(name) + [point for point in self._points if point[0] == name]
            if points:
                last_first = sorted(points, key=lambda point: -point[2])
                columns[name] = pd.Series({step: value for _, value, _, step in last_first})
        return pd.DataFrame(columns).sort_index().rename_axis("epoch").reset_index()

    @property
    def page(self) -> str:
        """Where to read about it: its address on a server, or how to open a store that has none."""
        if self.uri.startswith("http"):
            return f"on {shown(self.uri).rstrip('/')}/#/experiments/{self.experiment_id}/runs/{self.run_id}"
        return f"in {shown(self.uri)}; open it with: {typed('ui')}"

    def local_path(self, artifact: str) -> Path | None:
        """Where an artifact of this run lies or would lie on this machine; None if its store is elsewhere."""
        root = self._artifacts
        return Path(url2pathname(root.path)) / artifact if root.scheme in ("", "file") else None

    def download(self, artifact: str, folder: Path) -> Path:
        """Local path of an artifact: where it lies in a local store, else fetched to a new folder in ``folder``.

        Raises:
            MriadError: if the run has no such artifact, or the store is away.
        """
        import mlflow

        missing = MriadError(
            f"Run '{self.run_id}' in {shown(self.uri)} has no {artifact}: it did not finish its training, is an "
            "evaluation, or has logged it while the store was away and not sent it since."
        )
        if (path := self.local_path(artifact)) is not None:  # MLflow would copy half a gigabyte into a temporary folder
            if not path.exists():
                raise self._moved(artifact) or missing
            return path
        folder.mkdir(parents=True, exist_ok=True)
        mine = tempfile.mkdtemp(dir=folder)  # processes of one task may fetch the same file
        try:
            return Path(
                mlflow.artifacts.download_artifacts(
                    run_id=self.run_id, artifact_path=artifact, dst_path=mine, tracking_uri=with_password(self.uri)
                )
            )
        except Exception as error:
            raise (gone(self.uri, why) if (why := why_away(error)) else missing) from error

    def _moved(self, artifact: str) -> MriadError | None:
        """What to say where the store still names the folder that its artifacts were moved away from."""
        home = self.local_path("")
        if home is None or home.exists() or len(home.parents) < 3 or home.parents[1].exists():
            return None
        project, now = home.parents[2], None
        if file := database_file(self.uri):  # the folder of artifacts lies beside it, see ``experiment_id``
            if file.parent == project:  # the run has logged none
                return None
            now = file.parent.joinpath(*home.parts[-3:], artifact)
        elif project.exists():
            return None
        now = now if now and now.exists() else None
        there = f"{artifact} lies in {now.parent} now: " if now else ""
        given = f"give checkpoint={now} instead of run={self.run_id}" if now else f"give the path of its {artifact}"
        return MriadError(
            f"The artifacts of run '{self.run_id}' are in {home} by {shown(self.uri)}, and there is no such folder, so "
            f"they were moved or deleted; {there}{given}, or move them back."
        )

    def close(self, status: str, failure: str | None = None) -> None:
        """Set the final status, with the reason of a failure as a tag."""
        if failure is not None:
            self.set_tags({"failure": failure[:5000]})
        self._sender.finish(Status(status=status, end_time=_now()))

    @contextmanager
    def _artifact(self, name: str) -> Iterator[Path]:
        """A file to write, which is logged then."""
        with tempfile.TemporaryDirectory() as work:
            file = Path(work) / Path(name).name
            yield file
            self.log_file(file, str(Path(name).parent))

    def _has(self, point: Point) -> bool:
        """Whether the store had this value of this step before: an epoch that was begun twice gives it twice."""
        return any((step, value) == (point[3], point[1]) for _, value, _, step in self._earlier.get(point[0], []))

    def _stored_points(self, name: str) -> list[Point]:
        """A metric as the store had it when the run was opened; read once."""
        if name in self.metrics and name not in self._earlier:
            stored = self.client.get_metric_history(self.run_id, name)
            self._earlier[name] = [(point.key, point.value, point.timestamp, point.step) for point in stored]
        return self._earlier.get(name, [])


def _now() -> int:
    return int(time.time() * 1000)


def _git_commit() -> str | None:
    if not in_a_clone():  # an installed mriad may lie within somebody else's repository
        return None
    try:
        return subprocess.run(
            ["git", "-C", str(Path(__file__).parent), "rev-parse", "HEAD"],
            capture_output=True,
            text=True,
            check=True,
        ).stdout.strip()
    except (OSError, subprocess.CalledProcessError):
        return None
