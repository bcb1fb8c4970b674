import socket
import subprocess
import sys
import threading
from http.server import BaseHTTPRequestHandler, HTTPServer
from pathlib import Path

import pytest

from mriad.errors import MriadError
from mriad.tracking.store import absolute, connect, experiment_id


def sentence(uri):
    with pytest.raises(MriadError) as error:
        connect(uri)
    text = str(error.value)
    assert uri in text
    assert "logger.tracking_uri" in text
    assert "\n" not in text
    return text


def test_four_processes_open_a_fresh_store_at_once_and_make_one_experiment(tmp_path):
    uri = f"sqlite:///{tmp_path}/new folder/mlflow.db"
    program = (
        "from mriad.tracking.store import connect, experiment_id\n"
        f"uri = {uri!r}\n"
        "print(experiment_id(connect(uri), 'shared', uri))\n"
    )
    command = [sys.executable, "-c", program]
    jobs = [subprocess.Popen(command, stdout=subprocess.PIPE, stderr=subprocess.PIPE, text=True) for _ in range(4)]
    told = [job.communicate(timeout=120) for job in jobs]
    assert [job.returncode for job in jobs] == [0] * 4, told
    assert len({output for output, _ in told}) == 1
    experiments = connect(uri).search_experiments()
    assert sorted(experiment.name for experiment in experiments) == ["Default", "shared"]


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


@pytest.mark.parametrize("uri", ["./mlruns", "foo://store", "nonsense"])
def test_a_store_of_another_kind_is_told_in_a_sentence(uri):
    assert "cannot be opened" in sentence(uri)


def test_a_database_below_a_file_is_told_in_a_sentence(tmp_path):
    (tmp_path / "file").write_text("")
    assert "cannot be opened" in sentence(f"sqlite:///{tmp_path}/file/mlflow.db")


def test_a_file_that_is_no_database_is_told_in_a_sentence(tmp_path):
    Path(tmp_path / "mlflow.db").write_text("these are my notes, and no database of any kind")
    assert "cannot be opened" in sentence(f"sqlite:///{tmp_path}/mlflow.db")
