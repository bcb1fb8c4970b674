import math

import pytest

from mriad.compare.methods import identity, logged_metrics, pool


def test_runs_that_differ_by_their_seed_alone_are_one_method(make_run):
    runs = [make_run(seed="0"), make_run(seed="0", score="l1"), make_run(seed="1"), make_run(seed="2")]
    methods, notes = pool(runs)
    assert [method.name for method in methods] == ["ae", "ae score=l1"]
    assert [[run.run_id for run in method.runs] for method in methods] == [["run0", "run2", "run3"], ["run1"]]
    assert notes == []


@pytest.mark.parametrize("order", [1, -1])
def test_of_two_runs_with_one_seed_the_later_counts_and_is_told(make_run, order):
    runs = [make_run(seed="3"), make_run(seed="3")]
    (method,), (note,) = pool(runs[::order])
    assert [run.run_id for run in method.runs] == ["run1"]
    assert note == "Runs run0 and run1 have the same options and the same seed 3; only the later, run1, counts."


def test_what_names_do_not_say_is_noted(make_run):
    _, notes = pool([make_run(score="l1"), make_run(model="vae", score="mse")])
    assert notes == ["The methods also differ in score; methods.csv tells how."]


def test_notes_of_runs_are_told_once_with_the_names_of_their_methods(make_run):
    bad = ["flawed"]
    runs = [
        make_run(seed="0", notes=bad),
        make_run(seed="1", notes=bad),
        make_run(model="vae", notes=bad),
        make_run(model="x"),
    ]
    assert pool(runs)[1] == ["ae, vae: flawed."]


def test_identity_lists_runs_and_the_options_that_differ(make_run):
    runs = [make_run(seed="0", lr="1", same="x"), make_run(seed="1", lr="1", same="x"), make_run(lr="2", same="x")]
    table = identity(pool(runs)[0])
    assert table.to_dict("records") == [
        {"method": "ae lr=1", "runs": "run0 run1", "lr": "1"},
        {"method": "ae lr=2", "runs": "run2", "lr": "2"},
    ]


def test_every_logged_metric_has_its_mean_and_deviation_over_seeds(make_run):
    metrics = {"dice": 0.2, "tumour/recall": 0.5, "dice_low": 0.1, "auroc": 0.9, "auroc_low": 0.8}
    runs = [make_run(seed="0", metrics=metrics), make_run(seed="1", metrics=metrics | {"dice": 0.4, "dice_low": 0.2})]
    (row,) = logged_metrics(pool(runs)[0]).to_dict("records")
    assert list(row) == ["method", "dice", "dice_sd", "dice_low", "tumour/recall", "tumour/recall_sd"]
    assert row["dice"] == pytest.approx(0.3)
    assert row["dice_sd"] == pytest.approx(math.sqrt(0.02))
    assert row["dice_low"] == pytest.approx(0.15)
    assert row["tumour/recall_sd"] == 0


def test_a_metric_that_a_seed_lacks_is_left_empty(make_run):
    runs = [make_run(seed="0", metrics={"f1": 0.5, "dice": 0.1}), make_run(seed="1", metrics={"f1": 0.7})]
    row = logged_metrics(pool(runs)[0]).iloc[0]
    assert row["f1"] == pytest.approx(0.6)
    assert math.isnan(row["dice"]) and math.isnan(row["dice_sd"])


def test_one_seed_has_no_deviation(make_run):
    row = logged_metrics(pool([make_run(metrics={"f1": 0.5})])[0]).iloc[0]
    assert row["f1"] == 0.5 and math.isnan(row["f1_sd"])
