"""Resamples of a test set that draw whole groups, and what can be measured on all of them at once.

Scans of one patient, or near duplicates, are not independent: an interval that resamples scans is too narrow. Whole
groups are drawn with replacement instead, the cluster bootstrap (Davison & Hinkley, Bootstrap Methods and their
Application, 1997, section 3.8; Field & Welsh, Bootstrapping clustered data, JRSS B 2007). A resample is never built:
it is a row of weights, how often each scan stands in it, and a metric of all resamples is arithmetic on these rows.
"""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass
from math import log
from typing import Self

import numpy as np
from numpy.typing import ArrayLike, NDArray
from scipy.stats import binomtest

LEVEL = 0.95
RESAMPLES = 2000
CHUNK = 2**22  # weights taken up at once: 32 MB as float64

Weights = NDArray[np.unsignedinteger]
Draws = NDArray[np.float64]
Interval = tuple[float, float]


@dataclass(frozen=True, kw_only=True)
class GroupBootstrap:
    """How often each of N scans stands in each of R resamples.

    Args:
        weights: (R, N) small counts.
        group: (N,) number of the group of each scan.
    """

    weights: Weights
    group: NDArray[np.int64]

    @classmethod
    def draw(cls, *, groups: ArrayLike, labels: ArrayLike, resamples: int = RESAMPLES, seed: int = 0) -> Self:
        """Draw whole groups with replacement, as many as there are.

        Groups with an anomalous scan and groups without one are drawn apart: how many of each stand in a test set was
        chosen, not sampled, and so no resample is without anomalous scans, nor without healthy ones where a group
        holds nothing else. The same groups and labels give the same resamples, whatever the order of the scans.

        Args:
            groups: (N,) name of the group of each scan.
            labels: (N,) 0 healthy, 1 anomalous.
            resamples: their number R.
            seed: of the random numbers.
        """
        names, group = np.unique(np.asarray(groups).astype(str), return_inverse=True)
        diseased = np.bincount(group, weights=np.asarray(labels), minlength=len(names)) > 0
        rng = np.random.default_rng(seed)
        counts = np.zeros((resamples, len(names)), dtype=np.uint16)
        for stratum in (np.flatnonzero(~diseased), np.flatnonzero(diseased)):
            size = len(stratum)
            for row in range(resamples if size else 0):
                counts[row, stratum] = np.bincount(rng.integers(size, size=size), minlength=size)
        return cls(weights=counts[:, group], group=group.astype(np.int64))

    def of(self, rows: ArrayLike) -> GroupBootstrap:
        """The same resamples, seen on some of the scans: ``rows`` is a mask or an index."""
        chosen = np.asarray(rows)
        return GroupBootstrap(weights=self.weights[:, chosen], group=self.group[chosen])

    @property
    def n_groups(self) -> int:
        """Number of groups."""
        return len(np.unique(self.group))


def auroc(labels: ArrayLike, scores: ArrayLike, weights: Weights) -> Draws:
    """Area under the ROC curve of each resample, the Mann-Whitney statistic with ties halved.

    Args:
        labels: (N,) 0 healthy, 1 anomalous.
        scores: (N,) finite, higher = stranger.
        weights: (R, N) how often each scan stands in each resample.

    Returns:
        (R,) in [0, 1], as scikit-learn gives it; NaN where a resample lacks a label.
    """
    healthy, anomalous = _ascending(labels, scores)
    below = np.searchsorted(healthy.scores, anomalous.scores, side="left")
    reached = np.searchsorted(healthy.scores, anomalous.scores, side="right")

    def area(some: Draws) -> Draws:
        beaten, positive = _before(some[:, healthy.rows]), some[:, anomalous.rows]
        # summed twice over whole numbers, which floats hold exactly
        pairs = np.einsum("rn,rn->r", positive, beaten[:, below] + beaten[:, reached])
        return ratio(pairs, 2 * beaten[:, -1] * positive.sum(axis=1))

    return _chunked(area, weights)


def average_precision(labels: ArrayLike, scores: ArrayLike, weights: Weights) -> Draws:
    """Average precision of each resample: precision at each distinct score, weighted by the recall gained there.

    Args:
        labels: (N,) 0 healthy, 1 anomalous.
        scores: (N,) finite, higher = stranger.
        weights: (R, N) how often each scan stands in each resample.

    Returns:
        (R,) in [0, 1], as scikit-learn gives it; NaN where a resample has no anomalous scan.
    """
    healthy, anomalous = _ascending(labels, scores)
    missed = np.searchsorted(anomalous.scores, anomalous.scores, side="left")
    passed = np.searchsorted(healthy.scores, anomalous.scores, side="left")

    def area(some: Draws) -> Draws:
        positive = some[:, anomalous.rows]
        found, alarms = _before(positive), _before(some[:, healthy.rows])
        hits = found[:, -1:] - found[:, missed]
        precision = hits / np.maximum(hits + alarms[:, -1:] - alarms[:, passed], 1)
        return ratio(np.einsum("rn,rn->r", positive, precision), found[:, -1])

    return _chunked(area, weights)


def totals(values: ArrayLike, weights: Weights) -> Draws:
    """Sums over the scans of each resample, from which rates and means are made.

    Args:
        values: (N, K) numbers, or marks, of each scan.
        weights: (R, N) how often each scan stands in each resample.

    Returns:
        (R, K).
    """
    columns = np.asarray(values, dtype=np.float64)
    return _chunked(lambda some: some @ columns, weights)


def ratio(part: Draws, whole: Draws) -> Draws:
    """(R,) quotients; NaN where a resample holds nothing of the whole."""
    return np.divide(part, whole, out=np.full(whole.shape, np.nan), where=whole > 0)


def interval(draws: Draws, n_groups: int) -> Interval:
    """95 % percentile interval of a metric in [0, 1].

    Resamples that cannot tell the metric (NaN) are left out. A metric that is 0 in every resample, or 1, has a
    percentile interval without width, as if it were certain. It then gets the exact bound of Clopper & Pearson 1934
    for a share that is 0 or 1 in ``n_groups`` independent trials. A metric that rests on one group has (0, 1):
    there is nothing to resample.

    Args:
        draws: (R,) the metric of each resample.
        n_groups: the number of groups that the metric rests on; for a metric of healthy and anomalous scans the
            smaller of both numbers, because so many pairs of groups are independent.
    """
    bounds = value_interval(draws, n_groups)
    if bounds is None:
        return 0.0, 1.0
    for share in (0, 1):
        if np.nanmax(np.abs(draws - share)) < 1e-9:  # but for rounding
            exact = binomtest(share * n_groups, n_groups).proportion_ci(LEVEL, method="exact")
            return float(exact.low), float(exact.high)
    return bounds


def count_interval(draws: Draws, n_groups: int) -> Interval | None:
    """95 % percentile interval of a mean count, which may be above 1.

    A count that is 0 in every resample gets the exact bound for a Poisson mean with no event in ``n_groups`` trials
    (Garwood, Biometrika 1936).

    Args:
        draws: (R,) the mean of each resample, NaN where it has none.
        n_groups: the number of groups that it rests on.

    Returns:
        None where there is nothing to resample: a count has no greatest value.
    """
    bounds = value_interval(draws, n_groups)
    if bounds is None or np.nanmax(draws) > 0:
        return bounds
    return 0.0, -log((1 - LEVEL) / 2) / n_groups


def value_interval(draws: Draws, n_groups: int) -> Interval | None:
    """95 % percentile interval of a number that may take any value.

    Args:
        draws: (R,) the number in each resample, NaN where it has none.
        n_groups: the number of groups that it rests on.

    Returns:
        None where there is nothing to resample.
    """
    told = draws[~np.isnan(draws)]
    if n_groups < 2 or told.size == 0:
        return None
    low, high = np.quantile(told, [(1 - LEVEL) / 2, (1 + LEVEL) / 2])
    return float(low), float(high)


@dataclass(frozen=True)
class _Sorted:
    """Scans of one label by rising score."""

    rows: NDArray[np.int64]
    scores: Draws


def _ascending(labels: ArrayLike, scores: ArrayLike) -> tuple[_Sorted, _Sorted]:
    label, score = np.asarray(labels), np.asarray(scores, dtype=np.float64)
    order = np.argsort(score, kind="stable")
    parts = (order[label[order] == value] for value in (0, 1))
    healthy, anomalous = (_Sorted(rows, score[rows]) for rows in parts)
    return healthy, anomalous


def _before(weights: Draws) -> Draws:
    """(R, N + 1) weight of the first 0, 1 ... N scans."""
    return np.pad(weights.cumsum(axis=1), ((0, 0), (1, 0)))


def _chunked(measure: Callable[[Draws], Draws], weights: Weights) -> Draws:
    step = max(1, CHUNK // max(1, weights.shape[1]))
    chunks = range(0, len(weights), step)
    return np.concatenate([measure(weights[start : start + step].astype(np.float64)) for start in chunks])
