"""How many lesions a map finds, and at the price of how many false alarms: components are counted, not pixels.

A threshold has two numbers: the share of lesions that are hit, and the false components per scan. Over all thresholds
they draw the free-response ROC curve (Bunch et al., A free-response approach to the measurement and characterization
of radiographic-observer performance, J Appl Photogr Eng 1978), as LUNA16 and others use it. ``ComponentCounts`` says
what a hit is.
"""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass
from typing import Self

import numpy as np
from numpy.typing import NDArray

from mriad.metrics.bootstrap import Draws, GroupBootstrap, Interval, Weights, count_interval, interval, ratio, totals
from mriad.metrics.components import ComponentCounts, Maps, Masks, sweep_levels

FALSE_PER_SCAN = 1
LESION_BY_SIZE = ("lesion_sensitivity", "lesion_recall", "false_components")

Rows = NDArray[np.int64]


@dataclass(frozen=True)
class LesionCounts:
    """Components of N scans with a lesion and M healthy scans; the last level is the pixel threshold."""

    diseased: ComponentCounts
    healthy: ComponentCounts | None

    @classmethod
    def of(cls, maps: Maps, masks: Masks, *, threshold: float, healthy_maps: Maps | None = None) -> Self:
        """Count maps that ``pixel_metrics`` takes.

        Args:
            maps: (N, H, W) finite anomaly maps, taken as float32, higher = stranger, on one scale.
            masks: (N, H, W) true where the lesion is, at least one pixel a scan.
            threshold: a pixel is called anomalous where its map value is greater.
            healthy_maps: (M, H, W) anomaly maps of healthy scans, or None.
        """
        maps = np.asarray(maps, dtype=np.float32)
        levels = np.append(sweep_levels(maps).astype(np.float64), threshold)
        healthy = None
        if healthy_maps is not None and len(healthy_maps):
            empty = np.zeros(healthy_maps.shape, dtype=bool)
            healthy = ComponentCounts.of(np.asarray(healthy_maps, dtype=np.float32), empty, levels)
        return cls(ComponentCounts.of(maps, np.asarray(masks, dtype=bool), levels), healthy)

    def measure(
        self, weights: Weights, healthy_weights: Weights | None = None, thirds: Mapping[str, Rows] | None = None
    ) -> dict[str, Draws]:
        """(R,) values of each metric of ``lesion_metrics`` in R resamples, NaN where a resample tells nothing.

        Args:
            weights: (R, N) how often each scan stands in each resample.
            healthy_weights: (R, M) the same of the healthy scans.
            thirds: rows of the scans of each third by lesion size.
        """
        lesions, hits = totals(self.diseased.lesions[:, None], weights)[:, 0], totals(self.diseased.hits, weights)
        scans, false = weights.sum(axis=1, dtype=np.float64), totals(self.diseased.false, weights)
        level = _operating_level(hits, false, scans)
        draws = {
            "lesion_sensitivity": ratio(_at(hits, level), lesions),
            "lesion_recall": ratio(hits[:, -1], lesions),
            "false_components": ratio(false[:, -1], scans),
        }
        for name, rows in (thirds or {}).items():
            draws |= {f"{metric}_{name}": value for metric, value in self._third(rows, weights[:, rows], level).items()}
        if self.healthy is None or healthy_weights is None:
            return draws
        scans = scans + healthy_weights.sum(axis=1, dtype=np.float64)
        false = false + totals(self.healthy.false, healthy_weights)
        return draws | {
            "lesion_sensitivity_all": ratio(_at(hits, _operating_level(hits, false, scans)), lesions),
            "false_components_all": ratio(false[:, -1], scans),
        }

    def _third(self, rows: Rows, weights: Weights, level: NDArray[np.int64]) -> dict[str, Draws]:
        """(R,) values of one third of the scans, at the (R,) level of all; its weights are (R, n)."""
        lesions, hits = (
            totals(self.diseased.lesions[rows, None], weights)[:, 0],
            totals(self.diseased.hits[rows], weights),
        )
        false = totals(self.diseased.false[rows, -1:], weights)[:, 0]
        return {
            "lesion_sensitivity": ratio(_at(hits, level), lesions),
            "lesion_recall": ratio(hits[:, -1], lesions),
            "false_components": ratio(false, weights.sum(axis=1, dtype=np.float64)),
        }


def lesion_metrics(counts: LesionCounts, thirds: Mapping[str, Rows] | None = None) -> dict[str, float]:
    """Measure how lesions are found, all but the false components in [0, 1].

    ``lesion_recall`` is the share of lesions that are hit at the pixel threshold, pooled over scans, and
    ``false_components`` the false components per scan there: what a user of the calibrated detector gets.

    ``lesion_sensitivity`` is the point of the free-response ROC curve at one false component per scan: the most lesions
    that any threshold hits with on average at most ``FALSE_PER_SCAN`` false components per scan. What is called too
    widely hits nothing and is false (``ComponentCounts``), so a map that floods the brain gains nothing by it. Like any
    point or area of a curve, AUPRO among them, it is read off the test set: it says what the maps can do, not what a
    threshold that was fitted elsewhere makes of them.

    With ``thirds``, ``lesion_recall_<name>`` and ``false_components_<name>`` are those of these scans, and
    ``lesion_sensitivity_<name>`` is the share of their lesions hit at the threshold of ``lesion_sensitivity``. With
    healthy scans, ``lesion_sensitivity_all`` and ``false_components_all`` count the components of these scans too,
    each of them one scan more.

    Args:
        counts: of N scans with a lesion and of healthy ones.
        thirds: rows of the scans of each third by lesion size.
    """
    if not len(counts.diseased.lesions):
        return {}
    everyone = np.ones((1, len(counts.diseased.lesions)), dtype=np.uint16)
    healthy = None if counts.healthy is None else np.ones((1, len(counts.healthy.lesions)), dtype=np.uint16)
    return {name: float(value[0]) for name, value in counts.measure(everyone, healthy, thirds).items()}


def lesion_intervals(
    counts: LesionCounts,
    *,
    bootstrap: GroupBootstrap,
    healthy_bootstrap: GroupBootstrap | None = None,
    thirds: Mapping[str, Rows] | None = None,
) -> dict[str, Interval]:
    """Give each metric of ``lesion_metrics`` its 95 % interval; each resample has a free-response curve of its own.

    The false components of a single group have none, for they have no greatest value.

    Args:
        counts: of N scans with a lesion and of M healthy ones.
        bootstrap: resamples of these N scans.
        healthy_bootstrap: the same resamples of these M scans.
        thirds: rows of the scans of each third by lesion size.
    """
    if not len(counts.diseased.lesions):
        return {}
    beside = None if counts.healthy is None or healthy_bootstrap is None else healthy_bootstrap
    groups = {
        f"{metric}_{name}": bootstrap.of(rows).n_groups
        for name, rows in (thirds or {}).items()
        for metric in LESION_BY_SIZE
    }
    if beside is not None:
        both = min(bootstrap.n_groups, beside.n_groups)
        groups |= {"lesion_sensitivity_all": both, "false_components_all": both}
    found = {}
    for name, draws in counts.measure(bootstrap.weights, beside.weights if beside else None, thirds).items():
        told = (count_interval if name.startswith("false") else interval)(draws, groups.get(name, bootstrap.n_groups))
        if told is not None:
            found[name] = told
    return found


def _operating_level(hits: Draws, false: Draws, scans: Draws) -> NDArray[np.int64]:
    """(R,) the level, the highest if several, that hits most lesions while few enough components are false.

    Args:
        hits: (R, L + 1) lesions hit, at the last level those of the pixel threshold, which is no candidate.
        false: (R, L + 1) false components.
        scans: (R,) number of scans.
    """
    allowed = false[:, :-1] <= FALSE_PER_SCAN * scans[:, None]
    return np.argmax(np.where(allowed, hits[:, :-1], -1), axis=1)


def _at(values: Draws, level: NDArray[np.int64]) -> Draws:
    return np.take_along_axis(values, level[:, None], axis=1)[:, 0]
