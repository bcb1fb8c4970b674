"""One look for every figure: colours that colour-blind readers tell apart, one size of type, few lines."""

from __future__ import annotations

from typing import Literal

import numpy as np
from matplotlib import colormaps
from matplotlib.axes import Axes
from matplotlib.backends.backend_agg import FigureCanvasAgg
from matplotlib.colors import ListedColormap
from matplotlib.figure import Figure

# Okabe and Ito, Color Universal Design (2008): blue, vermilion, green.
HEALTHY = "#0072B2"
ANOMALOUS = "#D55E00"
OPERATING_POINT = "#009E73"
INK = "#222222"
FAINT = "#8A8A8A"
LESION = "#00E5FF"  # cyan, which neither a gray scan nor the map's colours contain
# Without the pale end of inferno, which would vanish where it is laid over bright tissue.
MAP_COLOURS = ListedColormap(colormaps["inferno"](np.linspace(0, 0.82, 256)), name="anomaly_map")

DPI = 150
TITLE, TEXT, SMALL = 11, 9, 8  # points


def new_figure(width: float, height: float, *, constrained: bool = True) -> Figure:
    """Make a figure of ``width`` by ``height`` inches that no global state knows of.

    Args:
        width: inches, of 150 pixels each.
        height: inches.
        constrained: let Matplotlib lay out the axes; off where the caller places them.
    """
    figure = Figure(figsize=(width, height), dpi=DPI, layout="constrained" if constrained else None)
    FigureCanvasAgg(figure)
    return figure


def finish(ax: Axes, *, title: str, x: str, y: str) -> None:
    """Name the axes and give them the common look."""
    ax.set_title(title, fontsize=TITLE, color=INK, loc="left")
    ax.set_xlabel(x, fontsize=TEXT, color=INK)
    ax.set_ylabel(y, fontsize=TEXT, color=INK)
    ax.tick_params(labelsize=SMALL, colors=INK)
    ax.spines[["top", "right"]].set_visible(False)
    ax.grid(visible=True, color="#E6E6E6", linewidth=0.6)
    ax.set_axisbelow(True)


def legend(ax: Axes, *, loc: Literal["best", "lower right"] = "best") -> None:
    """Name what is drawn, in the common look."""
    ax.legend(loc=loc, fontsize=SMALL, labelcolor=INK, framealpha=0.9, edgecolor="none")
