"""Tables as a page shows them: plain texts in rows, cut where they grow too long."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass, replace
from numbers import Real

import pandas as pd

from mriad.data.roles import ROLES
from mriad.metrics.sizes import SizeThird
from mriad.report.names import BY_SIZE, LABELS
from mriad.report.result import Result, class_names
from mriad.report.statement import between

MAX_ROWS = 30
_ARROWS = {"+": "↑", "-": "↓"}


@dataclass(frozen=True, kw_only=True)
class Table:
    """A table of texts.

    Args:
        columns: heads.
        rows: cells.
        numeric: whether each column holds numbers.
        left_out: number of rows that were cut off.
    """

    columns: list[str]
    rows: list[list[str]]
    numeric: list[bool]
    left_out: int = 0


@dataclass(frozen=True, kw_only=True)
class Measured:
    """A number in [0, 1] with its 95 % interval, or None where it has none."""

    name: str
    value: float
    interval: tuple[float, float] | None
    ours: bool = False
    note: str = ""


def metric_rows(result: Result, names: Sequence[tuple[str, str]]) -> list[Measured]:
    """Those metrics that the test has."""
    return [
        Measured(name=label, value=result.metrics[name], interval=result.intervals.get(name))
        for name, label in names
        if name in result.metrics
    ]


def feature_rows(features: pd.DataFrame) -> list[Measured]:
    """AUROC of each trivial feature of an audit."""
    return [
        Measured(
            name=f"{row.feature}, {row.stage}".replace("_", " "),
            value=float(row.auroc),
            interval=(float(row.low), float(row.high)),
            note=_ARROWS.get(row.sign, ""),
        )
        for row in features.itertuples(index=False)
    ]


def class_table(result: Result) -> Table:
    """Each class of anomaly: its scans, and its metrics with intervals."""
    return _with_intervals(result, class_names(result.by_class), result.by_class, "class")


def size_table(result: Result) -> Table:
    """Metrics with intervals of the scans with small, medium and large lesions, a column each; no rows without them."""
    thirds = result.thirds
    counts = [
        ["scans", *(f"{len(third.rows):,}" for third in thirds)],
        [_size_head(thirds), *(" to ".join(third.span) for third in thirds)],
    ]
    numbers = [
        [label, *(_measured(result, f"{name}_{third.name}") for third in thirds)]
        for name, label in BY_SIZE
        if any(f"{name}_{third.name}" in result.metrics for third in thirds)
    ]
    return Table(
        columns=["lesions", *(third.name for third in thirds)],
        rows=counts + numbers if thirds else [],
        numeric=[False] + [True] * len(thirds),
    )


def label_table(result: Result) -> Table:
    """Precision, recall, F1 and support of healthy and anomalous, with intervals."""
    numbers = {str(label): {str(k): float(v) for k, v in row.items()} for label, row in result.report.iterrows()}
    return _with_intervals(result, {label: label for label in numbers}, numbers, "label")


def split_table(split: pd.DataFrame) -> Table:
    """Scans and groups of each role, and its scans by class.

    Args:
        split: a row per scan: path, role, group, label, class.
    """
    by_role = split.groupby("role")
    classes = split.pivot_table(index="role", columns="class", values="path", aggfunc="count", fill_value=0)
    healthy_first = sorted(classes.columns, key=lambda name: (name != "healthy", name))
    counts = pd.DataFrame({"scans": by_role.size(), "groups": by_role["group"].nunique()}).join(classes[healthy_first])
    roles = [role for role in ROLES if role in counts.index] + [r for r in counts.index if r not in ROLES]
    return plain_table(counts.loc[roles].rename_axis("role").reset_index())


def duplicate_table(duplicates: pd.DataFrame) -> Table:
    """How many scans of each role have a near-duplicate in each role.

    Args:
        duplicates: a row per role, label and other role: role, label, within, scans, duplicated, share in [0, 1].
    """
    counts = [f"{row.duplicated:,} ({100 * row.share:.0f} %)" for row in duplicates.itertuples(index=False)]
    wide = duplicates.assign(count=counts).pivot_table(
        index=["role", "label", "scans"], columns="within", values="count", aggfunc="first", sort=False
    )
    table = plain_table(wide.add_prefix("also in ").reset_index())
    return replace(table, numeric=[False, False] + [True] * (len(table.columns) - 2))


def plain_table(frame: pd.DataFrame) -> Table:
    """Any table as texts, without its index."""
    numeric = [pd.api.types.is_numeric_dtype(dtype) and not pd.api.types.is_bool_dtype(dtype) for dtype in frame.dtypes]
    return Table(
        columns=[str(column) for column in frame.columns],
        rows=[[_text(cell) for cell in row] for row in frame.head(MAX_ROWS).itertuples(index=False)],
        numeric=numeric,
        left_out=max(0, len(frame) - MAX_ROWS),
    )


def _with_intervals(
    result: Result, prefixes: Mapping[str, str], numbers: Mapping[str, Mapping[str, float]], head: str
) -> Table:
    names = sorted({name for row in numbers.values() for name in row}, key=_place)
    rows = []
    for label, row in numbers.items():
        cells = [_text(row.get(name)) if name != "support" else f"{row[name]:,.0f}" for name in names]
        bounds = [result.intervals.get(f"{prefixes[label]}/{name}") for name in names]
        rows.append([label, *(f"{c}{between(b)}" for c, b in zip(cells, bounds, strict=True))])
    return Table(
        columns=[head, *(LABELS.get(name, name) for name in names)], rows=rows, numeric=[False] + [True] * len(names)
    )


def _size_head(thirds: Sequence[SizeThird]) -> str:
    unit = thirds[0].unit if thirds else "pixels"
    return f"lesion {'area' if unit == 'pixels' else 'volume'}, {unit}"


def _measured(result: Result, name: str) -> str:
    return f"{_text(result.metrics.get(name))}{between(result.intervals.get(name))}"


def _place(name: str) -> tuple[int, str]:
    order = ("support", *LABELS)
    return (order.index(name) if name in order else len(order), name)


def _text(cell: object) -> str:
    if isinstance(cell, bool):
        return "yes" if cell else "no"
    if isinstance(cell, Real):
        number = float(cell)
        if number != number:
            return "-"
        return f"{int(number):,}" if number == int(number) and not isinstance(cell, float) else f"{number:.3f}"
    return "-" if cell is None else str(cell)
