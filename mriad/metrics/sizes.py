"""What is measured on scans with small, medium and large lesions apart: a mean over all hides what large ones carry."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass

import numpy as np
from numpy.typing import NDArray

from mriad.metrics.bootstrap import GroupBootstrap, Interval, interval, ratio, totals
from mriad.metrics.pixel import pixel_metrics
from mriad.metrics.pixel_intervals import Maps, Masks, pixel_intervals

THIRDS = ("small", "medium", "large")
MIN_SCANS = 6
PIXEL_BY_SIZE = ("pixel_ap", "pixel_aupro", "dice", "dice_oracle", "dice_per_scan", "pointing")


@dataclass(frozen=True, kw_only=True)
class SizeThird:
    """A third of the scans that have a lesion mask, by lesion area.

    Args:
        name: 'small', 'medium' or 'large'.
        rows: (n,) the scans.
        least: smallest lesion area, in pixels at network resolution.
        most: largest lesion area.
    """

    name: str
    rows: NDArray[np.int64]
    least: int
    most: int


def size_thirds(masks: Masks) -> list[SizeThird]:
    """Divide scans by lesion area, all lesion pixels of a scan together.

    Scans of one area stand in one third, so thirds may differ in size.

    Args:
        masks: (N, H, W) true where the lesion is, at least one pixel a scan.

    Returns:
        three thirds, the smallest lesions first; none if there are fewer than ``MIN_SCANS`` scans, or if their areas
        are too much alike to fill three thirds.
    """
    area = masks.sum(axis=(1, 2))
    if (scans := len(area)) < MIN_SCANS:
        return []
    ends = np.sort(area)[[-(-scans // 3) - 1, -(-2 * scans // 3) - 1]]
    third = np.searchsorted(ends, area, side="left")
    members = [np.flatnonzero(third == number) for number in range(len(THIRDS))]
    if not all(len(rows) for rows in members):
        return []
    return [
        SizeThird(name=name, rows=rows, least=int(area[rows].min()), most=int(area[rows].max()))
        for name, rows in zip(THIRDS, members, strict=True)
    ]


def metrics_by_size(
    thirds: Sequence[SizeThird], maps: Maps, masks: Masks, decisions: NDArray[np.integer], *, threshold: float
) -> dict[str, float]:
    """Measure each third by itself: ``<name>_<third>``, all in [0, 1].

    The names are ``PIXEL_BY_SIZE``, as in ``pixel_metrics`` (the oracle's threshold is chosen for each third);
    ``recall``, the share of the scans of the third that are called anomalous; and ``lesion_share``, the share of their
    pixels that are lesion. It is the average precision of a constant map, or of one that knows nothing (Saito &
    Rehmsmeier, PLoS ONE 2015), differs from third to third, and so ``pixel_ap`` is to be read against it.

    Args:
        thirds: of these N scans.
        maps: (N, H, W) anomaly maps.
        masks: (N, H, W) true where the lesion is, at least one pixel a scan.
        decisions: (N,) 1 called anomalous, else 0.
        threshold: a pixel is called anomalous where its map value is greater.
    """
    found: dict[str, float] = {}
    for third in thirds:
        numbers = _pixels(third, maps, masks, threshold) | {
            "recall": float(np.mean(decisions[third.rows])),
            "lesion_share": float(np.mean(masks[third.rows])),
        }
        found |= {f"{name}_{third.name}": value for name, value in numbers.items()}
    return found


def intervals_by_size(
    thirds: Sequence[SizeThird],
    maps: Maps,
    masks: Masks,
    decisions: NDArray[np.integer],
    *,
    threshold: float,
    bootstrap: GroupBootstrap,
) -> dict[str, Interval]:
    """Give each metric of ``metrics_by_size`` its 95 % interval; the thirds stay those of the whole test set.

    Args:
        thirds: of these N scans.
        maps: (N, H, W) anomaly maps.
        masks: (N, H, W) true where the lesion is, at least one pixel a scan.
        decisions: (N,) 1 called anomalous, else 0.
        threshold: a pixel is called anomalous where its map value is greater.
        bootstrap: resamples of these scans.
    """
    found: dict[str, Interval] = {}
    for third in thirds:
        rows, resamples = third.rows, bootstrap.of(third.rows)
        metrics = _pixels(third, maps, masks, threshold)
        bounds = pixel_intervals(metrics, maps[rows], masks[rows], threshold=threshold, bootstrap=resamples)
        of_each = np.column_stack([decisions[rows], masks[rows].mean(axis=(1, 2)), np.ones(len(rows))])
        called, lesion, scans = totals(of_each, resamples.weights).T
        bounds["recall"] = interval(ratio(called, scans), resamples.n_groups)
        bounds["lesion_share"] = interval(ratio(lesion, scans), resamples.n_groups)
        found |= {f"{name}_{third.name}": bound for name, bound in bounds.items()}
    return found


def _pixels(third: SizeThird, maps: Maps, masks: Masks, threshold: float) -> dict[str, float]:
    metrics = pixel_metrics(maps[third.rows], masks[third.rows], threshold=threshold)
    return {name: metrics[name] for name in PIXEL_BY_SIZE if name in metrics}
