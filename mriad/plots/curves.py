"""ROC and precision-recall curves with the operating point, where the threshold puts us."""

from __future__ import annotations

import numpy as np
from matplotlib.axes import Axes
from matplotlib.figure import Figure
from sklearn.metrics import average_precision_score, precision_recall_curve, roc_auc_score
from sklearn.metrics import roc_curve as roc_points

from mriad.errors import MriadError
from mriad.plots.style import ANOMALOUS, FAINT, OPERATING_POINT, finish, legend, new_figure


def roc_curve(labels: np.ndarray, scores: np.ndarray, threshold: float, *, title: str = "ROC curve") -> Figure:
    """Draw sensitivity against the false positive rate.

    Args:
        labels: (N,) 0 healthy, 1 anomalous.
        scores: (N,) anomaly scores, higher = stranger.
        threshold: a scan is called anomalous where its score is greater.
        title: stands above the axes.

    Raises:
        MriadError: unless both healthy and anomalous scans are given.
    """
    labels, scores = _both_labels(labels, scores)
    rate, recall, _ = roc_points(labels, scores)
    called = scores > threshold
    figure, ax = _square_axes()
    ax.plot([0, 1], [0, 1], color=FAINT, linestyle="--", linewidth=1, label="chance")
    ax.plot(rate, recall, color=ANOMALOUS, linewidth=1.8, label=f"AUROC {roc_auc_score(labels, scores):.3f}")
    x, y = float(called[labels == 0].mean()), float(called[labels == 1].mean())
    _operating_point(ax, x, y, label=f"threshold {threshold:.4g}: FPR {x:.3f}, sensitivity {y:.3f}")
    finish(ax, title=title, x="False positive rate (1 - specificity)", y="Sensitivity (recall)")
    legend(ax, loc="lower right")
    return figure


def pr_curve(
    labels: np.ndarray, scores: np.ndarray, threshold: float, *, title: str = "Precision-recall curve"
) -> Figure:
    """Draw precision against recall, as the steps that average precision sums.

    Where no score is above the threshold precision is undefined, and no operating point is drawn.

    Args:
        labels: (N,) 0 healthy, 1 anomalous.
        scores: (N,) anomaly scores, higher = stranger.
        threshold: a scan is called anomalous where its score is greater.
        title: stands above the axes.

    Raises:
        MriadError: unless both healthy and anomalous scans are given.
    """
    labels, scores = _both_labels(labels, scores)
    precision, recall, _ = precision_recall_curve(labels, scores)
    base_rate = float(labels.mean())
    figure, ax = _square_axes()
    ax.axhline(base_rate, color=FAINT, linestyle="--", linewidth=1, label=f"base rate {base_rate:.3f}")
    ax.plot(
        recall,
        precision,
        color=ANOMALOUS,
        linewidth=1.8,
        drawstyle="steps-post",
        label=f"average precision {average_precision_score(labels, scores):.3f}",
    )
    called = scores > threshold
    if called.any():
        x, y = float(called[labels == 1].mean()), float(labels[called].mean())
        _operating_point(ax, x, y, label=f"threshold {threshold:.4g}: recall {x:.3f}, precision {y:.3f}")
    finish(ax, title=title, x="Recall (sensitivity)", y="Precision")
    legend(ax)
    return figure


def _both_labels(labels: np.ndarray, scores: np.ndarray) -> tuple[np.ndarray, np.ndarray]:
    labels, scores = np.asarray(labels, dtype=np.int64), np.asarray(scores, dtype=np.float64)
    if set(np.unique(labels)) != {0, 1}:
        raise MriadError(
            f"A curve over thresholds needs healthy and anomalous scans, and got {int((labels == 0).sum())} "
            f"healthy and {int((labels == 1).sum())} anomalous; give scans of both labels."
        )
    return labels, scores


def _square_axes() -> tuple[Figure, Axes]:
    figure = new_figure(4.6, 4.6)
    ax = figure.add_subplot()
    ax.set(xlim=(-0.02, 1.02), ylim=(-0.02, 1.02), aspect="equal")
    return figure, ax


def _operating_point(ax: Axes, x: float, y: float, *, label: str) -> None:
    ax.plot(
        [x],
        [y],
        "o",
        color=OPERATING_POINT,
        markersize=8,
        markeredgecolor="white",
        zorder=5,
        clip_on=False,
        label=label,
    )
