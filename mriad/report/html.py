"""The result as one self-contained page."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from datetime import UTC, datetime
from importlib import metadata
from platform import python_version

import pandas as pd
from jinja2 import Environment, PackageLoader, StrictUndefined
from matplotlib.figure import Figure

from mriad import plots
from mriad.models import Detector
from mriad.plots import style
from mriad.report import names, pictures, tables, verdict
from mriad.report.result import Result
from mriad.report.verdict import AuditFindings

_OUTCOMES = {
    "true positive": "Anomalous scans that were found",
    "false positive": "Healthy scans that were called anomalous",
    "false negative": "Anomalous scans that were missed",
    "true negative": "Healthy scans that were called healthy",
}
_VERSIONS = ("mriad", "torch", "lightning", "numpy", "scikit-learn")
_ENVIRONMENT = Environment(
    loader=PackageLoader("mriad", "report"),
    autoescape=True,
    undefined=StrictUndefined,
    trim_blocks=True,
    lstrip_blocks=True,
)


def report_html(
    result: Result,
    detector: Detector,
    *,
    figures: Mapping[str, Figure],
    audit: AuditFindings | None,
    split: pd.DataFrame,
    history: pd.DataFrame,
    config_yaml: str,
    commands: Sequence[tuple[str, str]],
    run_id: str,
    run_name: str,
    commit: str | None,
) -> str:
    """Write the page: verdict, metrics and audit, curves, classes, gallery, training, data, config, commands.

    It asks the network for nothing and needs no script.

    Args:
        result: a measured test.
        detector: made its maps; draws the reconstructions.
        figures: of the decisions, see ``figures.decision_figures``; others are not shown.
        audit: of the data, None if there was none.
        split: a row per scan: path, role, group, label, class.
        history: of the training by epoch, see ``plots.loss_curves``; drawn if it holds a train loss.
        config_yaml: the options of the run.
        commands: what a reader may want to do, and the command that does it.
        run_id: MLflow run.
        run_name: its name.
        commit: git commit of the code, None if not known.
    """
    return _ENVIRONMENT.get_template("report.html.j2").render(
        result=result,
        calibration=result.calibration,
        detector=type(detector).__name__,
        parameters=sum(weights.numel() for weights in detector.parameters()),
        audit=audit,
        key_figures=verdict.key_figures(result, audit),
        statements=verdict.statements(result, audit),
        threshold=verdict.threshold_sentence(result),
        metrics=_metrics(result),
        false_components=verdict.false_component_sentence(result),
        left_out=result.mask_counts.sentence(),
        p_value=names.p_value,
        features=_features(result, audit),
        figures=_figures(result, figures),
        classes=tables.class_table(result),
        labels=tables.label_table(result),
        sizes=tables.size_table(result),
        gallery=pictures.gallery_pictures(result, detector),
        outcomes=_OUTCOMES,
        counts=result.outcomes().value_counts().to_dict(),
        gradient=pictures.map_gradient(),
        loss=_loss(history),
        split=tables.split_table(split),
        found=_found(audit),
        config_yaml=config_yaml,
        commands=commands,
        run_id=run_id,
        run_name=run_name,
        commit=commit,
        versions={"Python": python_version()} | {name: metadata.version(name) for name in _VERSIONS},
        written=datetime.now(UTC),
        style=style,
    )


def _metrics(result: Result) -> dict[str, list[tables.Measured]]:
    groups = {
        "Scans": names.IMAGE,
        "Pixels": names.PIXEL,
        "Lesions": names.LESION,
        "Pixels, all scans": names.PIXEL_WITH_HEALTHY,
    }
    rows = {title: tables.metric_rows(result, group) for title, group in groups.items()}
    return {title: measured for title, measured in rows.items() if measured}


def _features(result: Result, audit: AuditFindings | None) -> list[tables.Measured]:
    """The detector's AUROC and those of the trivial features, the best first."""
    if audit is None:
        return []
    ours = tables.metric_rows(result, [("auroc", "this detector")])
    rows = tables.feature_rows(audit.features) + [tables.Measured(**{**vars(row), "ours": True}) for row in ours]
    return sorted(rows, key=lambda row: -row.value)


def _figures(result: Result, figures: Mapping[str, Figure]) -> dict[str, tuple[str, str]]:
    """Picture and description of each figure of the decisions, by its name."""
    (negatives, false_alarms), (missed, found) = result.confusion.tolist()
    told = {
        "roc": "ROC curve with the operating point",
        "pr": "Precision-recall curve with the operating point",
        "score_histogram": "Histogram of the anomaly scores of healthy and anomalous scans, with the threshold",
        "confusion_matrix": f"Confusion matrix: {negatives} true negatives, {false_alarms} false positives, "
        f"{missed} false negatives, {found} true positives",
    }
    return {name: (pictures.svg(figures[name]), what) for name, what in told.items() if name in figures}


def _loss(history: pd.DataFrame) -> str | None:
    if "train/loss" not in history:  # of an evaluation, or of a detector that is not trained by gradient
        return None
    return pictures.svg(plots.loss_curves(history, title="Loss by epoch"))


def _found(audit: AuditFindings | None) -> dict[str, tables.Table]:
    if audit is None:
        return {}
    return {
        "Near-duplicates": tables.duplicate_table(audit.duplicates),
        "Mix by role": tables.plain_table(audit.mix),
        "Images that look unlike all others": tables.plain_table(audit.outliers),
    }
