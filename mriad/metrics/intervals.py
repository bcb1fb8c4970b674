"""95 % intervals of what is measured on scores tables: how far a number would move on another test set like this one.

The resamples keep how many groups are with and without an anomaly, so an interval says nothing of another mix.
``bootstrap.interval`` says what is done where all resamples agree.
"""

from __future__ import annotations

from collections.abc import Mapping

import numpy as np
import pandas as pd
from numpy.typing import NDArray

from mriad.metrics.bootstrap import Draws, GroupBootstrap, Interval, auroc, average_precision, interval, ratio, totals


def image_intervals(table: pd.DataFrame, bootstrap: GroupBootstrap) -> dict[str, Interval]:
    """Give each metric of ``image_metrics`` its interval.

    The no-information rate and the p-value have none: the one is the mix of the test set, which was chosen, the
    other a probability itself.

    Args:
        table: N rows with finite ``score``, ``label`` and ``decision``.
        bootstrap: resamples of these rows.
    """
    label = table["label"].to_numpy(dtype=np.int64)
    healthy, anomalous = (_groups(bootstrap, label == value) for value in (0, 1))
    decided = _Decided(table, bootstrap)
    found = {}
    if healthy or anomalous:
        found["accuracy"] = interval(decided.accuracy, bootstrap.n_groups)
    if anomalous:
        found["recall"] = interval(decided.recall("anomalous"), anomalous)
    if healthy:
        found["specificity"] = interval(decided.recall("healthy"), healthy)
        found["false_positive_rate"] = interval(1 - decided.recall("healthy"), healthy)
    if healthy and anomalous:
        both = min(healthy, anomalous)
        balanced = (decided.recall("healthy") + decided.recall("anomalous")) / 2
        found |= _ranking(table, bootstrap, both) | {
            "balanced_accuracy": interval(balanced, both),
            "precision": interval(decided.precision("anomalous"), both),
            "f1": interval(decided.f1("anomalous"), both),
        }
    return found


def intervals_by_class(table: pd.DataFrame, bootstrap: GroupBootstrap) -> dict[str, dict[str, Interval]]:
    """Give each metric of ``metrics_by_class`` its interval, but for the support.

    A class stands in a resample as often as its groups were drawn; where none was, the resample is left out.

    Args:
        table: N rows with finite ``score``, ``label``, ``class`` and ``decision``.
        bootstrap: resamples of these rows.
    """
    label, kind = table["label"].to_numpy(), table["class"].astype(str).to_numpy()
    healthy = _groups(bootstrap, label == 0)
    by_class = {}
    for name in np.unique(kind[label == 1]):
        members = (label == 1) & (kind == name)
        groups = _groups(bootstrap, members)
        recall = _Decided(table[members], bootstrap.of(members)).recall("anomalous")
        found = {"recall": interval(recall, groups)}
        if healthy:
            rows = members | (label == 0)
            found |= _ranking(table[rows], bootstrap.of(rows), min(groups, healthy))
        by_class[str(name)] = found
    return by_class


def report_intervals(table: pd.DataFrame, bootstrap: GroupBootstrap) -> dict[str, dict[str, Interval]]:
    """Give precision, recall and F1 of ``class_report`` their intervals, for the labels that the table holds.

    Args:
        table: N rows with ``label`` and ``decision``.
        bootstrap: resamples of these rows.
    """
    label = table["label"].to_numpy()
    groups = {name: _groups(bootstrap, label == value) for name, value in (("healthy", 0), ("anomalous", 1))}
    decided = _Decided(table, bootstrap)
    report = {}
    for name, count in groups.items():
        if count:
            report[name] = {"recall": interval(decided.recall(name), count)}
        if all(groups.values()):
            both = min(groups.values())
            report[name]["precision"] = interval(decided.precision(name), both)
            report[name]["f1"] = interval(decided.f1(name), both)
    return report


class _Decided:
    """Right and wrong decisions of each resample; a method measures one label with itself as the positive class."""

    def __init__(self, table: pd.DataFrame, bootstrap: GroupBootstrap) -> None:
        label, decision = (table[column].to_numpy(dtype=np.int64) for column in ("label", "decision"))
        cells = np.column_stack([(label == true) & (decision == called) for true in (0, 1) for called in (0, 1)])
        self._tn, self._fp, self._fn, self._tp = totals(cells, bootstrap.weights).T
        self._right: Mapping[str, Draws] = {"healthy": self._tn, "anomalous": self._tp}
        self._there: Mapping[str, Draws] = {"healthy": self._tn + self._fp, "anomalous": self._tp + self._fn}
        self._called: Mapping[str, Draws] = {"healthy": self._tn + self._fn, "anomalous": self._tp + self._fp}

    @property
    def accuracy(self) -> Draws:
        return ratio(self._tn + self._tp, self._tn + self._fp + self._fn + self._tp)

    def recall(self, name: str) -> Draws:
        return ratio(self._right[name], self._there[name])

    def precision(self, name: str) -> Draws:
        return self._right[name] / np.maximum(self._called[name], 1)  # 0 where nothing is called so

    def f1(self, name: str) -> Draws:
        return ratio(2 * self._right[name], self._called[name] + self._there[name])


def _ranking(table: pd.DataFrame, bootstrap: GroupBootstrap, groups: int) -> dict[str, Interval]:
    label, score = table["label"].to_numpy(), table["score"].to_numpy(dtype=np.float64)
    return {
        "auroc": interval(auroc(label, score, bootstrap.weights), groups),
        "average_precision": interval(average_precision(label, score, bootstrap.weights), groups),
    }


def _groups(bootstrap: GroupBootstrap, rows: NDArray[np.bool_]) -> int:
    return len(np.unique(bootstrap.group[rows]))
