import numpy as np
import pandas as pd
import pytest

from mriad.metrics.bootstrap import GroupBootstrap
from mriad.metrics.image import class_report, image_metrics, metrics_by_class
from mriad.metrics.intervals import image_intervals, intervals_by_class, report_intervals

WITHOUT = {"no_information_rate", "accuracy_p_value"}


def scores_table(seed=0, healthy=60, anomalous=45, *, groups=40, separation=1.0):
    rng = np.random.default_rng(seed)
    labels = np.repeat([0, 1], [healthy, anomalous])
    scores = np.round(rng.normal(size=len(labels)) + separation * labels, 1)
    kinds = np.where(rng.random(len(labels)) < 0.3, "cyst", "glioma")
    return pd.DataFrame(
        {
            "group": [f"p{number}" for number in rng.integers(groups, size=len(labels))],
            "class": np.where(labels == 1, kinds, "healthy"),
            "label": labels,
            "score": scores,
            "decision": (scores > 0.6).astype(int),
        }
    )


def drawn(table, resamples=2000):
    return GroupBootstrap.draw(groups=table["group"], labels=table["label"], resamples=resamples)


def built(table, bootstrap):
    return [table.iloc[np.repeat(np.arange(len(table)), row)] for row in bootstrap.weights]


def percentiles(values):
    return pytest.approx(tuple(np.quantile(values, [0.025, 0.975])), abs=1e-12)


def test_image_intervals_are_percentiles_of_the_metrics_of_each_resample():
    table = scores_table()
    bootstrap = drawn(table, resamples=60)
    intervals = image_intervals(table, bootstrap)
    resampled = [image_metrics(resample) for resample in built(table, bootstrap)]
    assert set(intervals) == set(resampled[0]) - WITHOUT
    for name, found in intervals.items():
        assert found == percentiles([metrics[name] for metrics in resampled]), name


def test_intervals_by_class_are_percentiles_of_the_metrics_of_each_resample():
    table = scores_table(1)
    bootstrap = drawn(table, resamples=60)
    intervals = intervals_by_class(table, bootstrap)
    resampled = [metrics_by_class(resample) for resample in built(table, bootstrap)]
    assert list(intervals) == ["cyst", "glioma"]
    for kind, found in intervals.items():
        assert set(found) == {"auroc", "average_precision", "recall"}
        for name, bounds in found.items():
            assert bounds == percentiles([metrics[kind][name] for metrics in resampled]), (kind, name)


def test_report_intervals_are_percentiles_of_the_report_of_each_resample():
    table = scores_table(2)
    bootstrap = drawn(table, resamples=60)
    intervals = report_intervals(table, bootstrap)
    resampled = [class_report(resample) for resample in built(table, bootstrap)]
    assert list(intervals) == ["healthy", "anomalous"]
    for label, found in intervals.items():
        assert set(found) == {"precision", "recall", "f1"}
        for name, bounds in found.items():
            assert bounds == percentiles([report.loc[label, name] for report in resampled]), (label, name)


def test_the_metric_lies_in_its_interval_which_shrinks_with_more_groups():
    width = {}
    for count in (100, 1600):
        table = scores_table(3, healthy=count, anomalous=count, groups=count)
        metrics, intervals = image_metrics(table), image_intervals(table, drawn(table))
        assert all(low < metrics[name] < high for name, (low, high) in intervals.items())
        width[count] = intervals["auroc"][1] - intervals["auroc"][0]
    assert width[1600] == pytest.approx(width[100] / 4, rel=0.3)


def test_perfect_decisions_are_not_certain():
    table = scores_table(4, healthy=30, anomalous=50, groups=10**9, separation=100.0)
    table["decision"] = table["label"]
    intervals = image_intervals(table, drawn(table))
    exact = {n: 0.025 ** (1 / n) for n in (30, 50, 80)}
    assert intervals["specificity"] == pytest.approx((exact[30], 1))
    assert intervals["false_positive_rate"] == pytest.approx((0, 1 - exact[30]))
    assert intervals["recall"] == pytest.approx((exact[50], 1))
    assert intervals["accuracy"] == pytest.approx((exact[80], 1))
    for name in ("auroc", "average_precision", "balanced_accuracy", "precision", "f1"):
        assert intervals[name] == pytest.approx((exact[30], 1)), name


def test_groups_are_counted_where_all_decisions_are_right():
    table = scores_table(4, healthy=30, anomalous=50, separation=100.0)
    table["decision"] = table["label"]
    table["group"] = [f"p{row // 5}" for row in range(80)]
    intervals = image_intervals(table, drawn(table))
    found = {name: round(np.log(0.025) / np.log(intervals[name][0])) for name in ("accuracy", "recall", "auroc")}
    assert found == {"accuracy": 16, "recall": 10, "auroc": 6}


def test_groups_not_scans_are_counted_where_nothing_is_called():
    table = scores_table(5)
    table["decision"] = 0
    healthy = table.loc[table["label"] == 0, "group"].nunique()
    low, high = image_intervals(table, drawn(table))["false_positive_rate"]
    assert low == 0 and (1 - high) ** healthy == pytest.approx(0.025)


def test_a_class_in_one_group_has_an_interval_that_says_nothing():
    table = scores_table(6)
    table.loc[[60, 61, 62], ["group", "class"]] = ["one patient", "rare"]
    found = intervals_by_class(table, drawn(table))
    assert found["rare"] == dict.fromkeys(found["rare"], (0, 1))
    assert found["cyst"]["auroc"] != (0, 1)


@pytest.mark.parametrize("label", [0, 1], ids=["healthy", "anomalous"])
def test_a_single_label_has_intervals_for_what_it_can_tell(label):
    table = scores_table(7)
    table = table[table["label"] == label]
    bootstrap = drawn(table)
    assert set(image_intervals(table, bootstrap)) == set(image_metrics(table)) - WITHOUT
    assert {kind: set(found) for kind, found in intervals_by_class(table, bootstrap).items()} == {
        kind: {"recall"} for kind in metrics_by_class(table)
    }
    assert report_intervals(table, bootstrap).keys() == {("healthy", "anomalous")[label]}


def test_no_scans_have_no_intervals():
    table = scores_table().iloc[:0]
    bootstrap = drawn(table)
    assert image_intervals(table, bootstrap) == intervals_by_class(table, bootstrap) == {}
    assert report_intervals(table, bootstrap) == {}
