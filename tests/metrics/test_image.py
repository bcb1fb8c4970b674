import numpy as np
import pandas as pd
import pytest

from mriad.errors import MriadError
from mriad.metrics.image import class_report, confusion, image_metrics, metrics_by_class


def scores_table(labels, scores, decisions, classes=None):
    labels = np.asarray(labels)
    return pd.DataFrame(
        {
            "path": [f"scan{i}.png" for i in range(len(labels))],
            "group": [f"g{i}" for i in range(len(labels))],
            "class": classes or ["anomaly" if label else "healthy" for label in labels],
            "label": labels,
            "role": "test",
            "score": np.asarray(scores, dtype=float),
            "decision": decisions,
        }
    )


@pytest.fixture
def table():
    # Two healthy of three are called right, one glioma of two and the only meningioma are found.
    return scores_table(
        labels=[0, 0, 0, 1, 1, 1],
        scores=[0.1, 0.2, 0.6, 0.2, 0.7, 0.9],
        decisions=[0, 0, 1, 0, 1, 1],
        classes=["healthy"] * 3 + ["glioma", "glioma", "meningioma"],
    )


def test_metrics_of_a_table_counted_by_hand(table):
    metrics = image_metrics(table)
    # Of nine pairs seven are ordered rightly, 0.2 ties with 0.2 and 0.2 loses to 0.6.
    assert metrics["auroc"] == pytest.approx(7.5 / 9)
    # Recall rises by a third at 0.9, 0.7 and 0.2, where 1/1, 2/2 and 3/5 of the scans are anomalous.
    assert metrics["average_precision"] == pytest.approx((1 + 1 + 3 / 5) / 3)
    for name in ("accuracy", "balanced_accuracy", "precision", "recall", "specificity", "f1"):
        assert metrics[name] == pytest.approx(2 / 3), name
    assert metrics["no_information_rate"] == 0.5
    assert all(type(value) is float for value in metrics.values())


def test_unbalanced_table_tells_recall_from_specificity():
    metrics = image_metrics(scores_table([0, 1, 1, 1], [1, 2, 3, 4], [0, 0, 1, 1]))
    assert metrics["specificity"] == 1 and metrics["precision"] == 1
    assert metrics["recall"] == pytest.approx(2 / 3)
    assert metrics["balanced_accuracy"] == pytest.approx(5 / 6)
    assert metrics["no_information_rate"] == 0.75
    assert metrics["accuracy"] == 0.75


def test_the_p_value_of_the_accuracy_is_the_binomial_tail_counted_by_hand():
    # three of four are anomalous; all four right has the probability 0.75 ** 4, three right 4 * 0.75 ** 3 * 0.25
    scores, labels = [1, 2, 3, 4], [0, 1, 1, 1]
    assert image_metrics(scores_table(labels, scores, [0, 1, 1, 1]))["accuracy_p_value"] == pytest.approx(0.75**4)
    one_missed = image_metrics(scores_table(labels, scores, [0, 0, 1, 1]))
    assert one_missed["accuracy_p_value"] == pytest.approx(0.75**4 + 0.75**3)
    none_right = image_metrics(scores_table(labels, scores, [1, 0, 0, 0]))
    assert none_right["accuracy_p_value"] == 1


def test_the_false_positive_rate_is_of_healthy_scans_only():
    metrics = image_metrics(scores_table([0, 0, 0, 0, 1, 1], range(6), [1, 0, 0, 0, 1, 1]))
    assert metrics["false_positive_rate"] == 0.25 == pytest.approx(1 - metrics["specificity"])


def test_precision_is_zero_where_nothing_is_called_anomalous():
    metrics = image_metrics(scores_table([0, 1], [0.1, 0.9], [0, 0]))
    assert metrics["precision"] == 0 and metrics["f1"] == 0


def test_healthy_scans_alone_leave_undefined_metrics_out():
    metrics = image_metrics(scores_table([0, 0, 0, 0], [1, 2, 3, 4], [0, 0, 0, 1]))
    assert metrics == {
        "accuracy": 0.75,
        "no_information_rate": 1.0,
        "specificity": 0.75,
        "false_positive_rate": 0.25,
    }


def test_anomalous_scans_alone_leave_undefined_metrics_out():
    metrics = image_metrics(scores_table([1, 1], [1, 2], [0, 1]))
    assert metrics == {"accuracy": 0.5, "no_information_rate": 1.0, "recall": 0.5}


def test_table_without_rows_has_no_metrics(table):
    empty = table.iloc[:0]
    assert image_metrics(empty) == {}
    assert metrics_by_class(empty) == {}
    assert confusion(empty).tolist() == [[0, 0], [0, 0]]


def test_boolean_decisions_count_like_integers(table):
    assert image_metrics(table.astype({"decision": bool})) == image_metrics(table)


def test_each_class_is_measured_against_all_healthy_scans(table):
    by_class = metrics_by_class(table)
    assert list(by_class) == ["glioma", "meningioma"]
    assert by_class["meningioma"] == {"auroc": 1.0, "average_precision": 1.0, "recall": 1.0, "support": 1.0}
    glioma = by_class["glioma"]
    assert glioma["auroc"] == pytest.approx(4.5 / 6)
    assert glioma["average_precision"] == pytest.approx((1 + 2 / 4) / 2)
    assert glioma["recall"] == 0.5 and glioma["support"] == 2


def test_class_without_healthy_scans_keeps_recall_only(table):
    by_class = metrics_by_class(table[table["label"] == 1])
    assert by_class["glioma"] == {"recall": 0.5, "support": 2.0}


def test_class_report_has_a_row_per_label():
    report = class_report(scores_table([0, 1, 1, 1], [1, 2, 3, 4], [0, 0, 1, 1]))
    assert list(report.index) == ["healthy", "anomalous"]
    assert list(report.columns) == ["precision", "recall", "f1", "support"]
    np.testing.assert_allclose(report.loc["healthy"], [1 / 2, 1, 2 / 3, 1])
    np.testing.assert_allclose(report.loc["anomalous"], [1, 2 / 3, 4 / 5, 3])


def test_confusion_has_truth_in_rows_and_healthy_first():
    matrix = confusion(scores_table([0] * 6 + [1] * 4, range(10), [0, 0, 0, 1, 1, 0, 1, 1, 1, 0]))
    assert matrix.tolist() == [[4, 2], [1, 3]]


@pytest.mark.parametrize("measure", [image_metrics, metrics_by_class])
@pytest.mark.parametrize("bad", [np.nan, np.inf])
def test_scores_that_are_not_finite_are_named(table, measure, bad):
    table.loc[[2, 4], "score"] = bad
    with pytest.raises(MriadError, match=r"2 of 6 anomaly scores .* scan2\.png"):
        measure(table)
