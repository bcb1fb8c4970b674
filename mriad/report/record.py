"""Puts a result into an MLflow run."""

from __future__ import annotations

from collections.abc import Sequence

import pandas as pd

from mriad.models import Detector
from mriad.report.figures import Examples, result_figures, training_figures
from mriad.report.html import report_html
from mriad.report.promises import rates_of_this_threshold
from mriad.report.result import Result
from mriad.report.statement import between
from mriad.report.verdict import AuditFindings
from mriad.thresholds import Calibration
from mriad.tracking.run import Run


def record_result(
    run: Run,
    result: Result,
    detector: Detector,
    *,
    audit: AuditFindings | None,
    split: pd.DataFrame,
    config_yaml: str,
    commands: Sequence[tuple[str, str]],
) -> None:
    """Log metrics with intervals, the scores table, tables by label and class, figures, and the report.

    Args:
        run: where to log; its name, git commit and losses stand in the report too.
        result: a measured test.
        detector: made its maps.
        audit: of the data, None if there was none.
        split: a row per scan: path, role, group, label, class.
        config_yaml: the options of the run.
        commands: what a reader may want to do, and the command that does it.
    """
    run.set_tags({"mlflow.note.content": _summary(result, audit, run)})
    run.log_metrics(_operating_point(result.calibration) | _once(result.flat_metrics()))
    run.log_table(result.table, "scores.parquet")
    run.log_table(result.report.rename_axis("label").reset_index(), "class_report.csv")
    figures = result_figures(result, detector)
    run.log_figures(figures)
    page = report_html(
        result,
        detector,
        figures=figures,
        audit=audit,
        split=split,
        history=_losses(run),
        config_yaml=config_yaml,
        commands=commands,
        run_id=run.run_id,
        run_name=run.name,
        commit=run.tags.get("mlflow.source.git.commit"),
    )
    run.log_text(page, "report.html")


def record_training(run: Run, result: Result, detector: Detector, *, anomalies: Examples | None = None) -> None:
    """Log the figures of a training: loss curves, the latent space of a VAE, and examples of synthetic anomalies.

    Args:
        run: where to log.
        result: the measured test.
        detector: what was trained.
        anomalies: scans in [0, 1] and masks, both (N, S, S), by the name of the anomaly; None or empty for none.
    """
    run.log_figures(training_figures(_losses(run), result, detector, anomalies))


def _losses(run: Run) -> pd.DataFrame:
    return run.history("train/loss", "val/loss", "val/auroc")


def _operating_point(calibration: Calibration) -> dict[str, float]:
    """The threshold, the false positive rate that it had where it was fitted, and the one that its rule promised."""
    where = "calibration" if calibration.recalibrated else "val"
    known = {
        "threshold": calibration.threshold,
        f"{where}/false_positive_rate": calibration.val_fpr,
        f"{where}/false_positive_rate_promised": calibration.promised_fpr,
    }
    if (rates := rates_of_this_threshold(calibration)) is not None:
        ends = zip(("low", "high"), rates, strict=True)
        known |= {f"{where}/false_positive_rate_promised_{end}": rate for end, rate in ends}
    return {name: value for name, value in known.items() if value is not None}


def _once(numbers: dict[str, float]) -> dict[str, float]:
    """Metrics without the precision, recall and F1 of the label 'anomalous', which are those of the whole test."""
    again = [f"test/anomalous/{name}" for name in ("precision", "recall", "f1")]
    return {name: value for name, value in numbers.items() if not name.startswith(tuple(again))}


def _summary(result: Result, audit: AuditFindings | None, run: Run) -> str:
    """What a person reads first on the run's page, which shows five lines of it."""
    numbers = []
    for name, label in {"auroc": "AUROC", "balanced_accuracy": "balanced accuracy", "pixel_ap": "pixel AP"}.items():
        if name in result.metrics:
            numbers.append(f"{label} {result.metrics[name]:.3f}{between(result.intervals.get(name))}")
    lines = [f"{len(result.table)} test scans of {result.data}, threshold by {result.calibration.rule}."]
    if numbers:
        lines = [f"{', '.join(numbers)} on {lines[0]}"]
    if result.published:
        lines.insert(0, "**Published protocol, flawed on purpose: do not believe these numbers.**")
    if audit is not None:
        lines.append(f"Audit of the data: {audit.verdict}")
    page = f"#/experiments/{run.experiment_id}/runs/{run.run_id}/artifacts/report.html"
    return "  \n".join([*lines, f"The whole story: [report.html]({page})."])
