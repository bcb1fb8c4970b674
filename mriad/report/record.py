"""Puts a result into an MLflow run."""

from __future__ import annotations

from mriad.models import Detector
from mriad.report.figures import result_figures, training_figures
from mriad.report.result import Result
from mriad.tracking.run import Run


def record_result(run: Run, result: Result, detector: Detector) -> None:
    """Log metrics, the scores table, tables by label and class, and figures."""
    run.set_tags({"mlflow.note.content": _summary(result)})
    run.log_metrics(result.flat_metrics() | {"threshold": result.calibration.threshold})
    run.log_table(result.table, "scores.parquet")
    run.log_table(result.report.rename_axis("label").reset_index(), "class_report.csv")
    run.log_figures(result_figures(result, detector))


def record_training(run: Run, result: Result, detector: Detector) -> None:
    """Log the figures of a training: loss curves, and the latent space of a VAE."""
    history = run.history("train/loss", "val/loss", "val/auroc")
    run.log_figures(training_figures(history, result, detector))


def _summary(result: Result) -> str:
    """What a person reads first on the run's page."""
    lines = [f"{len(result.table)} test scans of {result.data}, threshold by {result.calibration.rule}."]
    if result.published:
        lines.insert(0, "**Published protocol, flawed on purpose: do not believe these numbers.**")
    told = {"auroc": "AUROC", "balanced_accuracy": "balanced accuracy", "pixel_ap": "pixel AP"}
    lines += [f"{label} {result.metrics[name]:.3f}" for name, label in told.items() if name in result.metrics]
    return "  \n".join(lines)
