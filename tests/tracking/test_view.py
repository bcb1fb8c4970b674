import json

from mriad.tracking.tracker import Tracker
from mriad.tracking.view import RESULTS, link, view


def read(tag):
    """Name and state of a view, as MLflow's page reads them."""
    saved = json.loads(tag)
    assert isinstance(saved["createdAt"], int) and isinstance(saved["updatedAt"], int)
    return saved["name"], json.loads(saved["state"])


def test_a_view_says_which_runs_in_which_order_with_which_columns():
    (tag,) = view(
        "abc",
        "mine",
        params=["model.beta"],
        metrics=["val/loss"],
        runs="tags.a = 'b'",
        order_by="val/loss",
        ascending=True,
    ).values()
    name, state = read(tag)
    columns = ["params.`model.beta`", "metrics.`val/loss`"]
    assert name == "mine"
    assert (state["searchFilter"], state["orderByKey"], state["orderByAsc"]) == ("tags.a = 'b'", columns[1], True)
    assert state["selectedColumns"] == columns
    assert [column for column in state["columnOrder"] if column in columns] == columns


def test_an_experiment_is_made_with_the_view_of_its_results(tracking_uri):
    tracker = Tracker(tracking_uri=tracking_uri)
    tags = tracker.client.get_experiment(tracker.experiment_id).tags
    name, state = read(tags[f"mlflow.sharedViewState.{RESULTS}"])
    assert name == "Results, best val/auroc first"
    assert "metrics.`test/auroc`" in state["selectedColumns"]
    assert link(tracker.experiment_id, RESULTS).endswith("viewStateShareKey=results")
