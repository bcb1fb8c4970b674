import io
from dataclasses import replace

import numpy as np
import pandas as pd
import pytest
from rich.console import Console

from mriad.report.promises import drift_statement, false_positive_sentence, promise_sentence, rates_of_this_threshold
from mriad.report.terminal import print_result
from mriad.report.verdict import best_feature, key_figures, statements, threshold_sentence
from mriad.thresholds import Calibration, Conformal, Drift, Quantile
from mriad.thresholds.conformal import rate_interval


def with_interval(result, name, low, high):
    return replace(result, intervals={**result.intervals, name: (low, high)})


def with_metrics(result, **metrics):
    return replace(result, metrics={**result.metrics, **metrics})


def said(result, audit):
    return [(statement.tone, statement.text) for statement in statements(result, audit)]


@pytest.mark.parametrize(
    ("auroc", "low", "tone", "words"),
    [
        (0.9, 0.8, "good", "Better than every trivial feature: AUROC 0.900 [0.800, 0.950] against 0.720"),
        (0.9, 0.7, "plain", "Ahead of the best trivial feature, but not beyond doubt"),
        (0.71, 0.6, "bad", "aspect ratio (raw) alone reaches AUROC 0.720, the detector AUROC 0.710 [0.600, 0.950]"),
        (0.72, 0.6, "bad", "No model is needed to do as well"),
        (
            0.9,
            0.5,
            "bad",
            "guessing: AUROC 0.900 [0.500, 0.950], where aspect ratio (raw) alone reaches 0.720.",
        ),
    ],
)
def test_the_detector_is_held_against_the_best_trivial_feature(mixed, audit, auroc, low, tone, words):
    result = with_interval(with_metrics(mixed, auroc=auroc), "auroc", low, 0.95)
    (first_tone, first), *_ = said(result, audit)
    assert first_tone == tone
    assert words in first


def test_the_best_feature_is_the_one_of_the_highest_auroc(audit):
    assert best_feature(audit) == ("aspect ratio (raw)", 0.72)
    assert best_feature(None) is None


@pytest.mark.parametrize(("p", "tone", "words"), [(0.0004, "good", "p < 0.001"), (0.05, "bad", "p = 0.050")])
def test_accuracy_is_held_against_the_commoner_answer(mixed, p, tone, words):
    result = with_interval(with_metrics(mixed, accuracy_p_value=p), "accuracy", 0.55, 0.8)
    told = [(t, text) for t, text in said(result, None) if "Accuracy" in text]
    ((seen, text),) = told
    assert seen == tone
    assert "Accuracy 66.7 % is" in text
    assert ("is not above the 50.0 % of always answering 'healthy'" in text) == (tone == "bad")
    assert words in text


def test_a_small_p_value_does_not_do_where_groups_leave_doubt(mixed):
    result = with_interval(with_metrics(mixed, accuracy_p_value=0.01), "accuracy", 0.45, 0.8)
    assert [tone for tone, text in said(result, None) if "Accuracy" in text] == ["plain"]


@pytest.mark.parametrize(
    ("promised", "low", "tone", "words"),
    [
        (0.4, 0.1, "good", "promised 40.0 %, val 25.0 %, test 33.3 % [10.0, 60.0]: in keeping with the promise."),
        (
            0.2,
            0.1,
            "plain",
            "promised 20.0 %, val 25.0 %, test 33.3 % [10.0, 60.0]: above what was promised, but not beyond doubt.",
        ),
        (0.05, 0.1, "bad", "promised 5.0 %, val 25.0 %, test 33.3 % [10.0, 60.0]: above what was promised."),
        (None, 0.1, "plain", "val 25.0 %, test 33.3 % [10.0, 60.0]; the rule youden promises none."),
    ],
)
def test_the_promised_false_positive_rate_is_held_against_the_one_seen(measure, promised, low, tone, words):
    result = measure(["healthy"] * 3 + ["glioma"], [0.1, 0.2, 0.9, 0.9], promised=promised)
    result = with_interval(result, "false_positive_rate", low, 0.6)
    assert (tone, f"Healthy false positives: {words}") in said(result, None)
    assert false_positive_sentence(result) == f"Healthy false positives: {words}"


def test_without_healthy_scans_there_is_no_false_positive_rate(measure):
    assert false_positive_sentence(measure(["glioma"] * 2, [0.2, 0.9])) is None


def test_key_figures_count_what_was_found_and_what_was_called(mixed, audit):
    figures = {figure.title: figure for figure in key_figures(mixed, audit)}
    assert list(figures) == ["Sensitivity", "False positive rate", "AUROC", "Accuracy"]
    assert (figures["Sensitivity"].text, figures["Sensitivity"].sentence) == ("66.7 %", "finds 4 of 6 anomalous scans")
    assert figures["False positive rate"].sentence == "calls 2 of 6 healthy scans anomalous"
    assert figures["False positive rate"].interval == mixed.intervals["false_positive_rate"]
    assert figures["AUROC"].mark == 0.72
    assert figures["Accuracy"].mark == 0.5


def test_the_threshold_says_what_it_was_fitted_on(measure):
    classes, scores = ["healthy", "glioma"], [0.1, 0.9]
    assert threshold_sentence(measure(classes, scores)) == (
        "Threshold 0.5, by the rule youden on val (4 healthy and 1 anomalous scans)."
    )
    assert threshold_sentence(measure(classes, scores, rule="fixed")) == "Threshold 0.5, given by the user."


@pytest.mark.parametrize(("count", "scans"), [(1, "1 anomalous scan "), (1200, "1,200 anomalous scans ")])
def test_labelled_scans_that_trained_are_told(mixed, count, scans):
    told = said(replace(mixed, labelled_train=count), None)
    assert [tone for tone, text in told if f"Trained with the lesion masks of {scans}beside" in text] == ["plain"]
    assert not [text for _, text in said(mixed, None) if "Trained with" in text]


@pytest.mark.parametrize("interval", [(0.1, 0.6), None])
@pytest.mark.parametrize("promised", [0.4, 0.2, 0.05])
def test_a_promise_is_called_optimistic_where_val_also_shaped_the_maps(measure, promised, interval):
    result = measure(["healthy"] * 3 + ["glioma"], [0.1, 0.2, 0.9, 0.9], promised=promised)
    result = replace(result, intervals={"false_positive_rate": interval} if interval else {})
    plain, scaled = (false_positive_sentence(replace(result, scaled_on_val=scaled)) for scaled in (False, True))
    assert scaled.startswith(plain.removesuffix("."))
    assert scaled.endswith(
        "; the promise is optimistic, for the healthy val scans have also shaped what maps are compared with."
    )


def test_what_is_not_promised_is_not_called_optimistic(measure):
    result = replace(measure(["healthy"] * 3 + ["glioma"], [0.1, 0.2, 0.9, 0.9]), scaled_on_val=True)
    assert "optimistic" not in false_positive_sentence(result)


def recalibrated(result, rule, scans=20):
    scores = pd.DataFrame({"group": np.arange(scans), "label": 0, "score": np.linspace(0, 1, scans)})
    fitted = Calibration.fit(
        rule, scores, pixel_threshold=0.2, lesion_level=0.3, fitted_on=f"{scans} healthy scans of x"
    )
    return replace(result, calibration=fitted)


def printed(result):
    console = Console(width=2000, record=True, file=io.StringIO())
    print_result(result, places=[], console=console)
    return console.export_text()


def test_a_recalibrated_threshold_says_what_it_promises_and_what_not(mixed):
    result = recalibrated(mixed, Conformal(alpha=0.1))
    low, high = rate_interval(0.1, 20)
    assert rates_of_this_threshold(result.calibration) == (low, high)
    told = promise_sentence(result.calibration)
    assert told in printed(result) and ("plain", told) in said(result, None)
    assert "Recalibrated on 20 healthy scans of x, each of another patient or group" in told
    assert "at most 10.0 % of healthy scans like them" in told
    assert f"a rate of {100 * low:.1f} % to {100 * high:.1f} % (95 % interval of its Beta distribution)" in told
    assert "no rate below 4.8 %, 1 / (n + 1), can be promised by n = 20 scans" in told
    assert "Nothing is promised of the sensitivity" in told
    assert "fitted on 20 healthy scans of x" in printed(result)
    assert "by the rule conformal on 20 healthy scans of x; the pixel threshold 0.2 is" in threshold_sentence(result)
    assert "promised 10.0 %, the calibration " in false_positive_sentence(result)
    assert {figure.mark_name for figure in key_figures(result, None)} >= {"promised on the calibration: 10.0 %"}


def test_another_rule_promises_less(mixed):
    result = recalibrated(mixed, Quantile(q=0.9))
    assert rates_of_this_threshold(result.calibration) is None
    assert "the rule quantile guarantees no false positive rate" in promise_sentence(result.calibration)


def test_a_threshold_of_val_says_nothing_of_recalibration(mixed):
    assert promise_sentence(mixed.calibration) is None and drift_statement(mixed) is None


def drift(**more):
    options = {"kind": "healthy", "fitted_on": "val", "scans": 30, "known": 40, "statistic": 0.5, "p_value": 0.0004}
    return Drift(median=0.2, known_median=0.1, **{**options, **more})


def test_scores_that_lie_elsewhere_are_warned_of(mixed):
    result = replace(mixed, drift=drift())
    statement = drift_statement(result)
    assert statement.tone == "bad"
    assert "Scores of the 30 healthy test scans lie off those of the 40 of val" in statement.text
    assert "D = 0.50, p < 0.001; median 0.2 against 0.1" in statement.text
    assert "calibrate=healthy" in statement.text
    assert f"Warning: {statement.text}" in printed(result)
    assert ("bad", statement.text) in said(result, None)


def test_scores_that_are_not_told_apart_are_told_without_a_warning(mixed):
    result = replace(mixed, drift=drift(p_value=0.011, fitted_on="20 healthy scans of x"))
    statement = drift_statement(result)
    assert statement.tone == "plain"
    assert "cannot be told from those of the 20 healthy scans of x" in statement.text and "p = 0.011" in statement.text
    assert statement.text in printed(result) and "Warning" not in printed(result)


def test_lesions_of_another_kind_may_be_what_lies_elsewhere(mixed):
    assert "may be of another kind" in drift_statement(replace(mixed, drift=drift(kind="anomalous"))).text
