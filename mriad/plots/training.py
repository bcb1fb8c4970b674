"""How training went, epoch by epoch."""

from __future__ import annotations

import numpy as np
import pandas as pd
from matplotlib.figure import Figure
from matplotlib.ticker import MaxNLocator

from mriad.plots.style import ANOMALOUS, FAINT, HEALTHY, INK, OPERATING_POINT, SMALL, TEXT, finish, new_figure


def loss_curves(history: pd.DataFrame, *, title: str = "Training") -> Figure:
    """Draw training and validation loss, with the best epoch and the validation AUROC where known.

    Best is the epoch of the lowest ``val/loss``, which early stopping watches. The loss axis is logarithmic
    where positive losses span more than two decades.

    Args:
        history: one row per epoch or per log call, with the columns ``epoch`` and any of ``train/loss``,
            ``val/loss`` (of healthy scans only) and ``val/auroc``; NaN where a row holds no value.
        title: stands above the axes.
    """
    figure = new_figure(6.4, 3.8)
    ax = figure.add_subplot()
    lines = []
    losses = []
    for column, name, colour in (
        ("train/loss", "train loss", FAINT),
        ("val/loss", "validation loss (healthy)", HEALTHY),
    ):
        points = _points(history, column)
        if len(points):
            lines += ax.plot(points["epoch"], points[column], color=colour, linewidth=1.8, label=name)
            losses.append(points[column].to_numpy(dtype=np.float64))
    values = np.concatenate(losses) if losses else np.ones(1)
    if values.min() > 0 and values.max() / values.min() > 100:
        ax.set_yscale("log")
    validation = _points(history, "val/loss")
    if len(validation):
        best = int(validation["val/loss"].to_numpy().argmin())
        epoch, loss = int(validation["epoch"].iloc[best]), float(validation["val/loss"].iloc[best])
        label = f"best epoch {epoch} (loss {loss:.4g})"
        ax.axvline(epoch, color=OPERATING_POINT, linestyle=":", linewidth=1.2)
        lines += ax.plot([epoch], [loss], "o", color=OPERATING_POINT, markersize=7, label=label)
    auroc = _points(history, "val/auroc")
    finish(ax, title=title, x="Epoch", y="Loss")
    ax.xaxis.set_major_locator(MaxNLocator(integer=True))
    if len(auroc):
        right = ax.twinx()
        lines += right.plot(
            auroc["epoch"], auroc["val/auroc"], color=ANOMALOUS, linewidth=1.2, label="validation AUROC"
        )
        right.set_ylabel("Validation AUROC", fontsize=TEXT, color=ANOMALOUS)
        right.tick_params(labelsize=SMALL, colors=ANOMALOUS)
        right.set_ylim(min(0.5, float(auroc["val/auroc"].min())) - 0.02, 1.02)
        right.spines[["top", "left"]].set_visible(False)
    # Under the axes, where no curve can run through it.
    figure.legend(handles=lines, loc="outside lower center", ncols=2, fontsize=SMALL, labelcolor=INK, frameon=False)
    return figure


def _points(history: pd.DataFrame, column: str) -> pd.DataFrame:
    if column not in history:
        return pd.DataFrame(columns=["epoch", column])
    return history[["epoch", column]].dropna()
