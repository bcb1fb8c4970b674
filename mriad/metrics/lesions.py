"""How many lesions a map finds, and at the price of how many false alarms: components are counted, not pixels.

A threshold has two numbers: the share of lesions that are hit, and the false components per scan. Over all thresholds
they draw the free-response ROC curve (Bunch et al., A free-response approach to the measurement and characterization
of radiographic-observer performance, J Appl Photogr Eng 1978), as LUNA16 and others use it. ``ComponentCounts`` says
what a hit is.
"""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass, replace
from typing import Self

import numpy as np
from numpy.typing import NDArray

from mriad.metrics.bootstrap import Draws, GroupBootstrap, Interval, Weights, count_interval, interval, ratio, totals
from mriad.metrics.components import ComponentCounts, sweep_levels
from mriad.metrics.scans import Rows, Scans, Stack, are_volumes, parts

FALSE_PER_SCAN = 1
LESION_BY_SIZE = (
    "lesion_sensitivity",
    "lesion_false_positives",
    "lesion_sensitivity_oracle",
    "lesion_recall",
    "false_components",
)
LEVEL_SCANS = 512  # from the maps of so many pictures the levels are drawn at which all are counted


@dataclass(frozen=True)
class HealthyComponents:
    """How many components healthy scans have at each of L levels of a map, all of which are false.

    Args:
        levels: (L,) falling from the highest value of the maps, above which nothing lies.
        per_scan: (L,) components, on average over the scans.
    """

    levels: NDArray[np.float64]
    per_scan: NDArray[np.float64]

    @classmethod
    def of(cls, maps: Scans, *, scans: Rows) -> Self:
        """Count them at about ``LEVELS`` levels, see ``sweep_levels``.

        Args:
            maps: (N, *spatial) finite float32 anomaly maps, higher = stranger; they may be mapped from a file.
            scans: (n,) which of them, at least one.
        """
        healthy = Stack.of(maps, scans)
        some = scans[np.linspace(0, len(scans) - 1, min(len(scans), LEVEL_SCANS)).astype(np.int64)]
        highest = max(healthy[part].max() for part in parts(healthy))
        levels = sweep_levels(healthy if are_volumes(maps) else maps[some])
        levels = np.append(highest, levels[levels < highest])
        counts = np.zeros(len(levels), dtype=np.int64)
        for part in parts(healthy):
            counts += ComponentCounts.of(healthy[part], None, levels).false.sum(axis=0)
        return cls(levels.astype(np.float64), counts / len(scans))

    @property
    def level(self) -> float:
        """The level that leaves healthy scans few enough components.

        From the highest value downwards it is the last level before they have on average more than ``FALSE_PER_SCAN``
        of them. It is no lower one at which these have grown together to a few again.
        """
        too_many = np.append(self.per_scan > FALSE_PER_SCAN, True)
        return float(self.levels[np.argmax(too_many) - 1])  # nothing lies above the highest value


@dataclass(frozen=True)
class LesionCounts:
    """Components of N scans with a lesion and M healthy scans.

    The last two levels are the one that was calibrated for lesions and the pixel threshold; they take no part in the
    sweep.
    """

    diseased: ComponentCounts
    healthy: ComponentCounts | None
    calibrated: bool  # whether the level for lesions is known

    @classmethod
    def of(
        cls,
        maps: Scans,
        masks: Scans,
        *,
        threshold: float,
        level: float | None = None,
        missed: Rows | None = None,
        healthy_maps: Scans | None = None,
    ) -> Self:
        """Count maps that ``pixel_metrics`` takes.

        Args:
            maps: (N, *spatial) finite anomaly maps, taken as float32, higher = stranger, on one scale.
            masks: (N, *spatial) true where the lesion is; a scan has a pixel there or a lesion that is missed.
            threshold: a pixel is called anomalous where its map value is greater.
            level: the same for lesions, chosen on val, see ``HealthyComponents``; None where none was.
            missed: (N,) lesions of each scan that no map can point at, because they lie outside the crop; None for
                none.
            healthy_maps: (M, *spatial) anomaly maps of healthy scans, or None.
        """
        if not are_volumes(maps):
            maps = np.asarray(maps, dtype=np.float32)
        calibrated = np.nan if level is None else level
        levels = np.append(sweep_levels(maps).astype(np.float64), [calibrated, threshold])
        diseased = ComponentCounts.of(maps, masks, levels)
        if missed is not None:
            diseased = replace(diseased, lesions=diseased.lesions + missed)
        healthy = None
        if healthy_maps is not None and len(healthy_maps):
            healthy = ComponentCounts.of(healthy_maps, None, levels)
        return cls(diseased, healthy, level is not None)

    def measure(
        self, weights: Weights, healthy_weights: Weights | None = None, thirds: Mapping[str, Rows] | None = None
    ) -> dict[str, Draws]:
        """(R,) values of each metric of ``lesion_metrics`` in R resamples, NaN where a resample tells nothing.

        Args:
            weights: (R, N) how often each scan stands in each resample.
            healthy_weights: (R, M) the same of the healthy scans.
            thirds: rows of the scans of each third by lesion size.
        """
        hits, false = totals(self.diseased.hits, weights), totals(self.diseased.false, weights)
        scans = weights.sum(axis=1, dtype=np.float64)
        oracle = _operating_level(hits, false, scans)
        draws = self._found(slice(None), weights, oracle)
        for name, rows in (thirds or {}).items():
            third = self._found(rows, weights[:, rows], oracle)
            draws |= {f"{metric}_{name}": value for metric, value in third.items()}
        if self.healthy is None or healthy_weights is None:
            return draws
        scans = scans + healthy_weights.sum(axis=1, dtype=np.float64)
        false = false + totals(self.healthy.false, healthy_weights)
        oracle = _operating_level(hits, false, scans)
        lesions = totals(self.diseased.lesions[:, None], weights)[:, 0]
        draws |= {
            "lesion_sensitivity_oracle_all": ratio(_at(hits, oracle), lesions),
            "false_components_all": ratio(false[:, -1], scans),
        }
        return draws | ({"lesion_false_positives_all": ratio(false[:, -2], scans)} if self.calibrated else {})

    def _found(self, rows: Rows | slice, weights: Weights, oracle: NDArray[np.int64]) -> dict[str, Draws]:
        """(R,) values of some of the scans, by their weights (R, n) and the (R,) level of all that the oracle chose."""
        hits, false = totals(self.diseased.hits[rows], weights), totals(self.diseased.false[rows], weights)
        lesions = totals(self.diseased.lesions[rows, None], weights)[:, 0]
        scans = weights.sum(axis=1, dtype=np.float64)
        draws = {
            "lesion_sensitivity_oracle": ratio(_at(hits, oracle), lesions),
            "lesion_recall": ratio(hits[:, -1], lesions),
            "false_components": ratio(false[:, -1], scans),
        }
        if not self.calibrated:
            return draws
        return {
            "lesion_sensitivity": ratio(hits[:, -2], lesions),
            "lesion_false_positives": ratio(false[:, -2], scans),
        } | draws


def lesion_metrics(counts: LesionCounts, thirds: Mapping[str, Rows] | None = None) -> dict[str, float]:
    """Measure how lesions are found, all but the false components in [0, 1].

    ``lesion_recall`` is the share of lesions that are hit at the pixel threshold, pooled over scans, and
    ``false_components`` the false components per scan there: what a user of the calibrated detector gets.

    ``lesion_sensitivity`` is the same share at the level that was chosen on val to leave healthy scans on average at
    most ``FALSE_PER_SCAN`` false components (``HealthyComponents``), and ``lesion_false_positives`` the false
    components per scan that it leaves here. Both are missing where no level was chosen.

    ``lesion_sensitivity_oracle`` is the point of the free-response ROC curve at one false component per scan: the most
    lesions that any threshold hits with on average at most ``FALSE_PER_SCAN`` false components per scan. What is called
    too widely hits nothing and is false (``ComponentCounts``), so a map that floods the brain gains nothing by it. The
    threshold is chosen with the masks of these scans: it says what the maps can do, not what a threshold that was
    fitted elsewhere makes of them.

    With ``thirds``, ``<name>_<third>`` are those of these scans, the oracle's at the threshold that it chose for all.
    With healthy scans, ``lesion_sensitivity_oracle_all``, ``false_components_all`` and ``lesion_false_positives_all``
    count the components of these scans too, each of them one scan more.

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
        groups |= dict.fromkeys(
            ("lesion_sensitivity_oracle_all", "false_components_all", "lesion_false_positives_all"), both
        )
    found = {}
    for name, draws in counts.measure(bootstrap.weights, beside.weights if beside else None, thirds).items():
        told = (count_interval if "false" in name else interval)(draws, groups.get(name, bootstrap.n_groups))
        if told is not None:
            found[name] = told
    return found


def _operating_level(hits: Draws, false: Draws, scans: Draws) -> NDArray[np.int64]:
    """(R,) the level, the highest if several, that hits most lesions while few enough components are false.

    Args:
        hits: (R, L + 2) lesions hit, at the last levels those of calibrated thresholds, which are no candidates.
        false: (R, L + 2) false components.
        scans: (R,) number of scans.
    """
    allowed = false[:, :-2] <= FALSE_PER_SCAN * scans[:, None]
    return np.argmax(np.where(allowed, hits[:, :-2], -1), axis=1)


def _at(values: Draws, level: NDArray[np.int64]) -> Draws:
    return np.take_along_axis(values, level[:, None], axis=1)[:, 0]
