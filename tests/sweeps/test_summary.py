import pytest

from mriad.errors import MriadError
from mriad.sweeps.summary import lower_is_better, table_of
from mriad.tracking.run import Tracker
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
