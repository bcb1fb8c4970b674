"""How well trivial features separate the test scans, raw and scaled."""

from __future__ import annotations

import numpy as np
import pandas as pd
from matplotlib.figure import Figure

from mriad.plots.style import FAINT, INK, SMALL, finish, legend, new_figure

_STAGES = (("raw", "original image", INK, -0.14), ("scaled", "slice the network sees", "white", 0.14))


def trivial_features(features: pd.DataFrame, *, title: str = "Without any model") -> Figure:
    """Draw the AUROC of each feature with its interval, the best on top, and chance as a line.

    Args:
        features: ``feature``, ``stage`` ('raw' or 'scaled'), ``auroc``, ``sign``, ``low`` and ``high``; best first.
        title: stands above the axes.
    """
    names = list(dict.fromkeys(features["feature"]))
    figure = new_figure(6.4, 1.2 + 0.3 * len(names))
    ax = figure.add_subplot()
    ax.axvline(0.5, color=FAINT, linestyle="--", linewidth=1, label="chance")
    for stage, label, fill, offset in _STAGES:
        rows = features[features["stage"] == stage]
        if rows.empty:
            continue
        y = np.array([names.index(name) for name in rows["feature"]]) + offset
        auroc = rows["auroc"].to_numpy(dtype=float)
        reach = np.abs(rows[["low", "high"]].to_numpy(dtype=float).T - auroc)
        ax.errorbar(
            auroc,
            y,
            xerr=reach,
            fmt="o",
            color=INK,
            markerfacecolor=fill,
            markersize=5,
            elinewidth=1,
            capsize=2,
            label=label,
        )
        for x, height, sign in zip(rows["high"], y, rows["sign"], strict=True):
            ax.annotate(
                str(sign).replace("-", "\N{MINUS SIGN}"),
                (x, height),
                xytext=(5, 0),
                textcoords="offset points",
                color=INK,
                va="center",
                fontsize=SMALL,
            )
    ax.set_yticks(range(len(names)), [name.replace("_", " ") for name in names])
    ax.set_ylim(len(names) - 0.5, -0.5)
    ax.set_xlim(min(0.45, float(features["low"].min()) - 0.02), 1.03)
    finish(ax, title=title, x="AUROC on test (+ higher, \N{MINUS SIGN} lower in anomalous scans; bars: 95 %)", y="")
    ax.grid(visible=False, axis="y")
    legend(ax, loc="lower right")
    return figure
