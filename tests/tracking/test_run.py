import math
import re
import shutil
import sys
from pathlib import Path

import mlflow
import pandas as pd
import pytest
import requests
from hydra.core.hydra_config import HydraConfig
from hydra.types import RunMode
from matplotlib.figure import Figure
from omegaconf import OmegaConf

from mriad.errors import MriadError
from mriad.tracking.tracker import Tracker


@pytest.fixture
def tracker(tracking_uri):
    return Tracker(tracking_uri=tracking_uri)


def stored(tracker, run):
    return tracker.client.get_run(run.run_id)


def artifacts(tracker, run, folder=None):
    return sorted(item.path for item in tracker.client.list_artifacts(run.run_id, folder))


def test_a_run_that_ends_well_is_finished(tracker):
    with tracker.run(name="mine", tags={"kind": "training"}) as run:
        assert stored(tracker, run).info.status == "RUNNING"
    info = stored(tracker, run)
    assert (info.info.status, info.info.run_name) == ("FINISHED", "mine")
    assert info.data.tags["kind"] == "training"
    assert "failure" not in info.data.tags
    assert "mlflow.parentRunId" not in info.data.tags


@pytest.mark.parametrize(
    ("error", "failure"),
    [
        (MriadError("Data are gone; bring them back."), "Data are gone; bring them back."),
        (ValueError("first line\nsecond line"), "ValueError: first line"),
        (MemoryError(), "MemoryError: "),
    ],
)
def test_a_run_that_fails_says_why_in_one_line(tracker, error, failure):
    with pytest.raises(type(error)), tracker.run(name="mine", tags={}) as run:
        raise error
    info = stored(tracker, run)
    assert info.info.status == "FAILED"
    assert info.data.tags["failure"] == failure


def test_a_run_that_is_not_there_is_told_with_the_nearest_that_is(tracker, tmp_path):
    with tracker.run(name="vae nickparvar seed 0", tags={}) as run:
        pass

    def told(run_id):
        with pytest.raises(MriadError, match="There is no run") as error:
            tracker.find(run_id)
        return str(error.value)

    typo = run.run_id[:-1] + ("0" if run.run_id[-1] != "0" else "1")
    for wrong in (
        typo,
        run.run_id[:8],
        run.run_id[1:],
        run.run_id.upper(),
        "vae nickparvar seed 0",
        "vae nickparvar seed0",
    ):
        assert f"perhaps {run.run_id} was meant; look its id up" in told(wrong)
    assert "perhaps" not in told("0123456789abcdef0123456789abcdef")
    assert "a .ckpt file is given as checkpoint=<path>" in told(str(tmp_path))


@pytest.mark.parametrize("interrupt", [KeyboardInterrupt, SystemExit])
def test_an_interrupted_run_is_killed(tracker, interrupt):
    with pytest.raises(interrupt), tracker.run(name="mine", tags={}) as run:
        raise interrupt
    info = stored(tracker, run)
    assert (info.info.status, info.data.tags["failure"]) == ("KILLED", "interrupted")


def test_a_run_names_the_command_that_it_comes_from(tracker, monkeypatch):
    hydra = {"mode": RunMode.RUN, "job": {"name": "evaluate"}}
    monkeypatch.setattr(HydraConfig.instance(), "cfg", OmegaConf.create({"hydra": hydra}))
    monkeypatch.setattr(sys, "argv", ["processes.py"])  # of a launcher
    with tracker.run(name="mine", tags={}) as run:
        pass
    assert stored(tracker, run).data.tags["mlflow.source.name"] == "python evaluate.py"


def test_an_installed_mriad_logs_no_commit_of_the_repository_it_lies_in(tracker, monkeypatch):
    monkeypatch.setattr("mriad.tracking.run.in_a_clone", lambda: False)
    with tracker.run(name="mine", tags={}) as run:
        run.log_environment()
    assert "mlflow.source.git.commit" not in stored(tracker, run).data.tags


def test_a_child_names_its_parent(tracker):
    with (
        tracker.run(name="sweep", tags={}) as parent,
        tracker.run(name="job", tags={}, parent=parent.run_id) as child,
    ):
        pass
    assert stored(tracker, child).data.tags["mlflow.parentRunId"] == parent.run_id


def test_parameters_of_any_length_and_number_are_kept(tracker):
    params = {f"p{i}": i for i in range(250)} | {"long": "x" * 5000, "none": None, "list": [1, 2]}
    with tracker.run(name="mine", tags={}) as run:
        run.log_params(params)
    assert stored(tracker, run).data.params == {key: str(value) for key, value in params.items()}


def test_a_resumed_run_goes_on_under_its_id_and_tells_what_changed(tracker):
    with pytest.raises(KeyboardInterrupt), tracker.run(name="mine", tags={"kind": "training"}) as first:
        first.log_params({"lr": 0.1, "epochs": 5})
        raise KeyboardInterrupt
    with tracker.run(name="other", tags={}, resume=first.run_id) as run:
        assert stored(tracker, run).info.status == "RUNNING"
        run.log_params({"lr": 0.1, "epochs": 9, "patience": 3})
    info = stored(tracker, run)
    assert run.run_id == first.run_id
    assert (info.info.status, info.info.run_name) == ("FINISHED", "mine")
    assert info.data.params == {"lr": "0.1", "epochs": "5", "patience": "3"}
    assert {key: value for key, value in info.data.tags.items() if key.startswith("resumed.")} == {
        "resumed.epochs": "9"
    }
    assert "failure" not in info.data.tags


def test_undefined_metrics_are_left_out(tracker):
    with tracker.run(name="mine", tags={}) as run:
        run.log_metrics({"a": 0.5, "b": math.nan, "c": 1})
        run.log_metrics({"d": math.nan})
    assert stored(tracker, run).data.metrics == {"a": 0.5, "c": 1.0}


def test_history_is_by_epoch_in_any_order_of_logging(tracker):
    with tracker.run(name="mine", tags={}) as run:
        for epoch in (2, 0, 1):
            run.log_metrics({"train/loss": 10.0 + epoch}, step=epoch)
        run.log_metrics({"val/auroc": 0.7}, step=1)
        history = run.history("train/loss", "val/loss", "val/auroc")
    assert list(history.columns) == ["epoch", "train/loss", "val/auroc"]
    assert history["epoch"].tolist() == [0, 1, 2]
    assert history["train/loss"].tolist() == [10.0, 11.0, 12.0]
    assert history["val/auroc"].fillna(-1).tolist() == [-1, 0.7, -1]


def test_history_keeps_what_an_epoch_was_first(tracker, monkeypatch):
    clock = iter(range(1, 10))
    monkeypatch.setattr("mriad.tracking.run.time.time", lambda: next(clock))
    with tracker.run(name="mine", tags={}) as run:
        run.log_metrics({"val/loss": 3.0}, step=4)
        run.log_metrics({"val/loss": 2.0}, step=4)
        assert run.history("val/loss")["val/loss"].tolist() == [3.0]


def test_history_of_a_run_without_metrics_is_empty(tracker):
    with tracker.run(name="mine", tags={}) as run:
        assert len(run.history("train/loss")) == 0


def test_figures_tables_and_texts_become_artifacts(tracker, tmp_path):
    table = pd.DataFrame({"path": ["a.png", "b.png"], "score": [0.1, 0.2]})
    with tracker.run(name="mine", tags={}) as run:
        run.log_figures({"roc": Figure(figsize=(1, 1)), "pr": Figure(figsize=(1, 1))})
        run.log_table(table, "scores.parquet")
        run.log_table(table, "tables/split.csv")
        run.log_text("hello", "config.yaml")
    assert artifacts(tracker, run) == ["config.yaml", "plots", "scores.parquet", "tables"]
    assert artifacts(tracker, run, "plots") == ["plots/pr.png", "plots/roc.png"]
    pd.testing.assert_frame_equal(pd.read_parquet(run.download("scores.parquet", tmp_path)), table)
    pd.testing.assert_frame_equal(pd.read_csv(run.download("tables/split.csv", tmp_path)), table)
    assert run.download("config.yaml", tmp_path).read_text() == "hello"


def test_an_artifact_in_a_local_store_is_not_copied(tracker, tmp_path):
    with tracker.run(name="mine", tags={}) as run:
        run.log_text("hello", "config.yaml")
        file = run.download("config.yaml", tmp_path / "elsewhere")
    assert file.is_relative_to(tmp_path / "mlartifacts")


def test_a_missing_artifact_is_told_in_a_sentence(tracker, tmp_path):
    with tracker.run(name="mine", tags={}) as run, pytest.raises(MriadError) as error:
        run.download("checkpoint/best.ckpt", tmp_path)
    assert str(error.value).startswith(f"Run '{run.run_id}' in {tracker.tracking_uri} has no checkpoint/best.ckpt:")


def test_a_store_that_is_away_is_not_told_as_a_missing_artifact(tracker, tmp_path, monkeypatch):
    def away(**asked):
        raise requests.ConnectionError

    with tracker.run(name="mine", tags={}) as run:
        monkeypatch.setattr(run, "local_path", lambda artifact: None)
        monkeypatch.setattr(mlflow.artifacts, "download_artifacts", away)
        with pytest.raises(MriadError, match=r"has gone away \(ConnectionError\)"):
            run.download("checkpoint/best.ckpt", tmp_path)


def test_artifacts_that_were_moved_away_with_their_store_are_told_with_where_they_lie_now(tmp_path):
    old, new = tmp_path / "old", tmp_path / "new"
    tracker = Tracker(tracking_uri=f"sqlite:///{old}/mlflow.db")
    with tracker.run(name="mine", tags={}) as run:
        run.log_text("weights", "checkpoint/best.ckpt")
    shutil.move(old, new)
    found = Tracker(tracking_uri=f"sqlite:///{new}/mlflow.db").find(run.run_id)
    with pytest.raises(MriadError, match="there is no such folder, so they were moved or deleted") as error:
        found.download("checkpoint/best.ckpt", tmp_path)
    said = re.search(r"give checkpoint=(\S+) instead of run=", str(error.value))
    assert Path(said[1]).read_text() == "weights" and str(new) in said[1]
    with pytest.raises(MriadError, match=r"give the path of its checkpoint/last\.ckpt, or move them back"):
        found.download("checkpoint/last.ckpt", tmp_path)


def test_a_run_is_found_again_by_its_id(tracker):
    with tracker.run(name="mine", tags={}) as run:
        run.log_metrics({"a": 1.0})
    found = tracker.find(run.run_id)
    assert (found.run_id, found.metrics) == (run.run_id, {"a": 1.0})


def test_an_unknown_run_is_told_in_a_sentence(tracker):
    with pytest.raises(MriadError, match="There is no run 'abc' in sqlite:"):
        tracker.find("abc")


def test_versions_of_the_packages_are_logged(tracker, tmp_path):
    import torch

    with tracker.run(name="mine", tags={}) as run:
        run.log_environment()
    versions = pd.read_json(run.download("environment.json", tmp_path), typ="series")
    assert versions["torch"].split("+")[0] == torch.__version__.split("+")[0]
    assert {"mriad", "lightning", "mlflow"} <= set(versions.index)
