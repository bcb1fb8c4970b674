"""What a conformal threshold keeps of its promise that is fitted on n healthy scans of another source.

Each draw is what ``evaluate.py calibrate=healthy calibrate_scans=n calibrate_seed=<draw>`` does, by the same code, on
scores that one evaluation without it has left.
"""

from __future__ import annotations

import numpy as np
import pandas as pd

from mriad.data.roles.draw import draw_healthy
from mriad.thresholds import Conformal
from mriad.thresholds.rules import group_shares

SCANS = (5, 10, 20, 50)
RATE = 0.05
DRAWS = 200


def promised(scans: int) -> float:
    """The rate that is asked for: 5 %, or the smallest that so many scans can promise."""
    return max(RATE, 1 / (scans + 1))


def recalibrated(scores: pd.DataFrame, *, draws: int = DRAWS) -> dict[str, float]:
    """False positive rates of healthy scans, averaged over groups, as the promise is.

    Args:
        scores: the scores table of an evaluation under the threshold that val gave.
        draws: how often the scans are drawn that calibrate.

    Returns:
        ``groups`` of healthy scans; the rate at ``val``'s threshold; for each n of ``SCANS`` the mean rate ``n<n>`` of
        the scans of other groups than those that calibrate, with ``_low`` and ``_high``, the 2.5 and 97.5 percentiles
        over draws. An n that leaves no other group has none.
    """
    healthy = scores[scores["label"] == 0].reset_index(drop=True)
    healthy = healthy.assign(content=healthy["path"])
    groups = int(healthy["group"].nunique())
    found = {"groups": groups, "val": _rate(healthy, healthy["threshold"].iloc[0])}
    for scans in SCANS:
        if scans >= groups:
            continue
        rates = []
        for draw in range(draws):
            drawn = healthy.loc[draw_healthy(healthy, scans, seed=draw)]
            rule = Conformal(alpha=promised(scans)).fit(drawn["score"].to_numpy(), np.zeros(scans, dtype=np.int64))
            rates.append(_rate(healthy[~healthy["group"].isin(drawn["group"])], rule.threshold_))
        low, high = np.percentile(rates, [2.5, 97.5])
        found |= {f"n{scans}": float(np.mean(rates)), f"n{scans}_low": float(low), f"n{scans}_high": float(high)}
    return found


def _rate(scans: pd.DataFrame, threshold: float) -> float:
    called = scans["score"].to_numpy(dtype=np.float64) > threshold
    return float(group_shares(scans["group"].to_numpy()) @ called)
