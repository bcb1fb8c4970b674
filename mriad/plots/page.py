"""Pages of pictures: each stands where it is put, in inches from the top left."""

from __future__ import annotations

from typing import Any, NamedTuple

import numpy as np
from matplotlib.axes import Axes

from mriad.plots.style import INK, LESION, TEXT, new_figure


class Box(NamedTuple):
    """A place on a page, in inches from its top left."""

    left: float
    top: float
    width: float
    height: float


class Page:
    """A figure whose pictures and texts share one pair of axes: a pair for each takes longer than to draw them.

    Args:
        width, height: inches, of 150 pixels each.

    Attributes:
        figure: the figure.
    """

    def __init__(self, width: float, height: float) -> None:
        self.figure = new_figure(width, height, constrained=False)
        self._width, self._height = width, height
        self._paper = self.figure.add_axes((0, 0, 1, 1))
        self._paper.set_axis_off()
        self._paper.set_autoscale_on(False)
        self._paper.set(xlim=(0, width), ylim=(height, 0))

    def scan(self, image: np.ndarray, box: Box) -> None:
        """Draw an (H, W) scan in [0, 1], black at 0 and white at 1 whatever it holds."""
        self.picture(image, box, cmap="gray", vmin=0, vmax=1)

    def picture(self, image: np.ndarray, box: Box, **look: Any) -> None:
        """Draw an (H, W) or (H, W, 3) image; ``look`` is what ``matplotlib.axes.Axes.imshow`` takes."""
        left, top, width, height = box
        self._paper.imshow(image, extent=(left, left + width, top + height, top), aspect="auto", **look)

    def outline(self, mask: np.ndarray, box: Box, *, linewidth: float) -> None:
        """Draw the outline of an (H, W) lesion mask over its picture, if there is a lesion."""
        if not mask.any():
            return
        down, across = (
            start + (np.arange(count) + 0.5) * length / count
            for start, length, count in zip((box.top, box.left), (box.height, box.width), mask.shape, strict=True)
        )
        self._paper.contour(across, down, mask.astype(float), levels=[0.5], colors=[LESION], linewidths=linewidth)

    def write(self, left: float, top: float, text: str, *, size: float = TEXT, colour: str = INK, **look: Any) -> None:
        """Write a text; ``look`` is what ``matplotlib.text.Text`` takes, ``va`` being 'top' unless it says so."""
        self._paper.text(left, top, text, fontsize=size, color=colour, **{"va": "top"} | look)

    def axes(self, box: Box) -> Axes:
        """Add axes of their own."""
        left, top, width, height = box
        bottom = self._height - top - height
        return self.figure.add_axes(
            (left / self._width, bottom / self._height, width / self._width, height / self._height)
        )
