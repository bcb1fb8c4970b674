"""One MLflow run from its first parameter to its final status."""

from __future__ import annotations

import getpass
import json
import logging
import re
import subprocess
import sys
import tempfile
import time
from collections.abc import Iterator, Mapping, Sequence
from contextlib import contextmanager, nullcontext
from importlib import metadata
from pathlib import Path
from typing import TYPE_CHECKING, Any
from urllib.parse import urlparse
from urllib.request import url2pathname

import pandas as pd
from hydra.core.hydra_config import HydraConfig

from mriad.errors import MriadError, told
from mriad.guesses import nearest
from mriad.invocation import in_a_clone, typed
from mriad.passwords import conceal, hide
from mriad.tables import write_csv
from mriad.tracking.registry import run_id_of
from mriad.tracking.spool import Sender, Spool
from mriad.tracking.store import absolute, connect, experiment_id, hurry, shown, why_away, with_password
from mriad.tracking.sweep import JOB_TAG, slurm_job, this_job
from mriad.tracking.system import SYSTEM, require_system_metrics, system_metrics
from mriad.tracking.writes import Artifact, DataSets, Model, Point, Status, Values

if TYPE_CHECKING:
    from matplotlib.figure import Figure
    from mlflow import MlflowClient
    from mlflow.entities import Run as StoredRun

log = logging.getLogger(__name__)

OUTPUT_TAG = "output_dir"
PARENT_TAG = "mlflow.parentRunId"
SLURM_TAG = "slurm.job"
_MOST_RUNS = 5000  # that are looked through for one that an unknown id may mean
_SQLITE = "sqlite:///"


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
            raise self._gone(why) from error
        hurry()
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
                raise self._gone(why) from error
            raise MriadError(
                f"There is no run '{run_id}' in {shown(self.tracking_uri)}{perhaps(self.client, run_id)}; look its id "
                "up in the MLflow UI, or set logger.tracking_uri to the store it is in."
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

    def _gone(self, why: str) -> MriadError:
        return MriadError(
            f"The MLflow store {shown(self.tracking_uri)} has gone away ({why}); start again when it is back."
        )

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
        """Log what the machine does; nothing of it belongs to the model. May be called from another thread."""
        now = _now()
        self._sender.send(Values(points=[(name, float(value), now, step) for name, value in metrics.items()]))

    def next_system_step(self) -> int:
        """Where the system metrics of a resumed run go on; 0 for a new one."""
        earlier = [name for name in self.metrics if name.startswith(SYSTEM)]
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
            raise missing from error

    def _moved(self, artifact: str) -> MriadError | None:
        """What to say where the store still names the folder that its artifacts were moved away from."""
        home = self.local_path("")
        if home is None or home.exists() or len(home.parents) < 3 or home.parents[1].exists():
            return None
        project, now = home.parents[2], None
        if self.uri.startswith(_SQLITE):  # the folder of artifacts lies beside the database, see ``experiment_id``
            here = Path(self.uri.removeprefix(_SQLITE)).absolute().parent
            if here == project:  # the run has logged none
                return None
            now = here.joinpath(*home.parts[-3:], artifact)
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


def _close_anyway(run: Run, status: str, failure: str) -> None:
    """Close a run as well as it goes; that it cannot be closed must not hide what has ended it."""
    try:
        run.close(status, failure)
    except Exception as error:
        log.warning("Run %s is not closed in its store: %s", run.run_id, reason(error))


def perhaps(client: MlflowClient, run_id: str) -> str:
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


def reason(error: BaseException) -> str:
    """Why something failed, in one line: a MriadError's sentence, else the exception's name and first line."""
    first = hide(str(told(error) or error)).strip().split("\n")[0]
    return first if told(error) else f"{type(error).__name__}: {first}"


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
