"""Pictures that a page carries inside itself, as data URIs."""

from __future__ import annotations

import base64
import io
from dataclasses import dataclass

import numpy as np
from matplotlib.colors import Normalize, to_hex
from matplotlib.figure import Figure
from numpy.typing import NDArray
from PIL import Image
from skimage.measure import find_contours

from mriad.models import Detector
from mriad.plots import GalleryRow, overlay
from mriad.plots.style import MAP_COLOURS
from mriad.report.figures import gallery_rows, spread_over_scores
from mriad.report.result import Result

SCANS_PER_OUTCOME = 6
MAX_SIDE = 192  # pixels of a panel; about what a page gives it, and 96 panels of pure noise stay below 5 MB
QUALITY = 85  # of WebP


@dataclass(frozen=True, kw_only=True)
class Panel:
    """One picture of a scan.

    Args:
        name: original, reconstruction, anomaly map or overlay.
        uri: the picture.
        outline: SVG path round the true lesion, in pixels of the slice; '' for none.
    """

    name: str
    uri: str
    outline: str = ""


@dataclass(frozen=True, kw_only=True)
class ScanPictures:
    """What the gallery shows of a scan.

    Args:
        path: of the scan, as in the catalog.
        kind: its class.
        score: its anomaly score.
        side: pixels along each side of the slice.
        panels: its pictures.
    """

    path: str
    kind: str
    score: float
    side: int
    panels: list[Panel]


def gallery_pictures(result: Result, detector: Detector) -> dict[str, list[ScanPictures]]:
    """Scans of each outcome that happened, spread over the range of their scores, from high to low."""
    return {
        outcome: [
            ScanPictures(
                path=scan["path"],
                kind=scan["class"],
                score=float(scan["score"]),
                side=len(row.image),
                panels=_panels(row, result),
            )
            for row, (_, scan) in zip(
                gallery_rows(result, detector, picks), result.table.loc[picks].iterrows(), strict=True
            )
        ]
        for outcome, picks in spread_over_scores(result, SCANS_PER_OUTCOME).items()
    }


def svg(figure: Figure) -> str:
    """A figure as an SVG data URI; its letters are paths, so that it looks the same everywhere."""
    stream = io.BytesIO()
    figure.savefig(stream, format="svg", metadata={"Date": None})
    return _uri(stream.getvalue(), "image/svg+xml")


def webp(pixels: NDArray[np.uint8]) -> str:
    """(H, W) gray or (H, W, 3) RGB as a WebP data URI, at most ``MAX_SIDE`` wide and high."""
    image = Image.fromarray(pixels)
    image.thumbnail((MAX_SIDE, MAX_SIDE))
    stream = io.BytesIO()
    image.save(stream, format="WEBP", quality=QUALITY)
    return _uri(stream.getvalue(), "image/webp")


def map_gradient(steps: int = 24) -> list[str]:
    """Colours of the map's scale from its lower to its upper end, as hex."""
    return [to_hex(MAP_COLOURS(value)) for value in np.linspace(0, 1, steps)]


def outline(mask: NDArray[np.bool_] | None) -> str:
    """SVG path round a lesion mask (S, S), in pixels from the corner of the slice; '' without a lesion."""
    if mask is None or not mask.any():
        return ""
    # a rim of background closes the outline of a lesion that touches the edge; a pixel's centre is at a half
    rings = find_contours(np.pad(mask, 1).astype(float), 0.5)
    return "".join("M" + "L".join(f"{x - 0.5:.4g} {y - 0.5:.4g}" for y, x in ring) + "Z" for ring in rings)


def _panels(row: GalleryRow, result: Result) -> list[Panel]:
    scale, threshold = result.calibration.map_scale, result.calibration.pixel_threshold
    panels = [Panel(name="original", uri=webp(_gray(row.image)))]
    if row.reconstruction is not None:
        panels.append(Panel(name="reconstruction", uri=webp(_gray(row.reconstruction))))
    coloured = MAP_COLOURS(Normalize(*scale, clip=True)(row.anomaly_map), bytes=True)[..., :3]
    blended = overlay(row.image, row.anomaly_map, map_scale=scale, pixel_threshold=threshold)
    return [
        *panels,
        Panel(name="anomaly map", uri=webp(np.ascontiguousarray(coloured))),
        Panel(name="overlay", uri=webp(blended), outline=outline(row.mask)),
    ]


def _gray(image: NDArray[np.float32]) -> NDArray[np.uint8]:
    return np.rint(255 * np.clip(image, 0, 1)).astype(np.uint8)


def _uri(content: bytes, kind: str) -> str:
    return f"data:{kind};base64,{base64.b64encode(content).decode()}"
