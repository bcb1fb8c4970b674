import json

import pytest

from mriad.errors import MriadError
from mriad.sweeps.parent import Parent
from mriad.sweeps.summary import lower_is_better, summarize, table_of
from mriad.tracking.run import PARENT_TAG, Tracker
from mriad.tracking.sweep import JOB_TAG


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
        summarize(Parent(tracker=tracker, run=run, kind="training", objective="val/loss"))
    page = tracker.client.get_run(run.run_id).data.tags["mlflow.note.content"]
    assert page.startswith("Best `val/loss`: 0.5, [seed 2]") and f"viewStateShareKey={run.run_id})" in page
    assert "| name | seed | val/loss |" in page  # neither status nor failure, which none of them needs
    saved = json.loads(tracker.client.get_experiment(run.experiment_id).tags[f"mlflow.sharedViewState.{run.run_id}"])
    state = json.loads(saved["state"])
    assert (saved["name"], state["orderByAsc"]) == ("sweep seed=1,2", True)
    assert state["selectedColumns"] == ["params.`seed`", "metrics.`val/loss`"]
    assert state["searchFilter"] == f"tags.`{PARENT_TAG}` = '{run.run_id}'"
