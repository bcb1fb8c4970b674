import numpy as np
import pandas as pd
import pytest
from sklearn.metrics import average_precision_score, roc_auc_score

from mriad.compare.comparison import compare

RESAMPLES = 400


def only(table, **where):
    """The row that holds these values."""
    for name, value in where.items():
        table = table[table[name] == value]
    (row,) = table.to_dict("records")
    return row


def seeds(make_scores, name, *, shift, number=1, first=0, **options):
    return {f"{name}{i}": make_scores(shift=shift, seed=first + i, **options) for i in range(number)}


def test_a_method_is_the_mean_and_deviation_of_its_seeds(make_scores):
    runs = seeds(make_scores, "a", shift=1.0, number=3)
    found = compare({"ae": runs}, resamples=RESAMPLES)
    row = only(found.methods, method="ae")
    for metric, measure in (("auroc", roc_auc_score), ("average_precision", average_precision_score)):
        values = [measure(table["label"], table["score"]) for table in runs.values()]
        assert row[metric] == pytest.approx(np.mean(values))
        assert row[f"{metric}_sd"] == pytest.approx(np.std(values, ddof=1))
        assert row[f"{metric}_low"] < row[metric] < row[f"{metric}_high"]
        assert found.runs[metric].tolist() == pytest.approx(values)
    assert row["seeds"] == 3
    assert len(found.differences) == 0


def test_one_seed_has_no_deviation_but_an_interval(make_scores):
    row = only(compare({"ae": seeds(make_scores, "a", shift=1.0)}, resamples=RESAMPLES).methods, method="ae")
    assert np.isnan(row["auroc_sd"]) and row["auroc_low"] < row["auroc"] < row["auroc_high"]


def test_methods_stand_best_first_and_differences_are_better_minus_worse(make_scores):
    methods = {name: seeds(make_scores, name, shift=shift) for name, shift in (("b", 1), ("c", 0), ("a", 2))}
    found = compare(methods, resamples=RESAMPLES)
    assert found.methods["method"].tolist() == ["a", "b", "c"]
    pairs = found.differences[found.differences["metric"] == "auroc"]
    assert list(zip(pairs["method"], pairs["other"], strict=True)) == [("a", "b"), ("a", "c"), ("b", "c")]
    means = found.methods.set_index("method")["auroc"]
    assert pairs["difference"].tolist() == pytest.approx(
        [means["a"] - means["b"], means["a"] - means["c"], means["b"] - means["c"]]
    )
    assert (pairs["low"] < pairs["difference"]).all() and (pairs["difference"] < pairs["high"]).all()


@pytest.mark.parametrize("metric", ["auroc", "average_precision"])
def test_the_same_scores_differ_by_nothing(make_scores, metric):
    one, two, three = seeds(make_scores, "a", shift=1.0, number=3).values()
    methods = {"a": {"a0": one, "a1": two, "a2": three}, "b": {"b0": three, "b1": two, "b2": one}}
    found = compare(methods, resamples=RESAMPLES)
    row = only(found.differences, metric=metric)
    assert (row["difference"], row["low"], row["high"], row["p"]) == (pytest.approx(0, abs=1e-12), 0, 0, 1)


def test_a_better_method_is_found_significantly_better(make_scores):
    methods = {"good": seeds(make_scores, "g", shift=1.5), "bad": seeds(make_scores, "b", shift=0.5, first=1)}
    found = compare(methods, resamples=RESAMPLES)
    for metric in ("auroc", "average_precision"):
        row = only(found.differences, metric=metric)
        assert (row["method"], row["other"]) == ("good", "bad")
        assert row["low"] > 0.05
        assert row["p"] == pytest.approx(2 / (RESAMPLES + 1))  # no resample says otherwise


def test_a_pair_is_compared_on_the_same_resamples(make_scores):
    """What is hard for both cancels: the difference is known better than the two methods are."""
    methods = {"a": seeds(make_scores, "a", shift=1.0), "b": seeds(make_scores, "b", shift=0.9, first=1)}
    found = compare(methods, resamples=RESAMPLES)
    row = only(found.differences, metric="auroc")
    alone = [only(found.methods, method=name) for name in "ab"]
    unpaired = np.hypot(*(method["auroc_high"] - method["auroc_low"] for method in alone))
    assert row["high"] - row["low"] < 0.5 * unpaired


def test_more_seeds_average_what_is_peculiar_to_one(make_scores):
    def width(number):
        runs = seeds(make_scores, "a", shift=1.0, number=number, common=0.0)
        row = only(compare({"a": runs}, resamples=RESAMPLES).methods, method="a")
        return row["auroc_high"] - row["auroc_low"]

    assert width(6) < 0.7 * width(1)


def test_copies_within_a_group_make_nothing_surer(make_scores):
    def copied(table):
        copies = [table.assign(path=[f"{path}.{i}" for path in table["path"]]) for i in range(4)]
        return pd.concat(copies, ignore_index=True)

    once = {"a": seeds(make_scores, "a", shift=1.0), "b": seeds(make_scores, "b", shift=0.8, first=1)}
    often = {name: {run: copied(table) for run, table in runs.items()} for name, runs in once.items()}
    expected, found = compare(once, resamples=RESAMPLES), compare(often, resamples=RESAMPLES)
    same = ["difference", "low", "high", "p"]
    np.testing.assert_allclose(found.differences[same], expected.differences[same], atol=1e-9)
    alone = {name: {run: t.assign(group=t["path"]) for run, t in runs.items()} for name, runs in often.items()}
    trusting = compare(alone, resamples=RESAMPLES).differences
    assert (
        (trusting["high"] - trusting["low"]) < 0.7 * (expected.differences["high"] - expected.differences["low"])
    ).all()


def test_equally_good_methods_are_told_apart_as_often_as_the_level_says():
    rng = np.random.default_rng(0)
    scans = pd.DataFrame({"path": [f"{i:02}" for i in range(80)], "label": np.arange(80) % 2}).eval("group = path")
    p = []
    for _ in range(12):  # of 10 equally good methods, 45 pairs
        runs = {f"m{i}": {f"r{i}": scans.assign(score=scans["label"] + rng.normal(size=80))} for i in range(10)}
        found = compare(runs, resamples=200).differences
        p += found.loc[found["metric"] == "auroc", "p"].tolist()
    assert 0.02 <= np.mean(np.array(p) < 0.05) <= 0.08
    assert 0.4 <= np.mean(np.array(p) < 0.5) <= 0.6


def test_p_values_are_corrected_for_the_number_of_pairs(make_scores):
    shifts = {"a": 1.4, "b": 1.0, "c": 0.95}
    methods = {name: seeds(make_scores, name, shift=s, first=i) for i, (name, s) in enumerate(shifts.items())}
    found = compare(methods, resamples=RESAMPLES).differences
    pairs = found[found["metric"] == "auroc"].sort_values("p")
    p = pairs["p"].to_numpy()
    holm = [3 * p[0], max(3 * p[0], 2 * p[1]), max(3 * p[0], 2 * p[1], p[2])]
    assert pairs["p_holm"].tolist() == pytest.approx(np.minimum(holm, 1))
    assert p[2] > p[0]


def test_a_single_pair_needs_no_correction(make_scores):
    methods = {"a": seeds(make_scores, "a", shift=1.0), "b": seeds(make_scores, "b", shift=0.9, first=1)}
    found = compare(methods, resamples=RESAMPLES).differences
    assert found["p"].tolist() == found["p_holm"].tolist()


def test_one_diseased_patient_tells_nothing_of_others(make_scores):
    def one_patient(table):
        return table.assign(group=table["group"].where(table["label"] == 0, "patient"))

    methods = {"a": {"a": one_patient(make_scores(shift=2.0))}, "b": {"b": one_patient(make_scores(shift=0.0))}}
    row = only(compare(methods, resamples=RESAMPLES).differences, metric="auroc")
    assert (row["low"], row["high"], row["p"]) == (-1, 1, 1)


def test_the_order_of_runs_and_rows_changes_nothing(make_scores):
    a, b = seeds(make_scores, "a", shift=1.0, number=2), seeds(make_scores, "b", shift=0.8, first=5)
    shuffled = {run: table.sample(frac=1, random_state=1) for run, table in b.items()}
    expected = compare({"a": a, "b": b}, resamples=RESAMPLES)
    found = compare({"b": shuffled, "a": dict(reversed(a.items()))}, resamples=RESAMPLES)
    pd.testing.assert_frame_equal(found.methods, expected.methods)
    pd.testing.assert_frame_equal(found.differences, expected.differences)
