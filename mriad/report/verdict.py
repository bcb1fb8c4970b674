"""The verdict on a test in plain words: what the threshold does, and whether a ruler would do as well."""

from __future__ import annotations

from dataclasses import dataclass
from typing import Protocol, cast

import pandas as pd

from mriad.report.names import p_value
from mriad.report.promises import drift_statement, guarantee, promise, where
from mriad.report.result import Result
from mriad.report.statement import Statement, between, percent
from mriad.thresholds import Fixed

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
                mark_name="" if promised is None else f"promised on {where(result.calibration)}: {percent(promised)}",
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
        promise(result),
        drift_statement(result),
        guarantee(result.calibration),
        _labelled(result),
    ]
    return [statement for statement in said if statement is not None]


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
        f"{result.metrics[whole]:.2f} per scan{whose}{between(result.intervals.get(whole), digits=2)}"
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


def _against_trivial(result: Result, audit: AuditFindings | None) -> Statement | None:
    if "auroc" not in result.metrics:
        return None
    auroc = result.metrics["auroc"]
    interval = result.intervals.get("auroc")
    low = interval[0] if interval else auroc
    ours = f"AUROC {auroc:.3f}{between(interval)}"
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
