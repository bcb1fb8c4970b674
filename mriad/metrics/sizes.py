"""What is measured on scans with small, medium and large lesions apart: a mean over all hides what large ones carry."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from math import prod

import numpy as np
from numpy.typing import NDArray

from mriad.metrics.bootstrap import GroupBootstrap, Interval, interval, ratio, totals
from mriad.metrics.pixel import pixel_metrics
from mriad.metrics.pixel_intervals import pixel_intervals
from mriad.metrics.scans import Scans, Stack, are_volumes

THIRDS = ("small", "medium", "large")
MIN_SCANS = 6
PIXEL_BY_SIZE = ("pixel_ap", "pixel_aupro", "dice", "dice_oracle", "dice_per_scan", "pointing")


@dataclass(frozen=True, kw_only=True)
class SizeThird:
    """A third of the scans that have a lesion mask, by lesion size.

    Args:
        name: 'small', 'medium' or 'large'.
        rows: (n,) the scans.
        least: size of the smallest lesion.
        most: size of the largest lesion.
        unit: of both: 'pixels' or 'voxels' at network resolution, or 'ml'.
    """

    name: str
    rows: NDArray[np.int64]
    least: float
    most: float
    unit: str = "pixels"

    @property
    def span(self) -> tuple[str, str]:
        """The smallest and the largest lesion as they are printed."""
        smallest, largest = (_ml(size) if self.unit == "ml" else f"{size:,}" for size in (self.least, self.most))
        return smallest, largest


def _ml(size: float) -> str:
    return f"{size:,.0f}" if size >= 99.95 else f"{size:#.3g}"


def lesion_pixels(masks: Scans) -> NDArray[np.int64]:
    """(N,) lesion pixels of each of (N, *spatial) masks."""
    return np.array([np.count_nonzero(mask) for mask in masks], dtype=np.int64)


def size_thirds(masks: Scans, *, voxel_volume: NDArray[np.floating] | None = None) -> list[SizeThird]:
    """Divide scans by lesion size, all lesion pixels of a scan together.

    The size is the volume in ml where ``voxel_volume`` tells it, else a number of pixels or voxels. Scans of one size
    stand in one third, so thirds may differ in number.

    Args:
        masks: (N, *spatial) true where the lesion is, at least one pixel a scan.
        voxel_volume: (N,) volume of a voxel in mm3; None where it is not known.

    Returns:
        three thirds, the smallest lesions first; none if there are fewer than ``MIN_SCANS`` scans, or if their sizes
        are too much alike to fill three thirds.
    """
    area: NDArray[np.integer] | NDArray[np.floating] = lesion_pixels(masks)
    if (scans := len(area)) < MIN_SCANS:
        return []
    unit = "voxels" if are_volumes(masks) else "pixels"
    if voxel_volume is not None:
        area, unit = area * np.asarray(voxel_volume, dtype=np.float64) / 1000, "ml"
    ends = np.sort(area)[[-(-scans // 3) - 1, -(-2 * scans // 3) - 1]]
    third = np.searchsorted(ends, area, side="left")
    members = [np.flatnonzero(third == number) for number in range(len(THIRDS))]
    if not all(len(rows) for rows in members):
        return []
    return [
        SizeThird(name=name, rows=rows, least=area[rows].min().item(), most=area[rows].max().item(), unit=unit)
        for name, rows in zip(THIRDS, members, strict=True)
    ]


def metrics_by_size(
    thirds: Sequence[SizeThird], maps: Scans, masks: Scans, decisions: NDArray[np.integer], *, threshold: float
) -> dict[str, float]:
    """Measure each third by itself: ``<name>_<third>``, all in [0, 1].

    The names are ``PIXEL_BY_SIZE``, as in ``pixel_metrics`` (the oracle's threshold is chosen for each third);
    ``recall``, the share of the scans of the third that are called anomalous; and ``lesion_share``, the share of their
    pixels that are lesion. It is the average precision of a constant map, or of one that knows nothing (Saito &
    Rehmsmeier, PLoS ONE 2015), differs from third to third, and so ``pixel_ap`` is to be read against it.

    Args:
        thirds: of these N scans.
        maps: (N, *spatial) anomaly maps.
        masks: (N, *spatial) true where the lesion is, at least one pixel a scan.
        decisions: (N,) 1 called anomalous, else 0.
        threshold: a pixel is called anomalous where its map value is greater.
    """
    found: dict[str, float] = {}
    for third in thirds:
        some = Stack.of(masks, third.rows)
        numbers = _pixels(third, maps, masks, threshold) | {
            "recall": float(np.mean(decisions[third.rows])),
            "lesion_share": float(lesion_pixels(some).sum() / prod(some.shape)),
        }
        found |= {f"{name}_{third.name}": value for name, value in numbers.items()}
    return found


def intervals_by_size(
    thirds: Sequence[SizeThird],
    maps: Scans,
    masks: Scans,
    decisions: NDArray[np.integer],
    *,
    threshold: float,
    bootstrap: GroupBootstrap,
) -> dict[str, Interval]:
    """Give each metric of ``metrics_by_size`` its 95 % interval; the thirds stay those of the whole test set.

    Args:
        thirds: of these N scans.
        maps: (N, *spatial) anomaly maps.
        masks: (N, *spatial) true where the lesion is, at least one pixel a scan.
        decisions: (N,) 1 called anomalous, else 0.
        threshold: a pixel is called anomalous where its map value is greater.
        bootstrap: resamples of these scans.
    """
    found: dict[str, Interval] = {}
    for third in thirds:
        rows, resamples = third.rows, bootstrap.of(third.rows)
        metrics = _pixels(third, maps, masks, threshold)
        some = Stack.of(maps, rows), Stack.of(masks, rows)
        bounds = pixel_intervals(metrics, *some, threshold=threshold, bootstrap=resamples)
        share = lesion_pixels(some[1]) / prod(masks.shape[1:])
        of_each = np.column_stack([decisions[rows], share, np.ones(len(rows))])
        called, lesion, scans = totals(of_each, resamples.weights).T
        bounds["recall"] = interval(ratio(called, scans), resamples.n_groups)
        bounds["lesion_share"] = interval(ratio(lesion, scans), resamples.n_groups)
        found |= {f"{name}_{third.name}": bound for name, bound in bounds.items()}
    return found


def _pixels(third: SizeThird, maps: Scans, masks: Scans, threshold: float) -> dict[str, float]:
    some = Stack.of(maps, third.rows), Stack.of(masks, third.rows)
    metrics = pixel_metrics(*some, threshold=threshold)
    return {name: metrics[name] for name in PIXEL_BY_SIZE if name in metrics}
