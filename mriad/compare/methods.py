"""Runs that differ by their seed alone, pooled into one method."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass

import pandas as pd

from mriad.compare.comparison import METRICS
from mriad.compare.options import differing, not_in_names, short_names
from mriad.compare.runs import ScoredRun

_BOUNDS = ("_low", "_high")


@dataclass(frozen=True, kw_only=True)
class Method:
    """A way to train and test, and the runs that did so.

    Args:
        name: tells it from the other methods of the comparison.
        runs: one per seed.
    """

    name: str
    runs: tuple[ScoredRun, ...]

    @property
    def options(self) -> dict[str, str]:
        """What all its runs share."""
        return self.runs[0].options


def pool(runs: Sequence[ScoredRun]) -> tuple[list[Method], list[str]]:
    """Pool runs into methods, in the order in which they are first named.

    Of runs with the same seed and the same options the latest counts.

    Returns:
        The methods, and notes for the reader.
    """
    found: dict[frozenset[tuple[str, str]], dict[str, ScoredRun]] = {}
    notes = []
    for run in runs:
        seeds = found.setdefault(frozenset(run.options.items()), {})
        if (twin := seeds.get(run.seed)) is not None:
            old, run = sorted((twin, run), key=lambda r: r.started)
            notes.append(
                f"Runs {old.run_id} and {run.run_id} have the same options and the same seed {run.seed}; "
                f"only the later, {run.run_id}, counts."
            )
        seeds[run.seed] = run
    members = [tuple(seeds.values()) for seeds in found.values()]
    options = [seeds[0].options for seeds in members]
    if also := not_in_names(options):
        notes.append(f"The methods also differ in {', '.join(also)}; methods.csv tells how.")
    methods = [Method(name=name, runs=seeds) for name, seeds in zip(short_names(options), members, strict=True)]
    against: dict[str, list[str]] = {}
    for method in methods:
        for note in dict.fromkeys(note for run in method.runs for note in run.notes):
            against.setdefault(note, []).append(method.name)
    return methods, notes + [f"{', '.join(names)}: {note}." for note, names in against.items()]


def identity(methods: Sequence[Method]) -> pd.DataFrame:
    """Who each method is: method, runs (ids), and a column for each option in which the methods differ."""
    names = differing([method.options for method in methods])
    rows = [
        [method.name, " ".join(run.run_id for run in method.runs), *(method.options.get(name) for name in names)]
        for method in methods
    ]
    return pd.DataFrame(rows, columns=["method", "runs", *names])


def logged_metrics(methods: Sequence[Method]) -> pd.DataFrame:
    """What the tests of each method found: method, and each logged test metric with ``_sd`` beside it.

    A metric is the mean over seeds, ``_sd`` the standard deviation (empty for one seed); a metric that not every seed
    has is left empty. Where the runs logged an interval, ``_low`` and ``_high`` are the means of its ends, a little
    wider than an interval of the mean over seeds would be. AUROC and average precision are left to the comparison.
    """
    names = sorted({name for method in methods for run in method.runs for name in run.metrics}, key=_by_class_last)
    names = [name for name in names if _base(name) not in METRICS]
    rows = []
    for method in methods:
        row: dict[str, object] = {"method": method.name}
        for name in names:
            values = pd.Series([run.metrics.get(name) for run in method.runs], dtype=float)
            row[name] = values.mean(skipna=False)
            if _base(name) == name:
                row[f"{name}_sd"] = values.std(skipna=False)
        rows.append(row)
    return pd.DataFrame(rows)


def _by_class_last(name: str) -> tuple[bool, str]:
    return "/" in name, name


def _base(name: str) -> str:
    """The metric that a bound belongs to; the metric itself for a metric."""
    for bound in _BOUNDS:
        if name.endswith(bound):
            return name.removesuffix(bound)
    return name
