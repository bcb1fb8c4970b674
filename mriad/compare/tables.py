"""The comparison as a person reads it: in a terminal, or as GitHub markdown."""

from __future__ import annotations

import pandas as pd
from rich import box
from rich.console import Console
from rich.markup import escape
from rich.table import Table

# by what matters most: a narrow terminal shows the first ones
LABELS = {
    "auroc": "AUROC",
    "average_precision": "AP",
    "balanced_accuracy": "Balanced acc.",
    "pixel_ap": "Pixel AP",
    "dice": "Dice",
}
_LEAST_P = 0.001
_NAME_WIDTH, _SEEDS_WIDTH, _METRIC_WIDTH = 18, 7, 15  # characters with padding


def print_comparison(methods: pd.DataFrame, differences: pd.DataFrame, console: Console) -> None:
    """Print the table of methods and, where there are two or more, that of their differences.

    Args:
        methods: a row per method: method, seeds, and metrics with ``_sd`` and, where known, ``_low`` and ``_high``.
        differences: as ``Comparison.differences``.
        console: where to print; one narrower than 100 characters gets fewer metrics.
    """
    console.print(_methods(methods, width=console.width))
    if len(differences):
        console.print(_differences(differences))


def as_markdown(methods: pd.DataFrame) -> str:
    """The table of methods as GitHub markdown, with the columns of ``print_comparison``."""
    shown = _shown(methods)
    lines = [["Method", "Seeds", *(LABELS[name] for name in shown)], ["---", *["--:"] * (len(shown) + 1)]]
    for _, row in methods.iterrows():
        cells = [f"{_mean(row, name)} ({_interval(row, name)})".removesuffix(" ()") for name in shown]
        lines.append([row["method"].replace("|", "\\|"), str(row["seeds"]), *cells])
    return "\n".join(f"| {' | '.join(line)} |" for line in lines)


def _methods(methods: pd.DataFrame, *, width: int) -> Table:
    table = _table()
    table.add_column("Method", overflow="fold")
    table.add_column("Seeds", justify="right")
    shown = _shown(methods)[: max(2, (width - _NAME_WIDTH - _SEEDS_WIDTH) // _METRIC_WIDTH)]
    for name in shown:
        table.add_column(LABELS[name], no_wrap=True)
    for _, row in methods.iterrows():
        cells = [f"{_mean(row, name)}\n[dim]{_interval(row, name)}[/dim]" for name in shown]
        table.add_row(escape(row["method"]), str(row["seeds"]), *cells)
    return table


def _differences(differences: pd.DataFrame) -> Table:
    pairs = differences.groupby(["method", "other"], sort=False)
    table = _table()
    table.add_column("Difference", overflow="fold")
    table.add_column("", no_wrap=True)
    for column in ("", "95 % interval", "p", *(["p, Holm"] if len(pairs) > 1 else [])):
        table.add_column(column, justify="right", no_wrap=True)
    for (method, other), rows in pairs:
        lines = [[LABELS[row["metric"]], *_difference(row)] for _, row in rows.iterrows()]
        cells = ["\n".join(cell) for cell in zip(*lines, strict=True)]
        table.add_row(f"{escape(method)} [dim]minus[/dim]\n{escape(other)}", *cells[: len(table.columns) - 1])
    return table


def _difference(row: pd.Series) -> list[str]:
    interval = f"{_signed(row['low'])} to {_signed(row['high'])}"
    return [_signed(row["difference"]), interval, _p(row["p"]), _p(row["p_holm"])]


def _table() -> Table:
    return Table(box=box.SIMPLE_HEAD, padding=(0, 1, 0, 0), pad_edge=False)


def _shown(methods: pd.DataFrame) -> list[str]:
    return [name for name in LABELS if name in methods and methods[name].notna().any()]


def _mean(row: pd.Series, name: str) -> str:
    if pd.isna(row[name]):
        return "-"
    spread = row.get(f"{name}_sd")
    return f"{row[name]:.3f}" if pd.isna(spread) else f"{row[name]:.3f} ± {spread:.3f}"


def _interval(row: pd.Series, name: str) -> str:
    low, high = row.get(f"{name}_low"), row.get(f"{name}_high")
    return "" if pd.isna(low) or pd.isna(high) else f"{low:.3f}\N{EN DASH}{high:.3f}"


def _signed(value: float) -> str:
    return f"{value:+.3f}".replace("-", "\N{MINUS SIGN}") if round(value, 3) else "0.000"


def _p(value: float) -> str:
    return f"< {_LEAST_P}" if value < _LEAST_P else f"{value:.3f}"
