import os
import socket
import subprocess
import sys
import threading
from http.server import BaseHTTPRequestHandler, HTTPServer
from pathlib import Path

import pytest
import requests
from mlflow.exceptions import MlflowException, RestException
from mlflow.protos import databricks_pb2

from mriad.errors import MriadError
from mriad.tracking.store import absolute, answers, connect, experiment_id, limit_waiting, shown, why_away


def sentence(uri):
    with pytest.raises(MriadError) as error:
        connect(uri)
    text = str(error.value)
    assert uri in text
    assert "logger.tracking_uri" in text
    assert "\n" not in text
    return text


@pytest.mark.slow
def test_sixteen_jobs_that_start_at_once_on_an_empty_store_race_for_nothing(tmp_path):
    uri = f"sqlite:///{tmp_path}/new folder/mlflow.db"
    command = [sys.executable, Path(__file__).with_name("at_once.py"), uri, "16"]
    done = subprocess.run(command, cwd=tmp_path, capture_output=True, text=True, timeout=300)
    assert done.returncode == 0, done.stderr
    client = connect(uri)
    experiments = {experiment.name: experiment.experiment_id for experiment in client.search_experiments()}
    assert set(experiments) == {"Default", "shared"}
    runs = client.search_runs(list(experiments.values()))
    assert sorted(run.data.metrics["number"] for run in runs) == list(range(16))
    assert {run.info.status for run in runs} == {"FINISHED"}


def test_artifacts_lie_beside_the_database_whatever_the_working_directory(migrated_store, tmp_path, monkeypatch):
    folder = tmp_path / "my runs"
    folder.mkdir()
    (folder / "mlflow.db").write_bytes(migrated_store.read_bytes())
    uri = f"sqlite:///{folder}/mlflow.db"
    monkeypatch.chdir(tmp_path)
    client = connect(uri)
    run = client.create_run(experiment_id(client, "mriad", uri))
    client.log_text(run.info.run_id, "hello", "notes/a.txt")
    (file,) = folder.glob("mlartifacts/**/a.txt")
    assert file.read_text() == "hello"
    assert {path.name for path in tmp_path.iterdir()} == {"my runs"}


def test_a_relative_database_is_named_by_its_absolute_path(tmp_path, monkeypatch):
    monkeypatch.chdir(tmp_path)
    assert absolute("sqlite:///runs/mlflow.db") == f"sqlite:///{tmp_path}/runs/mlflow.db"
    assert absolute(f"sqlite:///{tmp_path}/mlflow.db") == f"sqlite:///{tmp_path}/mlflow.db"
    assert absolute("http://server:5000") == "http://server:5000"


def test_an_experiment_is_found_again(tracking_uri):
    client = connect(tracking_uri)
    first = experiment_id(client, "mriad", tracking_uri)
    assert experiment_id(client, "mriad", tracking_uri) == first
    assert experiment_id(client, "other", tracking_uri) != first


def test_a_deleted_experiment_is_told_in_a_sentence(tracking_uri):
    client = connect(tracking_uri)
    client.delete_experiment(experiment_id(client, "old", tracking_uri))
    with pytest.raises(MriadError, match=r"'old' is deleted in .*; restore it, or choose another"):
        experiment_id(client, "old", tracking_uri)


def test_a_server_that_is_down_is_told_in_a_sentence():
    with socket.socket() as free:
        free.bind(("127.0.0.1", 0))
        port = free.getsockname()[1]
    assert "does not answer; start it" in sentence(f"http://127.0.0.1:{port}")


def test_a_server_that_is_no_mlflow_server_is_told_in_a_sentence():
    class Other(BaseHTTPRequestHandler):
        def do_GET(self):
            self.send_error(404)

        def log_message(self, *_):
            pass

    with HTTPServer(("127.0.0.1", 0), Other) as server:
        threading.Thread(target=server.serve_forever, daemon=True).start()
        assert "does not answer" in sentence(f"http://127.0.0.1:{server.server_port}/")
        server.shutdown()


@pytest.mark.parametrize(("status", "there"), [(200, True), (401, True), (403, True), (404, False), (502, False)])
def test_a_server_that_asks_who_is_there_is_there(status, there):
    class Guarded(BaseHTTPRequestHandler):
        def do_GET(self):
            self.send_response(status)
            self.end_headers()

        def log_message(self, *_):
            pass

    with HTTPServer(("127.0.0.1", 0), Guarded) as server:
        threading.Thread(target=server.serve_forever, daemon=True).start()
        assert answers(f"http://127.0.0.1:{server.server_port}") is there
        server.shutdown()


@pytest.mark.parametrize("uri", ["./mlruns", "foo://store", "nonsense"])
def test_a_store_of_another_kind_is_told_in_a_sentence(uri):
    assert "cannot be opened" in sentence(uri)


def test_a_database_below_a_file_is_told_in_a_sentence(tmp_path):
    (tmp_path / "file").write_text("")
    assert "cannot be opened" in sentence(f"sqlite:///{tmp_path}/file/mlflow.db")


def test_a_file_that_is_no_database_is_told_in_a_sentence(tmp_path):
    Path(tmp_path / "mlflow.db").write_text("these are my notes, and no database of any kind")
    assert "cannot be opened" in sentence(f"sqlite:///{tmp_path}/mlflow.db")


@pytest.mark.parametrize(
    ("uri", "part"),
    [
        ("mlruns", "that is no address of one; set"),
        ("postgres://me@host/db", "perhaps postgresql:// was meant"),
        ("htp://host:5000", "perhaps http:// was meant"),
    ],
)
def test_what_is_no_address_is_told_with_what_may_be_meant(uri, part):
    assert part in sentence(uri)


def test_a_folder_is_no_database(tmp_path):
    assert f"as in sqlite:///{tmp_path}/mlflow.db" in sentence(f"sqlite:///{tmp_path}")


def test_a_wrong_address_is_told_without_its_password():
    with pytest.raises(MriadError, match=r"postgresq://me:\*\*\*@host/db cannot be .* perhaps postgresql://"):
        connect("postgresq://me:secret@host/db")


def test_an_address_that_was_written_down_wants_its_password_again():
    assert "The password of postgresql://me:***@host/db is not kept" in sentence("postgresql://me:***@host/db")


def test_a_password_is_not_printed():
    assert shown("postgresql://me:se:c%2Fret@host:5432/db") == "postgresql://me:***@host:5432/db"
    assert shown("https://me:secret@host/mlflow") == "https://me:***@host/mlflow"
    for uri in ("postgresql://me@host/db", "sqlite:////a:b@c/mlflow.db", "http://127.0.0.1:5000/a@b"):
        assert shown(uri) == uri


def failed_request(cause):
    """What MLflow's client makes of it."""
    try:
        try:
            raise cause
        except requests.RequestException as error:
            raise MlflowException(f"API request failed with exception {error}")  # noqa: B904  as MLflow does
    except MlflowException as error:
        return error


def response(status):
    found = requests.Response()
    found.status_code = status
    return found


@pytest.mark.parametrize(
    ("error", "why"),
    [
        (failed_request(requests.ConnectionError("refused")), "ConnectionError"),
        (failed_request(requests.exceptions.RetryError("too many 503")), "RetryError"),
        (failed_request(requests.ReadTimeout("20 s")), "ReadTimeout"),
        (requests.HTTPError("bad gateway", response=response(502)), "HTTPError"),
        (RestException({"error_code": "INTERNAL_ERROR", "message": "the database is down"}), "the database is down"),
        (MlflowException("no connection", error_code=databricks_pb2.TEMPORARILY_UNAVAILABLE), "no connection"),
        (RestException({"error_code": "INVALID_PARAMETER_VALUE", "message": "no name"}), None),
        (requests.HTTPError("too large", response=response(413)), None),
        (OSError("the disk is full"), None),
    ],
    ids=lambda value: str(value).split(" ")[0],
)
def test_a_store_that_cannot_answer_is_told_from_one_that_refuses(error, why):
    found = why_away(error)
    assert found is None if why is None else why in found


def test_a_server_that_is_away_costs_seconds_unless_the_user_is_patient(monkeypatch):
    monkeypatch.setenv("MLFLOW_HTTP_REQUEST_MAX_RETRIES", "9")  # known to monkeypatch, which puts it back
    monkeypatch.delenv("MLFLOW_HTTP_REQUEST_MAX_RETRIES")
    monkeypatch.setenv("MLFLOW_HTTP_REQUEST_TIMEOUT", "300")
    limit_waiting()
    assert os.environ["MLFLOW_HTTP_REQUEST_TIMEOUT"] == "300"
    assert int(os.environ["MLFLOW_HTTP_REQUEST_MAX_RETRIES"]) <= 2


def test_the_experiment_of_a_server_is_not_written_past_it(tracking_uri):
    client = connect(tracking_uri)
    client.create_experiment("served", artifact_location="mlflow-artifacts:/1")
    with pytest.raises(MriadError, match=r"are kept by a server; set logger.tracking_uri to that server"):
        experiment_id(client, "served", tracking_uri)


def test_a_database_may_always_be_tried_and_a_server_must_answer(tracking_uri):
    assert answers(tracking_uri)
    with socket.socket() as free:
        free.bind(("127.0.0.1", 0))
        assert not answers(f"http://127.0.0.1:{free.getsockname()[1]}")


@pytest.mark.parametrize("requeued", [False, True])
def test_a_database_that_is_away_is_told_at_once_but_waited_for_by_a_requeued_job(requeued, monkeypatch):
    pytest.importorskip("psycopg", reason="psycopg is not installed: pip install 'mriad[server]'")
    waits: list[float] = []
    monkeypatch.setattr("mlflow.store.db.utils.time.sleep", waits.append)
    if requeued:
        monkeypatch.setenv("SLURM_RESTART_COUNT", "1")
    with pytest.raises(MriadError, match=r"The MLflow store postgresql://me@127\.0\.0\.1:1/gone cannot be opened"):
        connect("postgresql://me@127.0.0.1:1/gone")
    assert bool(waits) == requeued
