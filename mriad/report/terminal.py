"""The result as a person reads it in a terminal."""

from __future__ import annotations

from collections.abc import Sequence
from typing import Literal

from rich import box
from rich.console import Console
from rich.markup import escape
from rich.measure import Measurement
from rich.table import Table

from mriad.report.names import IMAGE, LESION, PIXEL, VOLUME, p_value
from mriad.report.promises import drift_statement, false_positive_sentence, promise_sentence
from mriad.report.result import Result
from mriad.report.statement import between
from mriad.report.verdict import false_component_sentence
from mriad.terminal import say
from mriad.thresholds import Fixed

_GAP = 3  # columns between two tables


def print_result(result: Result, *, places: Sequence[tuple[str, str]], console: Console | None = None) -> None:
    """Print metrics with their 95 % intervals, confusion matrix and classes.

    Args:
        result: a measured test.
        places: what can be looked at and where, a line each.
        console: where to print; standard output if None.
    """
    console = console or Console()
    table = result.table
    healthy, anomalous = int((table["label"] == 0).sum()), int((table["label"] == 1).sum())
    calibration = result.calibration
    fitted = f", fitted on {calibration.fitted_on}" if calibration.rule != Fixed.name else ""
    scans = "scan" if len(table) == 1 else "scans"
    console.print()
    console.print(
        f"[bold]{escape(result.data)}[/bold]: {len(table)} test {scans}, {healthy} healthy and {anomalous} anomalous. "
        f"Threshold {calibration.threshold:.5g} ({calibration.rule}{escape(fitted)})."
    )
    if result.published:
        console.print(
            "[bold red]Published protocol, flawed on purpose:[/bold red] test scans, or copies of them, "
            "took part in training or calibration. Do not believe these numbers; no interval could make them honest."
        )
    pixels = _numbers("Pixels", PIXEL + LESION, result) if "lesion_recall" in result.metrics else None
    _side_by_side(console, _numbers("Scans", IMAGE, result), pixels)
    _side_by_side(console, _confusion(result), _classes(result))
    if any(name in result.metrics for name, _ in VOLUME):
        console.print(_numbers("Slices, and lesions in ml", VOLUME, result))
    if result.thirds:
        console.print(_sizes(result))
    if "accuracy_p_value" in result.metrics:
        told = p_value(result.metrics["accuracy_p_value"])
        console.print(f"Accuracy above the no-information rate: {told} (one-sided binomial).", highlight=False)
    if rates := false_positive_sentence(result):
        console.print(rates, highlight=False)
    if promise := promise_sentence(result.calibration):
        console.print(promise, highlight=False)
    if (drift := drift_statement(result)) is not None:
        console.print(
            f"[bold red]Warning:[/bold red] {escape(drift.text)}" if drift.tone == "bad" else escape(drift.text),
            highlight=False,
        )
    if components := false_component_sentence(result):
        console.print(components, highlight=False)
    if left_out := result.mask_counts.sentence():
        console.print(left_out, highlight=False)
    for what, where in places:
        say(console, what, where)


def _side_by_side(console: Console, left: Table, right: Table | None) -> None:
    """Print two tables beside each other, or one below the other where the terminal is too narrow."""
    tables = [left] if right is None else [left, right]
    unbounded = console.options.update(max_width=1000)
    needed = sum(Measurement.get(console, unbounded, table).maximum + _GAP for table in tables) - _GAP
    if needed <= console.width:
        grid = Table.grid(padding=(0, _GAP))
        grid.add_row(*tables)
        console.print(grid)
    else:
        console.print(*tables)


def _numbers(title: str, names: Sequence[tuple[str, str]], result: Result) -> Table:
    table = Table(box=box.SIMPLE_HEAD, pad_edge=False)
    table.add_column(title)
    table.add_column("test", justify="right")
    table.add_column("95 % interval")
    for name, label in names:
        if name in result.metrics:
            interval = between(result.intervals.get(name)).lstrip()
            table.add_row(label, f"{result.metrics[name]:.3f}", escape(interval))
    return table


def _confusion(result: Result) -> Table:
    table = Table(box=box.SIMPLE_HEAD, pad_edge=False)
    for column in ("Truth", "healthy?", "anomalous?"):
        table.add_column(column, justify="left" if column == "Truth" else "right")
    for label, counts in zip(("healthy", "anomalous"), result.confusion, strict=True):
        table.add_row(label, *(str(int(count)) for count in counts))
    return table


def _classes(result: Result) -> Table:
    table = Table(box=box.SIMPLE_HEAD, pad_edge=False)
    for column in ("Class", "scans", "AUROC", "recall"):
        table.add_column(column, justify="left" if column == "Class" else "right", overflow="fold")
    for name, numbers in result.by_class.items():
        auroc = f"{numbers['auroc']:.3f}" if "auroc" in numbers else "-"
        table.add_row(escape(name), str(int(numbers["support"])), auroc, f"{numbers['recall']:.3f}")
    return table


def _sizes(result: Result) -> Table:
    table = Table(box=box.SIMPLE_HEAD, pad_edge=False)
    heads = ("Lesions", "scans", result.thirds[0].unit, "recall", "lesions hit", "pixel AP", "chance", "Dice")
    for column in heads:  # where it is too wide, the heads of two words are broken, no number is
        justify: Literal["left", "right"] = "left" if column == "Lesions" else "right"
        table.add_column(column, justify=justify, no_wrap=" " not in column)
    for third in result.thirds:
        names = ("recall", "lesion_sensitivity", "pixel_ap", "lesion_share", "dice")
        shown = (f"{name}_{third.name}" for name in names)
        area = "-".join(third.span)
        numbers = (f"{result.metrics[name]:.3f}" if name in result.metrics else "-" for name in shown)
        table.add_row(third.name, str(len(third.rows)), area, *numbers)
    return table
