"""95 % intervals of pixel metrics, from histograms of each scan.

The values of a scan are counted once, in bins between quantiles of all lesion values. The counts of a resample are
then a weighted sum over scans, one matrix product for all resamples, and its curves have a level for each bin.
"""

from __future__ import annotations

from dataclasses import dataclass
from typing import Self

import numpy as np
from numpy.typing import NDArray

from mriad.metrics.bootstrap import Draws, GroupBootstrap, Interval, Weights, interval, totals
from mriad.metrics.pixel import ScanCounts, called_pixels
from mriad.metrics.pixel_curves import Background, Lesion, aupro, auroc, average_precision, best_dice
from mriad.metrics.pixel_levels import lesion_values, region_shares
from mriad.metrics.scans import Scans

BINS = 1000
RESAMPLES_AT_ONCE = 250  # a curve of 1,000 levels takes 2 MB for so many

Maps = NDArray[np.float32]
Masks = NDArray[np.bool_]


def pixel_intervals(
    metrics: dict[str, float],
    maps: Scans,
    masks: Scans,
    *,
    threshold: float,
    bootstrap: GroupBootstrap,
    healthy_maps: Scans | None = None,
    healthy_bootstrap: GroupBootstrap | None = None,
) -> dict[str, Interval]:
    """Give each metric of ``pixel_metrics`` its interval.

    ``dice``, ``dice_per_scan`` and ``pointing`` are exact in every resample. The curves take the values of a bin as
    tied, which moves them by about a thousandth; resamples are moved back by the difference that binning makes to the
    metric of all scans, and kept in [0, 1].

    Args:
        metrics: what ``pixel_metrics`` made of the same maps, masks and threshold.
        maps: (N, *spatial) anomaly maps.
        masks: (N, *spatial) true where the lesion is, at least one pixel a scan.
        threshold: a pixel is called anomalous where its map value is greater.
        bootstrap: resamples of these N scans.
        healthy_maps: (M, *spatial) anomaly maps of healthy scans, or None.
        healthy_bootstrap: the same resamples of these M scans.
    """
    if not metrics:
        return {}
    counts = _Counts.of(maps, masks, healthy_maps, threshold=threshold)
    resampled = [part for part in (bootstrap, healthy_bootstrap) if part is not None and len(part.group)]
    weights = [part.weights for part in resampled]
    parts = [
        counts.measure(*(drawn[start : start + RESAMPLES_AT_ONCE] for drawn in weights))
        for start in range(0, len(bootstrap.weights), RESAMPLES_AT_ONCE)
    ]
    binned = counts.measure(*(np.ones_like(drawn[:1]) for drawn in weights))
    diseased, both = bootstrap.n_groups, min(part.n_groups for part in resampled)
    found = {}
    for name, value in metrics.items():
        draws = np.concatenate([part[name] for part in parts])
        moved = np.clip(draws + (value - binned[name][0]), 0, 1)
        found[name] = interval(moved, both if name.endswith("_all") else diseased)
    return found


@dataclass(frozen=True)
class _Counts:
    """What N scans with a lesion and M healthy scans add to a resample; B bins run from high to low values."""

    lesion: NDArray[np.float32]  # (N, B) lesion pixels
    shares: NDArray[np.float32]  # (N, B) the same as shares of their regions
    background: NDArray[np.float32]  # (N, B) other pixels
    scans: ScanCounts  # of N scans
    healthy: NDArray[np.float32] | None  # (M, B) pixels
    called: NDArray[np.int64] | None  # (M,) pixels called anomalous

    @classmethod
    def of(cls, maps: Scans, masks: Scans, healthy_maps: Scans | None, *, threshold: float) -> Self:
        edges = _edges(lesion_values(maps, masks))
        lesion, shares, background = (np.empty((len(maps), len(edges) + 1), np.float32) for _ in range(3))
        for row, scan in enumerate(zip(maps, masks, strict=True)):
            values, mask = scan[0].astype(np.float32, copy=False), scan[1].astype(bool, copy=False)
            lesion[row] = _histogram(values[mask], edges)
            shares[row] = _histogram(values[mask], edges, region_shares(mask))
            background[row] = _histogram(values[~mask], edges)
        healthy = called = None
        if healthy_maps is not None and len(healthy_maps):
            healthy = np.stack([_histogram(values.astype(np.float32, copy=False), edges) for values in healthy_maps])
            called = called_pixels(healthy_maps, threshold=threshold)
        return cls(lesion, shares, background, ScanCounts.of(maps, masks, threshold=threshold), healthy, called)

    def measure(self, weights: Weights, healthy_weights: Weights | None = None) -> dict[str, Draws]:
        """Each metric of some resamples, NaN where a resample holds no lesion."""
        overlap = _reached(self.shares, weights)
        with np.errstate(invalid="ignore", divide="ignore"):
            lesion = Lesion(_reached(self.lesion, weights), overlap / overlap[:, -1:])
            background = _background(self.background, weights)
            scans = self.scans
            columns = [scans.hit, scans.called + scans.lesion, scans.dice, scans.pointing, np.ones(len(scans.hit))]
            hit, size, dice, pointing, count = totals(np.column_stack(columns), weights).T
            draws = {
                **_curves(lesion, background),
                "pixel_aupro": aupro(lesion, background),
                "dice": 2 * hit / size,
                "dice_per_scan": dice / count,
                "pointing": pointing / count,
            }
            if self.healthy is None or self.called is None or healthy_weights is None:
                return draws
            pooled = _curves(lesion, background + _background(self.healthy, healthy_weights))
            pooled["dice"] = 2 * hit / (size + totals(self.called, healthy_weights))
        return draws | {f"{name}_all": values for name, values in pooled.items()}


def _edges(values: Maps) -> Maps:
    """Rising lower ends of bins: the lesion values themselves where they are few, else their quantiles."""
    levels = np.unique(values)
    if len(levels) > BINS:
        levels = np.unique(np.quantile(values, np.linspace(0, 1, BINS), method="inverted_cdf"))
    return np.append(levels, np.nextafter(levels[-1], np.float32(np.inf)))  # what is above the lesion is apart


def _histogram(values: Maps, edges: Maps, weights: NDArray[np.floating] | None = None) -> NDArray[np.float32]:
    """(B,) counts of values, those of the highest bin first and of values below all edges last."""
    if weights is None:  # sorting all values is faster than finding the place of each
        below = np.searchsorted(np.sort(values, axis=None), edges)
        return np.diff(below, prepend=0, append=values.size)[::-1].astype(np.float32)
    bins = len(edges) - np.searchsorted(edges, values.ravel(), side="right")
    return np.bincount(bins, weights, minlength=len(edges) + 1).astype(np.float32)


def _reached(histograms: NDArray[np.float32], weights: Weights) -> Draws:
    return np.cumsum(weights.astype(np.float32) @ histograms, axis=1, dtype=np.float64)


def _background(histograms: NDArray[np.float32], weights: Weights) -> Background:
    reached = _reached(histograms, weights)
    above = np.concatenate([np.zeros_like(reached[:, :1]), reached[:, :-1]], axis=1)
    return Background(above, reached, reached[:, -1])


def _curves(lesion: Lesion, background: Background) -> dict[str, Draws]:
    return {
        "pixel_ap": average_precision(lesion, background),
        "pixel_auroc": auroc(lesion, background),
        "dice_oracle": best_dice(lesion, background),
    }
