"""What the threshold does to the scores: their histogram, and the confusion matrix."""

from __future__ import annotations

import numpy as np
from matplotlib.figure import Figure

from mriad.plots.style import ANOMALOUS, HEALTHY, INK, TEXT, TITLE, finish, legend, new_figure

MAX_BINS = 40
DECADES_FOR_LOG = 2.0


def score_histogram(
    labels: np.ndarray, scores: np.ndarray, threshold: float, *, title: str = "Anomaly scores"
) -> Figure:
    """Draw how the scores of healthy and of anomalous scans spread, in bins that both share.

    Bars are the share of a label's scans, so that a small group stays visible beside a large one. The axis is
    logarithmic where positive scores span more than two decades.

    Args:
        labels: (N,) 0 healthy, 1 anomalous; either may be missing.
        scores: (N,) anomaly scores, higher = stranger.
        threshold: a scan is called anomalous where its score is greater.
        title: stands above the axes.
    """
    labels, scores = np.asarray(labels, dtype=np.int64), np.asarray(scores, dtype=np.float64)
    logarithmic = _spans_decades(scores)
    edges = _bin_edges(scores, logarithmic=logarithmic)
    figure = new_figure(6.4, 3.6)
    ax = figure.add_subplot()
    for label, name, colour in ((0, "healthy", HEALTHY), (1, "anomalous", ANOMALOUS)):
        group = scores[labels == label]
        if len(group):
            weights = np.full(len(group), 100 / len(group))
            share, _ = np.histogram(group, bins=edges, weights=weights)
            ax.stairs(share, edges, fill=True, color=colour, alpha=0.35, label=f"{name} ({len(group)} scans)")
            ax.stairs(share, edges, color=colour, linewidth=1.2)
    if logarithmic:
        ax.set_xscale("log")
    if np.isfinite(threshold):
        ax.axvline(threshold, color=INK, linestyle="--", linewidth=1.2, label=f"threshold {threshold:.4g}")
    scale = ", log scale" if logarithmic else ""
    finish(ax, title=title, x=f"Anomaly score (higher = stranger{scale})", y="Share of the label's scans (%)")
    legend(ax)
    return figure


def confusion_matrix(matrix: np.ndarray, *, title: str = "Confusion matrix") -> Figure:
    """Draw the number of scans in each cell and its share of the row.

    Args:
        matrix: (2, 2) counts, [[true negatives, false positives], [false negatives, true positives]].
        title: stands above the axes.
    """
    matrix = np.asarray(matrix)
    rows = matrix.sum(axis=1, keepdims=True)
    share = np.divide(100 * matrix, rows, out=np.zeros((2, 2)), where=rows > 0)
    figure = new_figure(4.2, 3.9)
    ax = figure.add_subplot()
    ax.imshow(share, cmap="Blues", vmin=0, vmax=100)
    for (row, column), count in np.ndenumerate(matrix):
        percent = f"{share[row, column]:.1f} %" if rows[row, 0] else "no scans"
        colour = "white" if share[row, column] > 55 else INK
        ax.text(column, row, f"{count:,}", ha="center", va="bottom", fontsize=1.5 * TITLE, color=colour)
        ax.text(column, row + 0.08, percent, ha="center", va="top", fontsize=TEXT, color=colour)
    finish(ax, title=title, x="Decision", y="Label")
    ax.grid(visible=False)
    ax.set_xticks([0, 1], ["healthy", "anomalous"], fontsize=TEXT)
    ax.set_yticks([0, 1], ["healthy", "anomalous"], fontsize=TEXT, rotation=90, va="center")
    ax.tick_params(length=0)
    ax.spines[:].set_visible(False)
    return figure


def _spans_decades(scores: np.ndarray) -> bool:
    # The lower end is a quantile, so that one score near zero does not stretch the axis over empty decades.
    if len(scores) == 0 or scores.min() <= 0:
        return False
    return bool(np.log10(scores.max() / np.quantile(scores, 0.01)) > DECADES_FOR_LOG)


def _bin_edges(scores: np.ndarray, *, logarithmic: bool) -> np.ndarray:
    bins = int(np.clip(2 * np.sqrt(len(scores)), 8, MAX_BINS))
    if not logarithmic:
        return np.histogram_bin_edges(scores, bins=bins)
    return np.geomspace(scores.min(), scores.max(), bins + 1)
