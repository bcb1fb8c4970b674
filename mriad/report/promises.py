"""What a threshold promises, what was seen of it, and whether it holds for the scans at hand."""

from __future__ import annotations

from mriad.report.names import p_value
from mriad.report.result import Result
from mriad.report.statement import Statement, between, percent
from mriad.thresholds import Calibration, Conformal, Fixed
from mriad.thresholds.calibration import VAL
from mriad.thresholds.conformal import rate_interval


def false_positive_sentence(result: Result) -> str | None:
    """The healthy false positive rate that was promised, that of val and that of test; None without healthy scans."""
    statement = promise(result)
    return statement.text if statement else None


def promise_sentence(calibration: Calibration) -> str | None:
    """What a recalibrated threshold promises, and what it does not; None for one that was fitted on val."""
    statement = guarantee(calibration)
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


def promise(result: Result) -> Statement | None:
    """The false positive rate that was promised, beside those that were seen; None without healthy scans."""
    negatives, false_alarms = result.confusion[0].tolist()
    if negatives + false_alarms == 0:
        return None
    calibration = result.calibration
    interval = result.intervals.get("false_positive_rate")
    seen = f"test {percent(false_alarms / (negatives + false_alarms))}{between(interval, as_percent=True)}"
    on_val = "" if calibration.val_fpr is None else f"{where(calibration)} {percent(calibration.val_fpr)}, "
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


def where(calibration: Calibration) -> str:
    """What the scans are called that a threshold was fitted on, in a word."""
    return "the calibration" if calibration.recalibrated else VAL


def guarantee(calibration: Calibration) -> Statement | None:
    """What a recalibrated threshold guarantees, and what it does not; None for one that was fitted on val."""
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
