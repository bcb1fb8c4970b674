"""How far readers agree with each other and with the detector, and what that says of the detector."""

from __future__ import annotations

from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass
from itertools import combinations

import numpy as np
import pandas as pd
from numpy.typing import NDArray
from scipy.stats import binomtest

from mriad.metrics.bootstrap import (
    LEVEL,
    Draws,
    GroupBootstrap,
    Interval,
    count_interval,
    interval,
    ratio,
    totals,
    value_interval,
)
from mriad.review.marks import Reading

DETECTOR = "detector"
COLUMNS = ("reader", "other", "of", "measure", "value", "low", "high", "n")

Readings = Mapping[tuple[str, str], Reading]


@dataclass(frozen=True)
class _Cases:
    """Scans or lesions that were judged, and the patient that each belongs to."""

    groups: list[str]
    bootstrap: GroupBootstrap

    @classmethod
    def of(cls, groups: Sequence[str]) -> _Cases:
        return cls(list(groups), GroupBootstrap.draw(groups=groups, labels=np.zeros(len(groups))))

    @property
    def once(self) -> NDArray[np.uint16]:
        return np.ones((1, len(self.groups)), dtype=np.uint16)


def agreement(readings: Readings) -> pd.DataFrame:
    """A row for each measure, with a 95 % interval by resampling patients, NaN where it has none.

    Of each reader and the detector, by scans: the share on which they agree, Cohen's kappa (Educational and
    Psychological Measurement 20, 1960), sensitivity and specificity of the detector by what the reader says, of those
    scans that the reader takes for anomalous or healthy (``Reading.label``). By lesions, of the scans whose lesions are
    all marked: the share of the detector's lesions that are true (precision), of the true ones and the missed the share
    that it shows (sensitivity), and the false ones per scan. Of each two readers: agreement and kappa, by the scans
    and by the lesions that both have marked.

    Args:
        readings: what counts, by reader and path.
    """
    rows: list[dict[str, object]] = []
    readers = sorted({reader for reader, _ in readings})
    by_reader = {name: {path: found for (who, path), found in readings.items() if who == name} for name in readers}
    for name, read in by_reader.items():
        rows += [{"reader": name, "other": DETECTOR, **row} for row in (*_of_scans(read), *_of_lesions(read))]
    for one, other in combinations(readers, 2):
        rows += [{"reader": one, "other": other, **row} for row in _of_two(by_reader[one], by_reader[other])]
    return pd.DataFrame(rows, columns=list(COLUMNS))


def kappa(one: NDArray[np.int64], other: NDArray[np.int64], weights: NDArray[np.unsignedinteger]) -> Draws:
    """(R,) Cohen's kappa of two raters in resamples; NaN where both say the same of all, for chance does as well.

    Args:
        one, other: (N,) 0 or 1.
        weights: (R, N) how often each case stands in each resample.
    """
    both, first, second, all_ = totals(np.column_stack([one & other, one, other, np.ones_like(one)]), weights).T
    observed = (all_ - first - second + 2 * both) / np.maximum(all_, 1)
    chance = (first * second + (all_ - first) * (all_ - second)) / np.maximum(all_, 1) ** 2
    return ratio(observed - chance, 1 - chance)


def _of_scans(read: Mapping[str, Reading]) -> list[dict[str, object]]:
    told = [(found.last.patient, found.label, found.last.decision) for found in read.values()]
    known = [(patient, label, call) for patient, label, call in told if label is not None and call is not None]
    unsure = sum(found.mark == "unsure" for found in read.values())
    rows: list[dict[str, object]] = [_count("scans", "read", len(known)), _count("scans", "unsure", unsure)]
    if not known:
        return rows
    cases = _Cases.of([patient for patient, _, _ in known])
    label, call = (np.array([row[column] for row in known], dtype=np.int64) for column in (1, 2))
    rows += _pair("scans", label, call, cases)
    for measure, value in (("sensitivity", 1), ("specificity", 0)):
        chosen = label == value
        if chosen.any():
            right = (call == value)[chosen].astype(float)
            some = _Cases.of([patient for patient, is_one in zip(cases.groups, chosen, strict=True) if is_one])
            rows.append(_row("scans", measure, some, np.column_stack([right, np.ones_like(right)]), interval))
    return rows


def _of_lesions(read: Mapping[str, Reading]) -> list[dict[str, object]]:
    whole = [found for found in read.values() if found.is_complete and (found.mark or found.lesions or found.missed)]
    rows: list[dict[str, object]] = [_count("lesions", "scans with all marked", len(whole))]
    if not whole:
        return rows
    true = np.array([sum(mark.mark == "true" for mark in found.lesions.values()) for found in whole], dtype=float)
    false = np.array([len(found.lesions) for found in whole]) - true
    missed = np.array([len(found.missed) for found in whole], dtype=float)
    cases = _Cases.of([found.last.patient for found in whole])
    rows += [
        _count("lesions", name, int(count.sum()))
        for name, count in (("true", true), ("false", false), ("missed", missed))
    ]
    if (true + false).any():
        rows.append(_row("lesions", "precision", cases, np.column_stack([true, true + false]), interval))
    if (true + missed).any():
        rows.append(_row("lesions", "sensitivity", cases, np.column_stack([true, true + missed]), interval))
    per_scan = np.column_stack([false, np.ones_like(false)])
    return [*rows, _row("lesions", "false per scan", cases, per_scan, count_interval)]


def _of_two(one: Mapping[str, Reading], other: Mapping[str, Reading]) -> list[dict[str, object]]:
    scans = [path for path in one if path in other and one[path].label is not None and other[path].label is not None]
    rows: list[dict[str, object]] = [_count("scans", "read by both", len(scans))]
    if scans:
        mine, theirs = (np.array([read[path].label for path in scans], dtype=np.int64) for read in (one, other))
        rows += _pair("scans", mine, theirs, _Cases.of([one[path].last.patient for path in scans]))
    lesions = [
        (one[path].last.patient, ours.mark, others.mark)
        for path in one
        if path in other
        for number, ours in one[path].lesions.items()
        if (others := other[path].lesions.get(number)) and ours.place and others.is_of(ours.place)
    ]
    rows.append(_count("lesions", "marked by both", len(lesions)))
    if lesions:
        first, second = (np.array([row[column] == "true" for row in lesions], dtype=np.int64) for column in (1, 2))
        rows += _pair("lesions", first, second, _Cases.of([patient for patient, _, _ in lesions]))
    return rows


def _pair(of: str, one: NDArray[np.int64], other: NDArray[np.int64], cases: _Cases) -> list[dict[str, object]]:
    same = (one == other).astype(float)
    agreed = _row(of, "agreement", cases, np.column_stack([same, np.ones_like(same)]), interval)
    value = float(kappa(one, other, cases.once)[0])
    low, high = np.nan, np.nan
    groups = cases.bootstrap.n_groups
    if same.all() and not np.isnan(value):  # no resample differs: as certain as so many agreements in a row
        chance = one.mean() ** 2 + (1 - one.mean()) ** 2
        share = float(binomtest(groups, groups).proportion_ci(LEVEL, method="exact").low)
        low, high = float((share - chance) / (1 - chance)), 1.0
    elif not np.isnan(value):
        low, high = value_interval(kappa(one, other, cases.bootstrap.weights), groups) or (np.nan, np.nan)
    return [agreed, {"of": of, "measure": "kappa", "value": value, "low": low, "high": high, "n": len(one)}]


def _row(
    of: str,
    measure: str,
    cases: _Cases,
    part_and_whole: NDArray[np.float64],
    told: Callable[[Draws, int], Interval | None],
) -> dict[str, object]:
    value = float(ratio(*totals(part_and_whole, cases.once).T)[0])
    rests_on = part_and_whole[:, 1] > 0
    groups = len({group for group, counts in zip(cases.groups, rests_on, strict=True) if counts})
    low, high = told(ratio(*totals(part_and_whole, cases.bootstrap.weights).T), groups) or (np.nan, np.nan)
    n = int(part_and_whole[:, 1].sum())
    return {"of": of, "measure": measure, "value": value, "low": low, "high": high, "n": n}


def _count(of: str, measure: str, value: int) -> dict[str, object]:
    return {"of": of, "measure": measure, "value": value, "low": np.nan, "high": np.nan, "n": value}
