"""Scans beside their reconstruction, anomaly map and overlay, grouped by outcome, on one colour scale."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass

import numpy as np
from matplotlib.cm import ScalarMappable
from matplotlib.colors import Normalize
from matplotlib.figure import Figure
from matplotlib.lines import Line2D

from mriad.plots.overlay import overlay
from mriad.plots.page import Box, Page
from mriad.plots.style import FAINT, INK, LESION, MAP_COLOURS, SMALL, TITLE

# Inches; at 150 pixels an inch the figure is 1,200 pixels wide.
WIDTH = 8.0
MARGIN = 0.12
GAP = 0.04  # between the panels of a scan
GUTTER = 0.22  # between two scans of a line
HEAD = 1.0  # title, legend and colour bar
HEADING = 0.5  # of a section, with the names of its columns
CAPTION = 0.24  # above the panels of a scan
EMPTY = 0.3  # a section without scans
MAX_PANEL = 1.85  # of the shorter side
PANELS = ("original", "reconstruction", "anomaly map", "overlay")
LETTERS_PER_INCH = {SMALL: 13, TITLE + 2: 8}  # at a size of type, cautiously


@dataclass(frozen=True)
class GalleryRow:
    """One scan of a gallery.

    Args:
        image: (H, W) in [0, 1].
        reconstruction: (H, W) in [0, 1], or None.
        anomaly_map: (H, W), higher = stranger.
        mask: (H, W) true where the lesion is, or None where not known.
        title: stands above the scan's panels, shortened in the middle where too long.
    """

    image: np.ndarray
    reconstruction: np.ndarray | None
    anomaly_map: np.ndarray
    mask: np.ndarray | None
    title: str


def gallery(
    sections: Mapping[str, Sequence[GalleryRow]],
    *,
    map_scale: tuple[float, float],
    pixel_threshold: float,
    title: str,
    panels: Sequence[str] = PANELS,
) -> Figure:
    """Draw scans by section: original, reconstruction, anomaly map, and overlay with the lesion's outline.

    All maps share one colour scale and one colour bar, which marks the pixel threshold. The reconstruction
    column is dropped where no scan has one. Scans stand two in a line where a section has more than one.

    Args:
        sections: scans by heading, e.g. 'True positives'; an empty one is named as empty.
        map_scale: map values of the first and the last colour.
        pixel_threshold: the overlay colours a pixel where its map value is greater.
        title: stands at the top.
        panels: which of these are drawn; a single one is not named.
    """
    rows = [row for members in sections.values() for row in members]
    without = {"reconstruction"} if all(row.reconstruction is None for row in rows) else set()
    columns = [name for name in panels if name not in without]
    plan = _Plan.fit(sections, columns)
    page = Page(WIDTH, plan.height)
    _head(page, title, map_scale, pixel_threshold, outlined=any(_has_lesion(row) for row in rows))

    top = HEAD
    for heading, members in sections.items():
        page.write(MARGIN, top + 0.04, heading if members else f"{heading}: none", size=TITLE, weight="bold")
        if not members:
            top += EMPTY
            continue
        for place in range(min(plan.scans_per_line, len(members))):
            for number, name in enumerate(columns if len(columns) > 1 else ()):
                centre = plan.left(place, number) + plan.panel / 2
                page.write(centre, top + HEADING - 0.18, name, size=SMALL, colour=FAINT, ha="center")
        top += HEADING
        for index, row in enumerate(members):
            place = index % plan.scans_per_line
            if index and place == 0:
                top += plan.line
            page.write(plan.left(place, 0), top + 0.06, _shorten(row.title, plan.scan_width, SMALL), size=SMALL)
            for number, name in enumerate(columns):
                box = Box(plan.left(place, number), top + CAPTION, plan.panel, plan.tall)
                _panel(page, name, row, box, map_scale=map_scale, pixel_threshold=pixel_threshold)
        top += plan.line + MARGIN
    return page.figure


@dataclass(frozen=True)
class _Plan:
    """Where panels stand, in inches from the top left."""

    scans_per_line: int
    panel: float
    tall: float
    scan_width: float
    height: float

    @classmethod
    def fit(cls, sections: Mapping[str, Sequence[GalleryRow]], columns: Sequence[str]) -> _Plan:
        scans_per_line = 2 if any(len(members) > 1 for members in sections.values()) else 1
        room = (WIDTH - 2 * MARGIN - (scans_per_line - 1) * GUTTER) / scans_per_line
        shapes = [row.image.shape for members in sections.values() for row in members]
        slender = max((height / width for height, width in shapes), default=1.0)
        panel = min((room - (len(columns) - 1) * GAP) / len(columns), MAX_PANEL / min(slender, 1))
        tall = panel * slender
        height = HEAD + MARGIN
        for members in sections.values():
            lines = -(-len(members) // scans_per_line)
            height += HEADING + lines * (CAPTION + tall + GAP) + MARGIN if members else EMPTY
        return cls(scans_per_line, panel, tall, len(columns) * (panel + GAP) - GAP, height)

    @property
    def line(self) -> float:
        return CAPTION + self.tall + GAP

    def left(self, place: int, column: int) -> float:
        return MARGIN + place * (self.scan_width + GUTTER) + column * (self.panel + GAP)


def _head(page: Page, title: str, map_scale: tuple[float, float], pixel_threshold: float, *, outlined: bool) -> None:
    short = _shorten(title, WIDTH - 2 * MARGIN, TITLE + 2)
    page.write(MARGIN, 0.12, short, size=TITLE + 2, weight="bold")
    ax = page.axes(Box(WIDTH - 3.3, 0.58, 3.0, 0.12))
    colours = ScalarMappable(Normalize(*map_scale), MAP_COLOURS)
    bar = page.figure.colorbar(colours, cax=ax, orientation="horizontal")
    bar.outline.set_visible(False)
    ax.tick_params(labelsize=SMALL, colors=INK, length=2)
    ax.set_title("anomaly map (higher = stranger)", fontsize=SMALL, color=INK, loc="left", pad=6)
    keys = [Line2D([], [], color=INK, marker="v", linestyle="none", markersize=5)]
    names = [f"pixel threshold {pixel_threshold:.4g}"]
    if map_scale[0] <= pixel_threshold <= map_scale[1]:
        ax.plot(
            [pixel_threshold],
            [1.0],
            "v",
            color=INK,
            markersize=5,
            transform=ax.get_xaxis_transform(),
            clip_on=False,
        )
    if outlined:
        keys.append(Line2D([], [], color=LESION, linewidth=1.5))
        names.append("outline of the true lesion")
    page.figure.legend(
        keys,
        names,
        loc="upper left",
        bbox_to_anchor=(MARGIN / WIDTH, 1 - 0.55 / page.figure.get_figheight()),
        ncols=2,
        fontsize=SMALL,
        labelcolor=INK,
        frameon=False,
        borderpad=0,
        handlelength=1.2,
    )


def _panel(
    page: Page, name: str, row: GalleryRow, box: Box, *, map_scale: tuple[float, float], pixel_threshold: float
) -> None:
    if name == "original":
        page.scan(row.image, box)
    elif name == "anomaly map":
        page.picture(row.anomaly_map, box, cmap=MAP_COLOURS, vmin=map_scale[0], vmax=map_scale[1])
    elif name == "overlay":
        page.picture(overlay(row.image, row.anomaly_map, map_scale=map_scale, pixel_threshold=pixel_threshold), box)
        if row.mask is not None:
            page.outline(row.mask, box, linewidth=0.9)
    elif row.reconstruction is not None:
        page.scan(row.reconstruction, box)


def _has_lesion(row: GalleryRow) -> bool:
    return row.mask is not None and bool(row.mask.any())


def _shorten(text: str, width: float, size: int) -> str:
    room = int(width * LETTERS_PER_INCH[size])
    if len(text) <= room:
        return text
    head = (room - 1) // 2
    return f"{text[:head]}…{text[len(text) - (room - 1 - head) :]}"
