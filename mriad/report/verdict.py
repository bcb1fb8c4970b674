"""The verdict on a test in plain words: what the threshold does, and whether a ruler would do as well."""

from __future__ import annotations

from dataclasses import dataclass
from typing import Literal, Protocol, cast

import pandas as pd

from mriad.report.names import p_value
from mriad.report.result import Result
from mriad.thresholds import Calibration, Conformal, Fixed
from mriad.thresholds.calibration import VAL
from mriad.thresholds.conformal import rate_interval

Tone = Literal["good", "bad", "plain"]
SIGNIFICANT = 0.05
CHANCE = 0.5


class AuditFindings(Protocol):
    """What the report shows of an audit of the data; the tables are shown as they are."""

    @property
    def verdict(self) -> str:
        """One line: how much AUROC there is to be had without any model."""

    @property
    def features(self) -> pd.DataFrame:
        """A row per trivial feature: feature, stage, auroc, its interval low to high, and sign '+', '-' or ''."""

    @property
    def duplicates(self) -> pd.DataFrame:
        """Scans with a near-duplicate, by role, label and the role ``within`` which it is: scans, duplicated, share."""

    @property
    def mix(self) -> pd.DataFrame:
        """Counts by role of classes, planes, formats."""

    @property
    def outliers(self) -> pd.DataFrame:
        """Images that look unlike all others."""


@dataclass(frozen=True, kw_only=True)
class KeyFigure:
    """One of the numbers that a reader meets first, all in [0, 1].

    Args:
        title: what it is.
        value: the number.
        text: the number as it is printed.
        sentence: what it says of this test.
        interval: its 95 % interval, None where there is none.
        mark: a number to hold it against, None for none.
        mark_name: what that number is.
    """

    title: str
    value: float
    text: str
    sentence: str
    interval: tuple[float, float] | None
    mark: float | None = None
    mark_name: str = ""


@dataclass(frozen=True)
class Statement:
    """A sentence, and whether it is good news, bad news or neither."""

    tone: Tone
    text: str


def key_figures(result: Result, audit: AuditFindings | None) -> list[KeyFigure]:
    """Sensitivity, false positive rate, AUROC and accuracy, as far as the test can tell them."""
    (negatives, false_alarms), (missed, found) = result.confusion.tolist()
    healthy, anomalous = negatives + false_alarms, missed + found
    figures = []
    if anomalous:
        figures.append(
            KeyFigure(
                title="Sensitivity",
                value=found / anomalous,
                text=percent(found / anomalous),
                sentence=f"finds {found:,} of {anomalous:,} anomalous scans",
                interval=result.intervals.get("recall"),
            )
        )
    if healthy:
        promised = result.calibration.promised_fpr
        figures.append(
            KeyFigure(
                title="False positive rate",
                value=false_alarms / healthy,
                text=percent(false_alarms / healthy),
                sentence=f"calls {false_alarms:,} of {healthy:,} healthy scans anomalous",
                interval=result.intervals.get("false_positive_rate"),
                mark=promised,
                mark_name="" if promised is None else f"promised on {_where(result.calibration)}: {percent(promised)}",
            )
        )
    if "auroc" in result.metrics:
        best = best_feature(audit)
        figures.append(
            KeyFigure(
                title="AUROC",
                value=result.metrics["auroc"],
                text=f"{result.metrics['auroc']:.3f}",
                sentence="how often an anomalous scan outscores a healthy one",
                interval=result.intervals.get("auroc"),
                mark=best[1] if best else None,
                mark_name=f"best trivial feature: {best[1]:.3f}, {best[0]}" if best else "",
            )
        )
    if "accuracy" in result.metrics:
        rate = result.metrics["no_information_rate"]
        figures.append(
            KeyFigure(
                title="Accuracy",
                value=result.metrics["accuracy"],
                text=percent(result.metrics["accuracy"]),
                sentence=f"{negatives + found:,} of {healthy + anomalous:,} scans decided rightly",
                interval=result.intervals.get("accuracy"),
                mark=rate,
                mark_name=f"always answering '{_commoner(result)}': {percent(rate)}",
            )
        )
    return figures


def statements(result: Result, audit: AuditFindings | None) -> list[Statement]:
    """What the numbers say, the weightiest first."""
    said = [
        _against_trivial(result, audit),
        _against_no_information(result),
        _promise(result),
        drift_statement(result),
        _guarantee(result.calibration),
        _labelled(result),
    ]
    return [statement for statement in said if statement is not None]


def false_positive_sentence(result: Result) -> str | None:
    """The healthy false positive rate that was promised, that of val and that of test; None without healthy scans."""
    statement = _promise(result)
    return statement.text if statement else None


def promise_sentence(calibration: Calibration) -> str | None:
    """What a recalibrated threshold promises, and what it does not; None for one that was fitted on val."""
    statement = _guarantee(calibration)
    return statement.text if statement else None


def rates_of_this_threshold(calibration: Calibration) -> tuple[float, float] | None:
    """The 95 % interval of the false positive rate that a recalibrated conformal threshold may have; else None."""
    if calibration.rule != Conformal.name or calibration.promised_fpr is None or not calibration.recalibrated:
        return None
    return rate_interval(calibration.promised_fpr, calibration.healthy_groups)


def drift_statement(result: Result) -> Statement | None:
    """Whether scores of other data lie off those that the threshold was fitted on; None where nothing is compared.

    A threshold that was fitted on these very data needs no such test, and is not held against it.
    """
    drift = result.drift
    if drift is None:
        return None
    test = f"{drift.scans:,} {drift.kind} test scans"
    known = f"the {drift.known:,} of {VAL}" if drift.fitted_on == VAL else f"the {drift.fitted_on}"
    beside = (
        f"one of each patient or group, two-sample Kolmogorov-Smirnov D = {drift.statistic:.2f}, "
        f"{p_value(drift.p_value)}; median {drift.median:.4g} against {drift.known_median:.4g}"
    )
    if not drift.significant:
        return Statement(
            "plain",
            f"Scores of the {test} cannot be told from those of {known} that the threshold was fitted on ({beside}), "
            "which does not prove that they are alike.",
        )
    caution = (
        "what the threshold promises does not hold here"
        if drift.kind == "healthy"
        else "their anomalies may be of another kind, or the scans of another source"
    )
    return Statement(
        "bad",
        f"Scores of the {test} lie off those of {known} that the threshold was fitted on ({beside}): {caution}. "
        "With healthy scans of this source, calibrate=healthy fits the threshold on them.",
    )


def false_component_sentence(result: Result) -> str | None:
    """How many false alarms calibrated maps leave on a scan; None where no scan has a lesion mask."""
    at_threshold = _per_scan(result, "false_components")
    if not at_threshold:
        return None
    at_level = _per_scan(result, "lesion_false_positives")
    beside = (
        f"at the level that leaves healthy val scans at most 1 (1 FP/scan): {at_level}"
        if at_level
        else "the checkpoint is from before a level for 1 FP/scan was chosen on val: train or calibrate again"
    )
    return f"False components at the pixel threshold: {at_threshold}; {beside}."


def _per_scan(result: Result, name: str) -> str:
    told = [
        f"{result.metrics[whole]:.2f} per scan{whose}{_between(result.intervals.get(whole), digits=2)}"
        for whole, whose in ((name, ""), (f"{name}_all", " with the healthy scans"))
        if whole in result.metrics
    ]
    return ", ".join(told)


def threshold_sentence(result: Result) -> str:
    """Which threshold decided, and what it was fitted on."""
    calibration = result.calibration
    if calibration.rule == Fixed.name:
        return f"Threshold {calibration.threshold:.5g}, given by the user."
    if calibration.recalibrated:
        return (
            f"Threshold {calibration.threshold:.5g}, by the rule {calibration.rule} on {calibration.fitted_on}; the "
            f"pixel threshold {calibration.pixel_threshold:.4g} is a quantile of their maps."
        )
    labels = calibration.val_scores["label"]
    return (
        f"Threshold {calibration.threshold:.5g}, by the rule {calibration.rule} on val "
        f"({int((labels == 0).sum()):,} healthy and {int((labels == 1).sum()):,} anomalous scans)."
    )


def best_feature(audit: AuditFindings | None) -> tuple[str, float] | None:
    """Name and AUROC of the trivial feature that separates the test scans best."""
    if audit is None or audit.features.empty:
        return None
    best = audit.features.loc[audit.features["auroc"].idxmax()]
    return f"{best['feature']} ({best['stage']})".replace("_", " "), float(best["auroc"])


def percent(share: float) -> str:
    """A share as it is printed: '12.3 %'."""
    return f"{100 * share:.1f} %"


def _against_trivial(result: Result, audit: AuditFindings | None) -> Statement | None:
    if "auroc" not in result.metrics:
        return None
    auroc = result.metrics["auroc"]
    interval = result.intervals.get("auroc")
    low = interval[0] if interval else auroc
    ours = f"AUROC {auroc:.3f}{_between(interval)}"
    best = best_feature(audit)
    if low <= CHANCE:
        beside = f", where {best[0]} alone reaches {best[1]:.3f}" if best else ""
        return Statement("bad", f"The score cannot be told from guessing: {ours}{beside}.")
    if best is None:
        return None
    name, theirs = best
    if auroc <= theirs:
        return Statement(
            "bad", f"No model is needed to do as well: {name} alone reaches AUROC {theirs:.3f}, the detector {ours}."
        )
    if interval is None or low <= _upper_end(audit):
        return Statement(
            "plain",
            f"Ahead of the best trivial feature, but not beyond doubt: {ours} against {theirs:.3f} of {name} alone.",
        )
    return Statement("good", f"Better than every trivial feature: {ours} against {theirs:.3f} of {name} alone.")


def _upper_end(audit: AuditFindings | None) -> float:
    """Upper end of the interval of the best trivial feature."""
    features = cast(AuditFindings, audit).features
    return float(features["high"][features["auroc"].idxmax()])


def _against_no_information(result: Result) -> Statement | None:
    if "accuracy_p_value" not in result.metrics:
        return None
    p = result.metrics["accuracy_p_value"]
    better = p < SIGNIFICANT
    # the test takes scans for independent; the interval does not
    sure = result.intervals["accuracy"][0] > result.metrics["no_information_rate"]
    return Statement(
        "good" if better and sure else "plain" if better else "bad",
        f"Accuracy {percent(result.metrics['accuracy'])} is {'' if better else 'not '}above the "
        f"{percent(result.metrics['no_information_rate'])} of always answering '{_commoner(result)}' "
        f"(one-sided binomial {p_value(p)}, scans taken for independent).",
    )


def _promise(result: Result) -> Statement | None:
    negatives, false_alarms = result.confusion[0].tolist()
    if negatives + false_alarms == 0:
        return None
    calibration = result.calibration
    interval = result.intervals.get("false_positive_rate")
    seen = f"test {percent(false_alarms / (negatives + false_alarms))}{_between(interval, as_percent=True)}"
    on_val = "" if calibration.val_fpr is None else f"{_where(calibration)} {percent(calibration.val_fpr)}, "
    rates = f"{on_val}{seen}"
    if calibration.promised_fpr is None:
        return Statement("plain", f"Healthy false positives: {rates}; the rule {calibration.rule} promises none.")
    text = f"Healthy false positives: promised {percent(calibration.promised_fpr)}, {rates}"
    # see HealthyAtlas and Ensemble: new healthy scans lie farther from it than those that have shaped it
    caveat = (
        "; the promise is optimistic, for the healthy val scans have also shaped what maps are compared with"
        if result.scaled_on_val
        else ""
    )
    if interval is None:
        return Statement("plain", f"{text}{caveat}.")
    if interval[0] > calibration.promised_fpr:
        return Statement("bad", f"{text}: above what was promised{caveat}.")
    if false_alarms > calibration.promised_fpr * (negatives + false_alarms):
        return Statement("plain", f"{text}: above what was promised, but not beyond doubt{caveat}.")
    return Statement("good", f"{text}: in keeping with the promise{caveat}.")


def _where(calibration: Calibration) -> str:
    """What the scans are called that a threshold was fitted on, in a word."""
    return "the calibration" if calibration.recalibrated else VAL


def _guarantee(calibration: Calibration) -> Statement | None:
    if not calibration.recalibrated or calibration.rule == Fixed.name:
        return None
    scans = calibration.healthy_groups
    fitted = f"Recalibrated on {calibration.fitted_on}, each of another patient or group"
    rates = rates_of_this_threshold(calibration)
    if rates is None:
        return Statement(
            "plain",
            f"{fitted}: the rule {calibration.rule} guarantees no false positive rate for other scans than these "
            f"{scans:,}; threshold=conformal does.",
        )
    low, high = rates
    return Statement(
        "plain",
        f"{fitted}: on average over such draws at most {percent(calibration.promised_fpr or 0)} of healthy scans like "
        f"them (exchangeable with them, one of a patient) are called anomalous. This one threshold may have a rate of "
        f"{percent(low)} to {percent(high)} (95 % interval of its Beta distribution), and no rate below "
        f"{percent(1 / (scans + 1))}, 1 / (n + 1), can be promised by n = {scans:,} scans. Nothing is promised of the "
        "sensitivity, of the rate among patients of a certain kind, or of another source.",
    )


def _labelled(result: Result) -> Statement | None:
    if not result.labelled_train:
        return None
    scans = "1 anomalous scan" if result.labelled_train == 1 else f"{result.labelled_train:,} anomalous scans"
    return Statement(
        "plain",
        f"Trained with the lesion masks of {scans} beside the healthy ones: "
        "not to be compared with a detector that has learned from healthy scans alone.",
    )


def _commoner(result: Result) -> str:
    return "anomalous" if result.table["label"].mean() > 0.5 else "healthy"


def _between(interval: tuple[float, float] | None, *, as_percent: bool = False, digits: int = 3) -> str:
    if interval is None:
        return ""
    low, high = interval
    return f" [{100 * low:.1f}, {100 * high:.1f}]" if as_percent else f" [{low:.{digits}f}, {high:.{digits}f}]"
