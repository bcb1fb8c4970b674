import contextlib
import logging
import math
import shutil
import sys
from pathlib import Path
from uuid import uuid4

import mlflow
import pandas as pd
import pytest
from filelock import FileLock
from matplotlib.figure import Figure
from mlflow.exceptions import MlflowException
from mlflow.pyfunc import PythonModel

from mriad.errors import MriadError
from mriad.tracking import spool
from mriad.tracking.resend import resend
from mriad.tracking.spool import Spool
from mriad.tracking.store import connect
from mriad.tracking.tracker import Tracker
from mriad.tracking.writes import Artifact, Values

pytestmark = pytest.mark.slow


class Twice(PythonModel):
    def predict(self, context, model_input, params=None):
        return model_input * 2


@pytest.fixture(scope="session")
def saved(tmp_path_factory):
    """An MLflow model in a folder."""
    folder = tmp_path_factory.mktemp("model") / "saved"
    mlflow.pyfunc.save_model(path=str(folder), python_model=Twice(), pip_requirements=["numpy"])
    return folder


@pytest.fixture
def tracker(line):
    return Tracker(tracking_uri=line.uri, experiment=uuid4().hex)


@pytest.fixture
def output(tmp_path):
    folder = tmp_path / "my output"
    folder.mkdir()
    return folder


def place(output):
    return {"output_dir": str(output), "kind": "training"}


def log_epoch(run, epoch):
    run.log_metrics({"train/loss": 1.0 / (epoch + 1), "val/auroc": math.nan}, step=epoch)


def log_everything(run, saved, folder):
    """What comes after the epochs of a training."""
    run.set_tags({"mlflow.note.content": "two\nlines", "kind": "changed"})
    run.log_data_sets([{"name": "toys", "digest": "a1", "context": "test", "source": "{}", "profile": '{"scans": 3}'}])
    run.log_system({"cpu_utilization_percentage": 50.0}, 0)
    run.log_metrics({"test/auroc": 0.9})
    run.log_figures({"loss": Figure(figsize=(1, 1))})
    run.log_table(pd.DataFrame({"path": ["a.png"], "score": [0.1]}), "scores.parquet")
    run.log_text("first", "report.html")
    run.log_text("last, with ü", "report.html")
    checkpoint = folder / "best.ckpt"
    checkpoint.write_bytes(b"weights")
    run.log_file(checkpoint, "checkpoint")
    checkpoint.unlink()
    run.log_model(saved)


def require_everything(tracker, run, *, epochs, tmp_path):
    """All of it is there, once."""
    stored = tracker.client.get_run(run.run_id)
    assert (stored.info.status, stored.data.tags["kind"]) == ("FINISHED", "changed")
    assert stored.data.tags["mlflow.note.content"] == "two\nlines"
    assert stored.data.params == {"lr": "0.1"}
    history = tracker.client.get_metric_history(run.run_id, "train/loss")
    assert sorted((point.step, point.value) for point in history) == [(e, 1.0 / (e + 1)) for e in range(epochs)]
    assert sorted(history, key=lambda point: point.step) == sorted(history, key=lambda point: point.timestamp)
    assert history[-1].timestamp <= stored.info.end_time
    assert len(tracker.client.get_metric_history(run.run_id, "test/auroc")) == 1
    (data,) = stored.inputs.dataset_inputs
    assert (data.dataset.digest, data.dataset.profile, data.tags[0].value) == ("a1", '{"scans": 3}', "test")
    assert len(tracker.client.get_metric_history(run.run_id, "system/cpu_utilization_percentage")) == 1
    files = mlflow.artifacts.download_artifacts(run_id=run.run_id, dst_path=str(tmp_path / uuid4().hex))
    found = {str(file.relative_to(files)) for file in Path(files).rglob("*") if file.is_file()}
    assert found == {"checkpoint/best.ckpt", "plots/loss.png", "report.html", "scores.parquet"}
    assert (Path(files) / "report.html").read_text(encoding="utf-8") == "last, with ü"
    assert (Path(files) / "checkpoint" / "best.ckpt").read_bytes() == b"weights"
    (model,) = tracker.client.search_logged_models([tracker.experiment_id])
    assert (model.status.value, model.source_run_id, model.params) == ("READY", run.run_id, {"lr": "0.1"})
    assert mlflow.pyfunc.load_model(f"models:/{model.model_id}").predict(21) == 42


def test_a_server_that_goes_away_in_a_run_gets_everything_by_a_resend(
    tracker, line, output, saved, tmp_path, caplog, capsys
):
    with tracker.run(name="mine", tags=place(output)) as run:
        run.log_params({"lr": 0.1})
        log_epoch(run, 0)
        line.cut()
        for epoch in (1, 2):
            log_epoch(run, epoch)
        log_everything(run, saved, tmp_path)
        assert run.history("train/loss")["train/loss"].tolist() == [1.0, 1 / 2, 1 / 3]
        assert (run.name, run.tags["kind"], run.local_path("report.html")) == ("mine", "changed", None)
    away, how = [record.getMessage() for record in caplog.records]
    assert away.startswith(f"The MLflow store {line.uri} is away (ConnectionError). ") and str(output / "spool") in away
    assert how.endswith(f"send the rest with: python -m mriad.tracking resend '{output}'")
    line.mend()
    stored = tracker.client.get_run(run.run_id)
    assert (stored.info.status, stored.data.metrics) == ("RUNNING", {"train/loss": 1.0})
    resend(output)
    require_everything(tracker, run, epochs=3, tmp_path=tmp_path)
    resend(output)
    sent, nothing = capsys.readouterr().out.splitlines()
    assert (
        sent == f"Sent the rest of run {run.run_id} to {line.uri}."
        and nothing == f"There is nothing to send in {output}."
    )


def test_a_resend_that_breaks_anywhere_can_be_repeated(tracker, line, output, saved, tmp_path):
    with tracker.run(name="mine", tags=place(output)) as run:
        run.log_params({"lr": 0.1})
        line.cut()
        log_epoch(run, 0)
        log_everything(run, saved, tmp_path)
    (spooled,) = Spool.find(output)
    waiting = [len(spooled.waiting())]
    for answers in range(200):
        line.mend(answers=answers)  # the server hears one more question each time, and its answer is lost
        try:
            spooled.send(tracker.client)
        except MlflowException:
            waiting.append(len(spooled.waiting()))
        else:
            break
    assert waiting[-1] and len(waiting) > 6 and waiting == sorted(waiting, reverse=True)
    line.mend()
    require_everything(tracker, run, epochs=1, tmp_path=tmp_path)


def test_a_server_that_comes_back_in_a_run_gets_what_waited_first(
    tracker, line, output, saved, tmp_path, monkeypatch, caplog
):
    monkeypatch.setattr(spool, "_PAUSE", 0.0)
    with tracker.run(name="mine", tags=place(output)) as run:
        run.log_params({"lr": 0.1})
        for epoch in range(4):
            line.cut() if epoch in (1, 3) else line.mend()
            log_epoch(run, epoch)
        line.mend()
        log_everything(run, saved, tmp_path)
        assert Spool.find(output)[0].waiting() == []
    require_everything(tracker, run, epochs=4, tmp_path=tmp_path)
    assert [" is away " in record.getMessage() for record in caplog.records] == [True, False] * 2


def test_a_server_that_is_away_is_not_asked_by_every_write(tracker, line, output, monkeypatch):
    asked = []
    monkeypatch.setattr(spool, "answers", lambda uri: asked.append(uri))
    with tracker.run(name="mine", tags=place(output)) as run:
        line.cut()
        for epoch in range(20):
            log_epoch(run, epoch)
        assert asked == []
    assert asked == [line.uri]  # once more at the end


@pytest.mark.parametrize("error", [KeyboardInterrupt(), ValueError("broken")])
def test_how_a_run_failed_is_sent_as_well(tracker, line, output, error):
    with pytest.raises(type(error)), tracker.run(name="mine", tags=place(output)) as run:
        line.cut()
        raise error
    line.mend()
    resend(output)
    stored = tracker.client.get_run(run.run_id)
    assert (stored.info.status, stored.data.tags["failure"]) == (
        ("KILLED", "interrupted") if isinstance(error, KeyboardInterrupt) else ("FAILED", "ValueError: broken")
    )


def test_a_value_that_is_refused_stays_an_error(tracker, output):
    with pytest.raises(MlflowException, match="not a name"), tracker.run(name="mine", tags=place(output)) as run:
        run.log_metrics({"not a name!": 1.0})
    assert Spool.find(output) == []
    assert tracker.client.get_run(run.run_id).info.status == "FAILED"


def test_a_value_that_is_refused_later_is_told_with_its_file(tracker, line, output):
    with tracker.run(name="mine", tags=place(output)) as run:
        line.cut()
        run.log_metrics({"not a name!": 1.0})
    line.mend()
    first = Spool.find(output)[0].waiting()[0]
    with pytest.raises(MriadError, match="put that right, or delete the file") as refused:
        resend(output)
    assert str(first) in str(refused.value) and "\n" not in str(refused.value)
    first.unlink()
    resend(output)
    assert tracker.client.get_run(run.run_id).info.status == "FINISHED"


def test_a_run_without_a_folder_needs_its_server(tracker, line):
    with pytest.raises(MlflowException), tracker.run(name="mine", tags={}) as run:
        line.cut()
        run.log_metrics({"a": 1.0})


def test_a_server_that_is_away_before_a_run_is_open_is_told_in_a_sentence(tracker, line, output):
    line.cut()
    with pytest.raises(MriadError, match="has gone away"), tracker.run(name="mine", tags=place(output)):
        pass


def test_a_run_that_goes_on_is_sent_first_what_waited_for_it(tracker, line, output):
    with pytest.raises(KeyboardInterrupt), tracker.run(name="mine", tags=place(output)) as run:
        line.cut()
        log_epoch(run, 0)
        raise KeyboardInterrupt
    line.mend()
    with tracker.run(name="mine", tags={}, resume=run.run_id) as again:
        line.cut()
        log_epoch(again, 1)
        assert again.history("train/loss")["epoch"].tolist() == [0, 1]
    line.mend()
    resend(output)
    stored = tracker.client.get_run(run.run_id)
    assert stored.info.status == "FINISHED" and "failure" not in stored.data.tags
    assert sorted(point.step for point in tracker.client.get_metric_history(run.run_id, "train/loss")) == [0, 1]


def test_runs_below_a_folder_are_sent_one_by_one(tracker, line, tmp_path, capsys):
    runs = []
    for name in ("0", "1"):
        (tmp_path / "sweep" / name).mkdir(parents=True)
        with tracker.run(name=name, tags=place(tmp_path / "sweep" / name)) as run:
            line.cut()
        line.mend()
        runs.append(run)
    resend(tmp_path / "sweep")
    assert [tracker.client.get_run(run.run_id).info.status for run in runs] == ["FINISHED"] * 2
    assert len(capsys.readouterr().out.splitlines()) == 2


def test_two_cannot_send_at_once(tracker, line, output):
    with tracker.run(name="mine", tags=place(output)):
        line.cut()
    line.mend()
    with FileLock(output / "spool" / "lock"), pytest.raises(MriadError, match="Another process"):
        resend(output)


def test_a_server_that_is_still_away_is_told_in_a_sentence(tracker, line, output, monkeypatch):
    with tracker.run(name="mine", tags=place(output)):
        line.cut()
    with pytest.raises(MriadError, match="does not answer"):
        resend(output)

    def connect_and_lose(uri):
        client = connect(uri)
        line.cut()
        return client

    line.mend()
    monkeypatch.setattr(sys.modules[resend.__module__], "connect", connect_and_lose)
    with pytest.raises(MriadError, match="repeat this command later"):
        resend(output)


def test_a_database_that_is_away_counts_as_one(tracking_uri, tmp_path, output, caplog):
    caplog.set_level(logging.WARNING, "mriad")
    tracker = Tracker(tracking_uri=tracking_uri)
    database, elsewhere = tmp_path / "mlflow.db", tmp_path / "elsewhere.db"
    with tracker.run(name="mine", tags=place(output)) as run:
        database.rename(elsewhere)
        run.log_metrics({"a": 1.0})
        database.unlink(missing_ok=True)  # SQLite has made an empty one
    database.unlink(missing_ok=True)
    elsewhere.rename(database)
    resend(output)
    stored = tracker.client.get_run(run.run_id)
    assert (stored.info.status, stored.data.metrics) == ("FINISHED", {"a": 1.0})


def test_a_database_on_a_full_disk_is_away_and_its_writes_wait(small_disk, migrated_store, output, caplog):
    shutil.copy(migrated_store, small_disk / "mlflow.db")
    tracker = Tracker(tracking_uri=f"sqlite:///{small_disk / 'mlflow.db'}")
    with tracker.run(name="x", tags=place(output)) as run:
        fill(small_disk)
        for epoch in range(200):
            log_epoch(run, epoch)
        run.log_text("kept " * 2000, "note.txt")
        (small_disk / "filler").unlink()
    assert "is away (" in caplog.text and "full" in caplog.text
    assert tracker.find(run.run_id).metrics["train/loss"] == pytest.approx(1 / 200)
    assert (run.download("note.txt", output)).read_text() == "kept " * 2000
    assert not Spool(folder=output, uri="", run_id="").waiting()


def test_a_spool_without_room_says_so_and_keeps_what_it_has(small_disk):
    spool = Spool(folder=small_disk, uri="http://away", run_id="1")
    spool.add(Values(tags={"a": "b"}))
    before = {file: file.read_bytes() for file in small_disk.rglob("*") if file.is_file()}
    fill(small_disk)
    with pytest.raises(MriadError, match=r"cannot take what run '1' logs, nor can .*spool keep it \(no space left"):
        spool.add(Artifact(path=small_disk / "filler"))
    with pytest.raises(MriadError, match="no space left"):
        spool.add(Values(tags={"long": "c" * 100_000}))
    (small_disk / "filler").unlink()
    assert {file: file.read_bytes() for file in small_disk.rglob("*") if file.is_file()} == before
    assert len(spool.waiting()) == 1


def test_an_artifact_that_has_no_room_leaves_the_earlier_one(small_disk, migrated_store, tmp_path):
    shutil.copy(migrated_store, tmp_path / "mlflow.db")
    tracker = Tracker(tracking_uri=f"sqlite:///{tmp_path / 'mlflow.db'}")
    (tmp_path / "mlartifacts").symlink_to(small_disk)
    big = tmp_path / "best.ckpt"
    with pytest.raises(MriadError, match="cannot be written"), tracker.run(name="x", tags={}) as run:
        big.write_bytes(b"old")
        run.log_file(big, "checkpoint")
        big.write_bytes(bytes(3_000_000))
        run.log_file(big, "checkpoint")
    stored = tracker.client.get_run(run.run_id)
    assert stored.info.status == "FAILED" and "no space left" in stored.data.tags["failure"]
    kept = run.local_path("checkpoint")
    assert [file.name for file in kept.iterdir()] == ["best.ckpt"]
    assert (kept / "best.ckpt").read_bytes() == b"old"


def fill(disk):
    with contextlib.suppress(OSError), (disk / "filler").open("wb", buffering=0) as file:
        while True:
            file.write(bytes(4096))
