"""Puts a result into an MLflow run."""

from __future__ import annotations

from mriad.models import Detector
from mriad.report.figures import result_figures, training_figures
from mriad.report.result import Result
from mriad.tracking.run import Run


def record_result(run: Run, result: Result, detector: Detector) -> None:
    """Log metrics, the scores table, tables by label and class, and figures."""
    run.log_metrics(result.flat_metrics() | {"threshold": result.calibration.threshold})
    run.log_table(result.table, "scores.parquet")
    run.log_table(result.report.rename_axis("label").reset_index(), "class_report.csv")
    run.log_figures(result_figures(result, detector))


def record_training(run: Run, result: Result, detector: Detector) -> None:
    """Log the figures of a training: loss curves, and the latent space of a VAE."""
    history = run.history("train/loss", "val/loss", "val/auroc")
    run.log_figures(training_figures(history, result, detector))
