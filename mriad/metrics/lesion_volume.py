"""How well the total volume of a scan's lesions is measured: agreement, not correlation.

Bland & Altman, Statistical methods for assessing agreement between two methods of clinical measurement, Lancet 1986;
Lin, A concordance correlation coefficient to evaluate reproducibility, Biometrics 1989.
"""

from __future__ import annotations

import numpy as np
from numpy.typing import ArrayLike, NDArray

from mriad.metrics.bootstrap import Draws, GroupBootstrap, Interval, Weights, ratio, totals, value_interval

LIMIT = 1.96  # standard deviations of the differences


def lesion_volume_metrics(true_ml: ArrayLike, called_ml: ArrayLike) -> dict[str, float]:
    """Hold the volume that a map calls lesion against the true one.

    ``lesion_volume_bias`` is the mean difference called - true in ml; ``lesion_volume_loa_lower`` and
    ``lesion_volume_loa_upper`` are the 95 % limits of agreement in ml, the bias and 1.96 standard deviations of the
    differences to both sides: between them lie 95 % of such differences if these are normal. ``lesion_volume_ccc``
    is Lin's concordance correlation coefficient in [-1, 1], 1 where all volumes are right. A single scan has the bias
    alone, and no coefficient is told where all volumes are one.

    Args:
        true_ml: (N,) volume of all lesions of each scan that has any.
        called_ml: (N,) volume of what its map calls lesion, see ``mriad.metrics.pixel.called_pixels``.

    Returns:
        metric by name; empty where N is 0.
    """
    true, called = _columns(true_ml, called_ml)
    if not len(true):
        return {}
    measured = _measure(true, called, np.ones((1, len(true)), dtype=np.uint16))
    return {name: float(draws[0]) for name, draws in measured.items() if not np.isnan(draws[0])}


def lesion_volume_intervals(
    true_ml: ArrayLike, called_ml: ArrayLike, *, bootstrap: GroupBootstrap
) -> dict[str, Interval]:
    """Give each metric of ``lesion_volume_metrics`` its 95 % interval; volumes of a single group have none.

    Args:
        true_ml: (N,) true volumes.
        called_ml: (N,) called ones.
        bootstrap: resamples of these N scans.
    """
    true, called = _columns(true_ml, called_ml)
    told = lesion_volume_metrics(true, called)
    draws = _measure(true, called, bootstrap.weights)
    bounds = {name: value_interval(draws[name], bootstrap.n_groups) for name in told}
    return {name: bound for name, bound in bounds.items() if bound is not None}


def _measure(true: NDArray[np.float64], called: NDArray[np.float64], weights: Weights) -> dict[str, Draws]:
    x, y = true - true.mean(), called - called.mean()  # small numbers have exact squares
    columns = np.column_stack([np.ones(len(x)), x, y, x * x, y * y, x * y])
    scans, *sums = totals(columns, weights).T
    mean_x, mean_y, xx, yy, xy = (ratio(part, scans) for part in sums)
    # Lin's moments, divided by the number of scans
    variance_x, variance_y, covariance = xx - mean_x**2, yy - mean_y**2, xy - mean_x * mean_y
    bias = called.mean() - true.mean() + mean_y - mean_x
    spread = np.maximum(variance_x + variance_y - 2 * covariance, 0)
    deviation = np.sqrt(ratio(scans * spread, scans - 1))
    return {
        "lesion_volume_bias": bias,
        "lesion_volume_loa_lower": bias - LIMIT * deviation,
        "lesion_volume_loa_upper": bias + LIMIT * deviation,
        "lesion_volume_ccc": ratio(2 * covariance, variance_x + variance_y + bias**2),
    }


def _columns(true_ml: ArrayLike, called_ml: ArrayLike) -> tuple[NDArray[np.float64], NDArray[np.float64]]:
    return np.asarray(true_ml, dtype=np.float64), np.asarray(called_ml, dtype=np.float64)
