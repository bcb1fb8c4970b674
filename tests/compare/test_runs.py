import pandas as pd
import pytest
from mlflow import MlflowClient
from mlflow.exceptions import MlflowException
from mlflow.protos.databricks_pb2 import TEMPORARILY_UNAVAILABLE

from mriad.compare.runs import read_runs
from mriad.errors import MriadError
from mriad.experiment.method import log_method
from mriad.tracking.tags import PARENT_TAG
from mriad.tracking.tracker import Tracker


@pytest.fixture
def tracker(tracking_uri):
    return Tracker(tracking_uri=tracking_uri)


@pytest.fixture
def log(tracker, make_scores):
    """Log a run by hand; returns its id."""

    def log(*, params=None, metrics=None, tags=None, scores=True):
        params = params or {}
        with tracker.run(name="by hand", tags={"kind": "training", **(tags or {})}) as run:
            run.log_params(params)
            if "seed" in params:
                log_method(run, params)
            run.log_metrics(metrics or {})
            if scores:
                run.log_table(make_scores(shift=1.0, patients=4), "scores.parquet")
        return run.run_id

    return log


def test_a_training_is_read_as_it_was_logged(tracker, log, make_scores):
    params = {"model": "vae", "model.beta": 0.01, "seed": 3, "compile": True}
    run_id = log(params=params, metrics={"test/auroc": 0.8, "test/tumour/recall": 0.5, "val/auroc": 0.7})
    (run,) = read_runs([run_id], tracker.tracking_uri)
    assert (run.run_id, run.seed) == (run_id, "3")
    assert run.options == {"model": "vae", "model.beta": "0.01"}
    assert run.metrics == {"auroc": 0.8, "tumour/recall": 0.5}
    assert run.started == tracker.client.get_run(run_id).info.start_time
    assert run.notes == ()
    pd.testing.assert_frame_equal(run.scores, make_scores(shift=1.0, patients=4))


def test_a_run_that_is_named_twice_is_read_once(tracker, log):
    one, two = log(), log()
    assert [run.run_id for run in read_runs([two, one, two], tracker.tracking_uri)] == [two, one]


def test_a_registered_detector_is_the_run_that_has_trained_it(tracker, log):
    run_id = log()
    tracker.client.create_registered_model("mriad")
    tracker.client.create_model_version("mriad", source=f"runs:/{run_id}/model", run_id=run_id)
    tracker.client.set_registered_model_alias("mriad", "champion", "1")
    (run,) = read_runs(["models:/mriad@champion", run_id], tracker.tracking_uri)
    assert run.run_id == run_id


def test_runs_that_do_not_say_their_method_are_never_pooled(tracker, log):
    one, two = read_runs([log(params={"model": "ae"}), log(params={"model": "ae"})], tracker.tracking_uri)
    assert one.options != two.options
    assert one.options["model"] == "ae"


def test_what_speaks_against_the_numbers_is_noted(tracker, log):
    flawed = log(tags={"protocol": "published_navoneel: flawed on purpose"})
    running = log()
    tracker.client.update_run(running, status="RUNNING")
    notes = [run.notes for run in read_runs([flawed, running], tracker.tracking_uri)]
    assert notes == [
        ("a published protocol, published_navoneel: flawed on purpose; do not believe these numbers",),
        (f"run {running} is RUNNING; its scores may not be its last",),
    ]


def refusal(tracker, *ids, uri=None):
    with pytest.raises(MriadError) as error:
        read_runs(ids, uri or tracker.tracking_uri)
    return str(error.value)


def test_an_unknown_run_is_told(tracker, log):
    text = refusal(tracker, log(), "abc")
    assert text.startswith(f"There is no run 'abc' in {tracker.tracking_uri};") and "--tracking-uri" in text


def test_a_store_that_goes_away_is_not_told_as_an_unknown_run(tracker, log, monkeypatch):
    run_id = log()

    def away(client, run_id):
        raise MlflowException("no connection", error_code=TEMPORARILY_UNAVAILABLE)

    monkeypatch.setattr(MlflowClient, "get_run", away)
    assert "has gone away (no connection); start again when it is back" in refusal(tracker, run_id)


def test_a_run_without_scores_is_told_with_what_ended_it(tracker, log):
    with pytest.raises(ValueError), tracker.run(name="x", tags={}) as failed:
        raise ValueError("no luck.")
    assert f"Run '{failed.run_id}' is FAILED (ValueError: no luck) and has no scores" in refusal(tracker, failed.run_id)
    assert "is FINISHED and has no scores.parquet" in refusal(tracker, log(scores=False))


def test_a_sweep_stands_for_its_finished_runs(tracker, log):
    sweep = log(tags={"kind": "sweep"}, scores=False)
    log()
    below = [log(tags={PARENT_TAG: sweep}) for _ in range(3)]
    tracker.client.update_run(below[1], status="FAILED")
    found = read_runs([below[2], sweep], tracker.tracking_uri)
    assert [run.run_id for run in found] == [below[2], below[0]]


def test_a_sweep_without_finished_runs_is_told(tracker, log):
    sweep = log(tags={"kind": "sweep"}, scores=False)
    assert refusal(tracker, sweep).startswith(f"The sweep '{sweep}' has no finished run;")


def test_a_store_that_is_not_there_is_told_and_not_made(tmp_path):
    text = refusal(None, "abc", uri=f"sqlite:///{tmp_path}/new/mlflow.db")
    assert text.startswith(f"There is no MLflow store sqlite:///{tmp_path}/new/mlflow.db;")
    assert list(tmp_path.iterdir()) == []


def test_reading_makes_no_experiment(tracking_uri, tmp_path):
    tracker = Tracker(tracking_uri=tracking_uri, experiment="mine")
    before = {experiment.name for experiment in tracker.client.search_experiments()}
    refusal(tracker, "abc")
    assert {experiment.name for experiment in tracker.client.search_experiments()} == before
