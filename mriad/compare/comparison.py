"""How well each method ranks the test scans, and by how much one is better than another."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass
from itertools import combinations

import numpy as np
import pandas as pd
from numpy.typing import NDArray

from mriad.compare.scans import CommonScans, common_scans
from mriad.metrics.bootstrap import RESAMPLES, GroupBootstrap, auroc, average_precision, interval, value_interval

METRICS = {"auroc": auroc, "average_precision": average_precision}


@dataclass(frozen=True, kw_only=True)
class Comparison:
    """What a comparison found out.

    Args:
        methods: a row per method, best AUROC first: method, seeds, and for ``auroc`` and ``average_precision`` the
            mean over seeds, its standard deviation ``_sd`` (NaN for one seed), and the ends ``_low`` and ``_high`` of
            its 95 % interval.
        runs: a row per run: method, run, auroc, average_precision.
        differences: a row per metric and pair of methods: metric, method, other, difference (method - other), low,
            high, p, p_holm.
        scans: the test scans that all methods share.
    """

    methods: pd.DataFrame
    runs: pd.DataFrame
    differences: pd.DataFrame
    scans: CommonScans


def compare(methods: Mapping[str, Mapping[str, pd.DataFrame]], *, resamples: int = RESAMPLES) -> Comparison:
    """Compare methods on one test set, each trained once or with several seeds.

    All methods are measured on the same resamples of the test groups; in each resample a method's statistic is the
    mean over its seeds. An interval therefore tells what other test scans would have changed, the standard deviation
    what other seeds would. The p-value is two-sided: twice the share of resamples on the far side of no difference,
    each side counted with the sample itself (Davison & Hinkley, Bootstrap Methods and their Application, 1997,
    section 4.4). ``p_holm`` corrects it for the number of pairs (Holm, Scand J Stat 1979), for each metric alone.

    Args:
        methods: name of each method, and under it the scores table of each of its runs by run id, with at least the
            columns path, group, label and score.
        resamples: number of resamples.

    Raises:
        MriadError: if the runs were not tested on the same scans, or these hold one label only.
    """
    scans = common_scans({run: table for runs in methods.values() for run, table in runs.items()})
    bootstrap = GroupBootstrap.draw(groups=scans.table["group"], labels=scans.labels, resamples=resamples)
    whole = np.ones((1, len(scans.table)), dtype=np.uint16)
    n_groups = min(bootstrap.of(scans.labels == label).n_groups for label in (0, 1))

    rows: dict[str, dict[str, object]] = {name: {"method": name, "seeds": len(runs)} for name, runs in methods.items()}
    seeds = pd.DataFrame([{"method": name, "run": run} for name, runs in methods.items() for run in runs])
    draws: dict[str, dict[str, NDArray[np.float64]]] = {metric: {} for metric in METRICS}
    for metric, measure in METRICS.items():
        seeds[metric] = [measure(scans.labels, scans.scores[run], whole)[0] for run in seeds["run"]]
        for name, runs in methods.items():
            values = seeds.loc[seeds["method"] == name, metric]
            resampled = [measure(scans.labels, scans.scores[run], bootstrap.weights) for run in runs]
            draws[metric][name] = np.mean(resampled, axis=0)
            low, high = interval(draws[metric][name], n_groups)
            rows[name] |= {metric: values.mean(), f"{metric}_sd": values.std()}
            rows[name] |= {f"{metric}_low": low, f"{metric}_high": high}

    table = pd.DataFrame(list(rows.values())).sort_values("auroc", ascending=False, kind="stable", ignore_index=True)
    ranked = table.set_index("method")
    differences = [_differences(metric, ranked[metric], draws[metric], n_groups) for metric in METRICS]
    return Comparison(methods=table, runs=seeds, differences=pd.concat(differences, ignore_index=True), scans=scans)


def _differences(
    metric: str, means: pd.Series, draws: Mapping[str, NDArray[np.float64]], n_groups: int
) -> pd.DataFrame:
    """One row per pair of methods, the order of ``means`` kept."""
    columns = ["metric", "method", "other", "difference", "low", "high", "p"]
    rows = []
    for method, other in combinations(means.index, 2):
        # rounded, for the mean of the same seeds in another order may differ in its last bit
        difference = np.round(draws[method] - draws[other], 12)
        difference = difference[~np.isnan(difference)]
        # one group cannot be resampled, and tells nothing of other scans
        low, high = value_interval(difference, n_groups) or (-1.0, 1.0)
        p = _p_value(difference) if n_groups > 1 else 1.0
        rows.append([metric, method, other, means[method] - means[other], low, high, p])
    table = pd.DataFrame(rows, columns=columns)
    return table.assign(p_holm=_holm(table["p"].to_numpy(dtype=float)))


def _p_value(differences: NDArray[np.float64]) -> float:
    tail = min(int((differences <= 0).sum()), int((differences >= 0).sum()))
    return min(1.0, 2 * (tail + 1) / (len(differences) + 1))


def _holm(p: NDArray[np.float64]) -> NDArray[np.float64]:
    order = np.argsort(p)
    adjusted = np.empty_like(p)
    adjusted[order] = np.minimum(np.maximum.accumulate(p[order] * np.arange(len(p), 0, -1)), 1)
    return adjusted
