"""What a generative model knows of healthy brains: walks between scans, and draws from its prior."""

from __future__ import annotations

import math

import numpy as np
from matplotlib.figure import Figure

from mriad.plots.page import Box, Page
from mriad.plots.style import FAINT, SMALL, TITLE

WIDTH = 8.0  # inches
GAP = 0.04  # inches between images
HEAD = 0.4  # inches for the title
FOOT = 0.42  # inches for the names of the steps
MAX_PANEL = 1.6  # inches


def latent_interpolation(images: np.ndarray, *, title: str = "Latent interpolation") -> Figure:
    """Draw one walk per row, from the first scan on the left to the second on the right.

    Args:
        images: (N, H, W) one walk in N steps, or (R, N, H, W) R walks, in [0, 1].
        title: stands above the images.
    """
    rows = np.asarray(images)
    rows = rows[None] if rows.ndim == 3 else rows
    page, boxes = _tile(rows, title=title, foot=FOOT)
    last = boxes[-rows.shape[1] :]
    for box, share in zip(last, np.linspace(0, 1, len(last)), strict=True):
        page.write(box.left + box.width / 2, box.top + box.height + 0.04, f"{share:.2g}", size=SMALL, ha="center")
    middle, bottom = (last[0].left + last[-1].left + last[-1].width) / 2, last[0].top + last[0].height + FOOT
    note = "share of the way through latent space, from the scan on the left to the scan on the right"
    page.write(middle, bottom, note, size=SMALL, colour=FAINT, ha="center", va="bottom")
    return page.figure


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
    page, _ = _tile(grid.reshape(rows, columns, *images.shape[1:]), title=title, foot=GAP)
    return page.figure


def _tile(rows: np.ndarray, *, title: str, foot: float) -> tuple[Page, list[Box]]:
    """Lay (R, N, H, W) images out from the top left, with ``foot`` inches free below them, and say where each is."""
    count, steps, height, width = rows.shape
    panel = min((WIDTH - GAP * (steps + 1)) / steps, MAX_PANEL)
    tall = panel * height / width
    total_width = steps * (panel + GAP) + GAP
    total_height = HEAD + count * (tall + GAP) + foot
    page = Page(max(total_width, 3.0), total_height)
    page.write(GAP, 0.12, title, size=TITLE)
    boxes = [
        Box(GAP + column * (panel + GAP), HEAD + row * (tall + GAP), panel, tall)
        for row, column in np.ndindex(count, steps)
    ]
    for image, box in zip(rows.reshape(-1, height, width), boxes, strict=True):
        page.scan(image, box)
    return page, boxes
