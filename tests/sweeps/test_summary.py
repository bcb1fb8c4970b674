import json
import re
from types import SimpleNamespace

import pytest
import requests

from mriad.errors import MriadError
from mriad.sweeps.parent import Parent
from mriad.sweeps.summary import lower_is_better, summarize, table_of
from mriad.tracking.tags import JOB_TAG, PARENT_TAG
from mriad.tracking.tracker import Tracker


@pytest.fixture
def children(tracking_uri):
    """Three finished jobs, the second without an objective, and one that failed after it had the best."""
    tracker = Tracker(tracking_uri=tracking_uri)
    jobs = [("a", 0.7), ("b", None), ("c", 0.9), ("failed", 1.0)]
    for name, auroc in jobs:
        try:
            with tracker.run(name=name, tags={JOB_TAG: f"data=x score={name}"}) as run:
                run.log_metrics({"val/auroc": auroc if auroc is not None else float("nan"), "unwanted": 1.0})
                if name == "failed":
                    raise MriadError("The disk is full.")
        except MriadError:
            pass
    return tracker.client.search_runs([tracker.experiment_id], order_by=["attributes.start_time ASC"])


def test_rows_are_best_first_with_what_failed_at_the_end(children):
    table = table_of(children, "val/auroc")
    assert list(table.columns) == ["name", "run_id", "status", "score", "val/auroc", "failure"]
    assert list(table["name"]) == ["c", "a", "b", "failed"]
    assert list(table["failure"]) == ["", "", "", "The disk is full."]


def test_without_an_objective_rows_stand_as_the_jobs_ran(children):
    assert list(table_of(children, None)["name"]) == ["a", "b", "c", "failed"]
    assert list(table_of(children, "val/loss")["name"]) == ["a", "b", "c", "failed"]


def test_losses_are_minimised():
    assert [lower_is_better(name) for name in ("val/loss", "val/auroc")] == [True, False]


def test_the_page_of_a_sweep_leads_to_the_view_of_its_jobs(tracking_uri):
    tracker = Tracker(tracking_uri=tracking_uri)
    with tracker.run(name="sweep seed=1,2", tags={"kind": "sweep"}) as run:
        for seed in (1, 2):
            with tracker.run(name=f"seed {seed}", tags={JOB_TAG: f"seed={seed} x=1"}, parent=run.run_id) as job:
                job.log_params({"seed": seed})
                job.log_metrics({"val/loss": 1 / seed})
        parent = Parent(tracker=tracker, run=run, kind="training", objective="val/loss")
        summarize(run, parent.children(), parent.objective)
    page = tracker.client.get_run(run.run_id).data.tags["mlflow.note.content"]
    assert page.startswith("Best `val/loss`: 0.5, [seed 2]") and f"viewStateShareKey={run.run_id})" in page
    assert "| name | seed | val/loss |" in page  # neither status nor failure, which none of them needs
    saved = json.loads(tracker.client.get_experiment(run.experiment_id).tags[f"mlflow.sharedViewState.{run.run_id}"])
    state = json.loads(saved["state"])
    assert (saved["name"], state["orderByAsc"]) == ("sweep seed=1,2", True)
    assert state["selectedColumns"] == ["params.`seed`", "metrics.`val/loss`"]
    assert state["searchFilter"] == f"tags.`{PARENT_TAG}` = '{run.run_id}'"


def test_the_page_of_a_sweep_shortens_fractions_and_no_whole_numbers(tracking_uri):
    tracker = Tracker(tracking_uri=tracking_uri)
    with tracker.run(name="sweep", tags={"kind": "sweep"}) as run:
        for seed, rate in ((20260101, 0.000123456), (20260102, 0.0234567)):
            tags = {JOB_TAG: f"rate={rate} seed={seed}", PARENT_TAG: run.run_id}
            tracker.client.create_run(run.experiment_id, run_name="x", tags=tags)
        parent = Parent(tracker=tracker, run=run, kind="training", objective=None)
        summarize(run, parent.children(), parent.objective)
    page = tracker.client.get_run(run.run_id).data.tags["mlflow.note.content"]
    assert "| 0.0001235 | 20260101 |" in page and "| 0.02346 | 20260102 |" in page


def test_the_page_of_a_long_sweep_ends_with_a_whole_row_and_says_how_many_there_are(tracking_uri):
    tracker = Tracker(tracking_uri=tracking_uri)
    with tracker.run(name="sweep", tags={"kind": "sweep"}) as run:
        for seed in range(150):
            tags = {JOB_TAG: f"seed={seed}", PARENT_TAG: run.run_id}
            tracker.client.create_run(run.experiment_id, run_name=f"a name of the usual length, seed {seed}", tags=tags)
        parent = Parent(tracker=tracker, run=run, kind="training", objective="val/loss")
        summarize(run, parent.children(), parent.objective)
    page = tracker.client.get_run(run.run_id).data.tags["mlflow.note.content"]
    rows = [line for line in page.splitlines() if "a name of the usual length" in line]
    said = re.search(r"The first (\d+) of 150 jobs", page)
    assert int(said[1]) == len(rows) > 20 and page.endswith("|") and len(page) < 8000


def test_a_store_that_is_away_does_not_end_a_sweep(caplog):
    parent = Parent(tracker=None, run=SimpleNamespace(run_id="p1"), kind="training", objective=None)

    def away():
        raise requests.ConnectionError("refused")

    parent.children = away
    parent.mark_failed("seed=1", "It was killed.", label="seed=1")
    assert "resume_sweep=p1 puts it right" in caplog.text
    with pytest.raises(ValueError, match="a mistake"), parent.as_far_as_the_store_is_there():
        raise ValueError("a mistake")
