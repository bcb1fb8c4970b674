"""What a generative model knows of healthy brains: walks between scans, and draws from its prior."""

from __future__ import annotations

import math

import numpy as np
from matplotlib.figure import Figure

from mriad.plots.style import FAINT, INK, SMALL, TITLE, new_figure, show_scan

WIDTH = 8.0  # inches
GAP = 0.04  # inches between images
HEAD = 0.4  # inches for the title
MAX_PANEL = 1.6  # inches


def latent_interpolation(images: np.ndarray, *, title: str = "Latent interpolation") -> Figure:
    """Draw one walk per row, from the first scan on the left to the second on the right.

    Args:
        images: (N, H, W) one walk in N steps, or (R, N, H, W) R walks, in [0, 1].
        title: stands above the images.
    """
    rows = np.asarray(images)
    rows = rows[None] if rows.ndim == 3 else rows
    steps = rows.shape[1]
    figure = _tile(rows, title=title, foot=0.42)
    for ax, share in zip(figure.axes[-steps:], np.linspace(0, 1, steps), strict=True):
        ax.set_xlabel(f"{share:.2g}", fontsize=SMALL, color=INK, labelpad=3)
    note = "share of the way through latent space, from the scan on the left to the scan on the right"
    figure.text(0.5, 0.05 / figure.get_figheight(), note, fontsize=SMALL, color=FAINT, ha="center")
    return figure


def prior_samples(images: np.ndarray, *, title: str = "Samples from the prior") -> Figure:
    """Draw decoded samples in a grid that is about square.

    Args:
        images: (N, H, W) in [0, 1], at least one.
        title: stands above the images.
    """
    images = np.asarray(images)
    columns = math.ceil(math.sqrt(len(images)))
    rows = math.ceil(len(images) / columns)
    grid = np.ones((rows * columns, *images.shape[1:]))  # white where the last row ends early
    grid[: len(images)] = images
    return _tile(grid.reshape(rows, columns, *images.shape[1:]), title=title, foot=GAP)


def _tile(rows: np.ndarray, *, title: str, foot: float) -> Figure:
    """Lay (R, N, H, W) images out from the top left, with ``foot`` inches free below them."""
    count, steps, height, width = rows.shape
    panel = min((WIDTH - GAP * (steps + 1)) / steps, MAX_PANEL)
    tall = panel * height / width
    total_width = steps * (panel + GAP) + GAP
    total_height = HEAD + count * (tall + GAP) + foot
    figure = new_figure(max(total_width, 3.0), total_height, constrained=False)
    inches = np.array([*figure.get_size_inches()] * 2)
    figure.text(GAP / inches[0], 1 - 0.12 / total_height, title, fontsize=TITLE, color=INK, va="top")
    for (row, column), image in zip(np.ndindex(count, steps), rows.reshape(-1, height, width), strict=True):
        left, top = GAP + column * (panel + GAP), HEAD + row * (tall + GAP)
        ax = figure.add_axes(tuple(np.array([left, total_height - top - tall, panel, tall]) / inches))
        show_scan(ax, image)
    return figure
