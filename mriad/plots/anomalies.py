"""Synthetic anomalies for a reader to judge: a row for each kind, in the same scans, with their outlines."""

from __future__ import annotations

from collections.abc import Mapping

import numpy as np
from matplotlib.figure import Figure
from matplotlib.lines import Line2D

from mriad.plots.page import Box, Page
from mriad.plots.style import INK, LESION, SMALL, TITLE

# Inches
WIDTH = 10.0
LETTER = 0.075  # of the names of the rows
GAP = 0.04  # between images
HEAD = 0.4  # for title and legend
MAX_PANEL = 1.6


def anomaly_examples(
    rows: Mapping[str, tuple[np.ndarray, np.ndarray]], *, title: str = "Synthetic anomalies"
) -> Figure:
    """Draw a row of scans for each name, black at 0 and white at 1, with the outline of what is anomalous in each.

    Args:
        rows: by name, scans (N, H, W) in [0, 1] and masks (N, H, W), true where the anomaly is; as many in each row.
        title: stands above the scans.
    """
    shapes = {np.shape(images) for images, _ in rows.values()} | {np.shape(masks) for _, masks in rows.values()}
    if len(shapes) != 1:
        raise ValueError(f"scans and masks differ in shape: {sorted(shapes)}")
    count, height, width = shapes.pop()
    names = 4 * GAP + LETTER * max(map(len, rows))
    panel = min((WIDTH - names) / count - GAP, MAX_PANEL)
    tall = panel * height / width
    total_width = max(names + count * (panel + GAP), 4.0)
    total_height = HEAD + len(rows) * (tall + GAP)
    page = Page(total_width, total_height)
    page.write(2 * GAP, 0.1, title, size=TITLE, weight="bold")
    page.figure.legend(
        [Line2D([], [], color=LESION, linewidth=1.5)],
        ["outline of the anomaly"],
        loc="upper right",
        bbox_to_anchor=(1 - GAP / total_width, 1 - 0.12 / total_height),
        fontsize=SMALL,
        labelcolor=INK,
        frameon=False,
        borderpad=0,
        borderaxespad=0,
        handlelength=1.2,
    )
    for row, (name, (images, masks)) in enumerate(rows.items()):
        top = HEAD + row * (tall + GAP)
        page.write(2 * GAP, top + tall / 2, name, va="center")
        for column, (image, mask) in enumerate(zip(images, masks, strict=True)):
            box = Box(names + column * (panel + GAP), top, panel, tall)
            page.scan(image, box)
            page.outline(mask, box, linewidth=0.7)
    return page.figure
