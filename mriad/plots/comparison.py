"""How methods stand to each other: means with intervals, and a dot for each seed."""

from __future__ import annotations

import textwrap
from collections.abc import Sequence
from dataclasses import dataclass

import numpy as np
from matplotlib.axes import Axes
from matplotlib.figure import Figure

from mriad.plots.style import FAINT, HEALTHY, INK, TEXT, finish, new_figure


@dataclass(frozen=True, kw_only=True)
class MetricPanel:
    """One metric of M methods.

    Args:
        title: name of the metric.
        means: (M,) its mean over seeds, in [0, 1].
        lows: (M,) lower end of its 95 % interval.
        highs: (M,) upper end.
        seeds: the values of the seeds of each method.
        chance: what a detector reaches that knows nothing; drawn where it lies among the values.
    """

    title: str
    means: np.ndarray
    lows: np.ndarray
    highs: np.ndarray
    seeds: Sequence[np.ndarray]
    chance: float


def method_comparison(names: Sequence[str], panels: Sequence[MetricPanel]) -> Figure:
    """Draw the methods below each other, a panel per metric.

    Args:
        names: of the M methods, the uppermost first.
        panels: their metrics.
    """
    wrapped = [textwrap.fill(name, 32) for name in names]
    lines = sum(max(2, name.count("\n") + 1) for name in wrapped)
    figure = new_figure(3.0 + 3.4 * len(panels), 1.3 + 0.2 * lines)
    axes = figure.subplots(1, len(panels), sharey=True, squeeze=False)[0]
    for ax, panel in zip(axes, panels, strict=True):
        _draw(ax, panel)
    axes[0].set_yticks(range(len(names)), wrapped, fontsize=TEXT)
    axes[0].set_ylim(len(names) - 0.4, -0.6)
    legend = {label: handle for ax in axes for handle, label in zip(*ax.get_legend_handles_labels(), strict=True)}
    figure.legend(
        list(legend.values()),
        list(legend),
        loc="outside lower center",
        ncols=len(legend),
        fontsize=TEXT,
        labelcolor=INK,
        frameon=False,
    )
    return figure


def _draw(ax: Axes, panel: MetricPanel) -> None:
    rows = np.arange(len(panel.means))
    ax.hlines(rows, panel.lows, panel.highs, color=HEALTHY, linewidth=2, label="95 % interval")
    ax.plot(panel.means, rows, "o", color=HEALTHY, markersize=7, markeredgecolor="white", zorder=3, label="mean")
    several = [(row, values) for row, values in zip(rows, panel.seeds, strict=True) if len(values) > 1]
    if several:
        x = np.concatenate([values for _, values in several])
        y = np.concatenate([np.full(len(values), row + 0.24) for row, values in several])
        ax.plot(x, y, "o", color=INK, markersize=3.5, alpha=0.7, markeredgewidth=0, label="one seed")
    low, high = ax.get_xlim()
    if low < panel.chance < high:  # good methods need the room that the way down to chance would take
        ax.axvline(panel.chance, color=FAINT, linestyle="--", linewidth=1, zorder=1, label="chance")
    finish(ax, title=panel.title, x="", y="")
    ax.grid(visible=False, axis="y")
    ax.tick_params(axis="y", length=0)
