"""``make server`` on a real PostgreSQL, and what happens to trainings when either goes away."""

from __future__ import annotations

import contextlib
import subprocess
import sys
from collections.abc import Iterator
from pathlib import Path

import mlflow
import pandas as pd
import pytest
from mlflow.entities import Run as StoredRun
from servers import MlflowServer, Postgres, new_postgres

from .command_line import REPOSITORY, Terminal, users_environment

pytestmark = pytest.mark.slow

AT_ONCE = REPOSITORY / "tests" / "tracking" / "at_once.py"


class MadeServer(MlflowServer):
    """What ``make server`` starts."""

    def __init__(self, folder: Path, backend: str) -> None:
        super().__init__(folder, backend)
        self._command = ["make", "-f", str(REPOSITORY / "Makefile"), "-o", "install", "server", f"VENV={sys.prefix}"]
        self._command += [f"BACKEND={backend}", f"PORT={self.port}", "SERVER_OPTIONS=--workers 2"]


@pytest.fixture(scope="module")
def postgres() -> Iterator[Postgres]:
    with new_postgres() as postgres:
        yield postgres


@pytest.fixture(scope="module")
def server(postgres: Postgres, tmp_path_factory: pytest.TempPathFactory) -> Iterator[MadeServer]:
    server = MadeServer(tmp_path_factory.mktemp("server"), postgres.uri("mlflow")).start()
    yield server
    server.stop()


@pytest.fixture
def client(server: MadeServer) -> mlflow.MlflowClient:
    return mlflow.MlflowClient(server.uri)


def runs(uri: str, experiment: str) -> list[StoredRun]:
    client = mlflow.MlflowClient(uri)
    (found,) = [one for one in client.search_experiments() if one.name == experiment]
    return list(client.search_runs([found.experiment_id], order_by=["attributes.start_time ASC"]))


def artifacts(client: mlflow.MlflowClient, run_id: str, folder: str | None = None) -> set[str]:
    found: set[str] = set()
    for item in client.list_artifacts(run_id, folder):
        found |= artifacts(client, run_id, item.path) if item.is_dir else {item.path}
    return found


@pytest.fixture(scope="module")
def trained(
    server: MadeServer, small: tuple[str, ...], tmp_path_factory: pytest.TempPathFactory
) -> tuple[Terminal, StoredRun]:
    """A training that nothing has disturbed; its epochs are few."""
    terminal = Terminal(tmp_path_factory.mktemp("trained"), MLFLOW_TRACKING_URI=server.uri)
    outcome = terminal.train(*small, "logger.experiment=undisturbed").ok()
    (run,) = runs(server.uri, "undisturbed")
    assert f"{server.uri}/#/experiments/{run.info.experiment_id}/runs/{run.info.run_id}" in outcome.out
    return terminal, run


def test_a_training_logs_everything_to_the_server(
    server: MadeServer, client: mlflow.MlflowClient, trained: tuple[Terminal, StoredRun]
) -> None:
    terminal, run = trained
    assert run.info.status == "FINISHED" and run.info.artifact_uri.startswith("mlflow-artifacts:/")
    files = artifacts(client, run.info.run_id)
    assert {"report.html", "checkpoint/best.ckpt", "plots/loss.png", "plots/roc.png", "scores.parquet"} <= files
    assert {str(file) for file in (server.folder / "mlartifacts").rglob("*") if file.name == "best.ckpt"}
    assert not list(terminal.folder.glob("mlflow.db*")) and not list(terminal.folder.glob("**/spool"))
    (model,) = client.search_logged_models([run.info.experiment_id])
    assert model.status.value == "READY"
    assert {metric.key: metric.value for metric in model.metrics}["test/auroc"] == run.data.metrics["test/auroc"]


def test_a_run_on_the_server_is_tested_and_compared_elsewhere(
    server: MadeServer, trained: tuple[Terminal, StoredRun], tmp_path: Path
) -> None:
    run_id = trained[1].info.run_id
    terminal = Terminal(tmp_path / "another machine")
    option = f"logger.tracking_uri={server.uri}"
    terminal.evaluate(f"run={run_id}", option, "logger.experiment=elsewhere").ok()
    (tested,) = runs(server.uri, "elsewhere")
    assert tested.data.tags["source_run"] == run_id
    assert tested.data.metrics["test/auroc"] == trained[1].data.metrics["test/auroc"]
    line = f"python -m mriad.compare {run_id} {tested.info.run_id} --tracking-uri {server.uri}"
    terminal.shell(line, PYTHONPATH=str(REPOSITORY)).ok()
    methods = pd.read_csv(terminal.folder / "comparison" / "methods.csv")
    assert set(methods["auroc"]) == {run.data.metrics["test/auroc"] for run in (trained[1], tested)}


@pytest.mark.parametrize("what", ["server", "database"])
def test_a_training_survives_what_goes_away_and_loses_nothing(
    what: str,
    server: MadeServer,
    postgres: Postgres,
    client: mlflow.MlflowClient,
    trained: tuple[Terminal, StoredRun],
    small: tuple[str, ...],
    tmp_path: Path,
) -> None:
    terminal = Terminal(tmp_path / "work", MLFLOW_TRACKING_URI=server.uri)
    epochs = 30
    experiment = f"{what} away"
    training = terminal.start(
        *("train.py", *small, f"trainer.max_epochs={epochs}", f"logger.experiment={experiment}"),
        *("trainer=cpu", "threads=1", f"callbacks.early_stopping.patience={epochs}"),
    )

    def logged() -> dict[int, float]:
        with contextlib.suppress(ValueError):
            (run,) = runs(server.uri, experiment)
            history = client.get_metric_history(run.info.run_id, "train/loss")
            assert len(history) == len({point.step for point in history})
            return {point.step: point.value for point in history}
        return {}

    training.wait_for(lambda: bool(logged()))
    broken: MadeServer | Postgres = server if what == "server" else postgres
    broken.stop()
    outcome = training.wait()
    broken.start()
    outcome.ok()
    assert "Traceback" not in outcome.out + outcome.err
    said = outcome.out + outcome.err
    assert said.count("is away") == 1 and said.count("python -m mriad.tracking resend") == 1
    assert 1 <= len(logged()) < epochs
    (before,) = runs(server.uri, experiment)
    assert before.info.status == "RUNNING"

    resend = f"python -m mriad.tracking resend {before.data.tags['output_dir']}"
    assert "Sent the rest of run" in terminal.shell(resend, PYTHONPATH=str(REPOSITORY)).ok().out
    assert "nothing to send" in terminal.shell(resend, PYTHONPATH=str(REPOSITORY)).ok().out
    (run,) = runs(server.uri, experiment)
    assert run.info.status == "FINISHED"
    assert sorted(logged()) == list(range(epochs))
    reference = trained[1]
    assert set(run.data.metrics) == set(reference.data.metrics)
    assert set(run.data.params) == set(reference.data.params)
    assert set(run.data.tags) == set(reference.data.tags)
    assert artifacts(client, run.info.run_id) == artifacts(client, reference.info.run_id)
    (model,) = client.search_logged_models([run.info.experiment_id])
    assert model.status.value == "READY"
    assert "MLmodel" in {item.path for item in client.list_logged_model_artifacts(model.model_id)}


def at_once(uri: str, folder: Path, *options: str) -> None:
    done = subprocess.run(
        [sys.executable, AT_ONCE, uri, "16", *options],
        cwd=folder,
        env=users_environment(),
        capture_output=True,
        text=True,
        timeout=600,
    )
    assert done.returncode == 0, done.stderr
    found = runs(uri, "shared")
    assert sorted(run.data.metrics["number"] for run in found) == list(range(16))
    assert {run.info.status for run in found} == {"FINISHED"}


def test_sixteen_jobs_of_many_nodes_that_start_at_once_race_for_nothing_on_a_server(
    server: MadeServer, tmp_path: Path
) -> None:
    at_once(server.uri, tmp_path, "nodes")


def test_sixteen_jobs_that_start_at_once_race_for_nothing_in_an_empty_database(
    postgres: Postgres, tmp_path: Path
) -> None:
    at_once(postgres.uri("direct"), tmp_path)


def test_trainings_that_start_at_once_share_an_empty_cache(
    server: MadeServer, small: tuple[str, ...], tmp_path: Path
) -> None:
    terminal = Terminal(tmp_path / "work", MLFLOW_TRACKING_URI=server.uri)
    words = ("train.py", *small, "trainer.max_epochs=1", "logger.experiment=crowd", "logger.log_model=false")
    jobs = [terminal.start(*words, "trainer=cpu", "threads=1", f"seed={seed}") for seed in range(3)]
    for job in jobs:
        job.wait().ok()
    found = runs(server.uri, "crowd")
    assert sorted(run.data.params["seed"] for run in found) == ["0", "1", "2"]
    assert {run.info.status for run in found} == {"FINISHED"}
    assert len({run.data.metrics["test/healthy/support"] for run in found}) == 1


def test_a_database_without_a_server_keeps_its_artifacts_in_the_working_directory(
    postgres: Postgres, server: MadeServer, small: tuple[str, ...], tmp_path: Path
) -> None:
    terminal = Terminal(tmp_path / "work")
    uri = postgres.uri("alone")
    terminal.train(*small, "trainer.max_epochs=1", f"logger.tracking_uri={uri}").ok()
    (run,) = runs(uri, "mriad")
    assert run.info.status == "FINISHED"
    assert (terminal.folder / "mlartifacts" / run.info.run_id / "artifacts" / "report.html").exists()
    terminal.evaluate(f"run={run.info.run_id}", f"logger.tracking_uri={uri}").ok()
    behind = f"logger.tracking_uri={postgres.uri('mlflow')}"
    mlflow.MlflowClient(server.uri).create_experiment("of the server")
    terminal.train(*small, behind, "logger.experiment=of the server").sentence("are kept by a server")


def test_a_server_without_a_database_says_what_it_needs(tmp_path: Path) -> None:
    command = ["make", "-f", str(REPOSITORY / "Makefile"), "-o", "install", "server"]
    environment = {name: value for name, value in users_environment().items() if name != "BACKEND"}
    done = subprocess.run(command, cwd=tmp_path, env=environment, capture_output=True, text=True)
    assert done.returncode != 0
    assert done.stdout == "Say where the runs go: make server BACKEND=postgresql://user:password@host/db\n"
