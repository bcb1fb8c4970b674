"""The result as a person reads it in a terminal."""

from __future__ import annotations

from collections.abc import Sequence

from rich import box
from rich.console import Console
from rich.markup import escape
from rich.table import Table

from mriad.report.result import Result
from mriad.thresholds import Fixed

_IMAGE = (
    ("auroc", "AUROC"),
    ("average_precision", "average precision"),
    ("balanced_accuracy", "balanced accuracy"),
    ("accuracy", "accuracy"),
    ("no_information_rate", "no-information rate"),
    ("precision", "precision"),
    ("recall", "recall (sensitivity)"),
    ("specificity", "specificity"),
    ("f1", "F1"),
)
_PIXEL = (
    ("pixel_ap", "pixel AP"),
    ("pixel_auroc", "pixel AUROC"),
    ("pixel_aupro", "pixel AUPRO (30 % FPR)"),
    ("dice", "Dice"),
    ("dice_per_scan", "Dice per scan"),
    ("dice_oracle", "Dice, oracle threshold"),
    ("pointing", "peak inside the lesion"),
)


def print_result(result: Result, *, places: Sequence[tuple[str, str]], console: Console | None = None) -> None:
    """Print metrics, confusion matrix and classes.

    Args:
        result: a measured test.
        places: what can be looked at and where, a line each.
        console: where to print; standard output if None.
    """
    console = console or Console()
    table = result.table
    healthy, anomalous = int((table["label"] == 0).sum()), int((table["label"] == 1).sum())
    calibration = result.calibration
    rule = calibration.rule if calibration.rule == Fixed.name else f"{calibration.rule}, fitted on val"
    console.print()
    console.print(
        f"[bold]{escape(result.data)}[/bold]: {len(table)} test scans, {healthy} healthy and {anomalous} anomalous. "
        f"Threshold {calibration.threshold:.5g} ({rule})."
    )
    if result.published:
        console.print(
            "[bold red]Published protocol, flawed on purpose:[/bold red] test scans, or copies of them, "
            "took part in training or calibration. Do not believe these numbers."
        )
    grid = Table.grid(padding=(0, 3))
    pixels = _numbers("Pixels", _PIXEL, result.metrics) if "pixel_ap" in result.metrics else ""
    grid.add_row(_numbers("Scans", _IMAGE, result.metrics), pixels)
    grid.add_row(_confusion(result), _classes(result))
    console.print(grid)
    for what, where in places:
        console.print(f"[bold]{what:<11}[/bold] {escape(where)}", soft_wrap=True, highlight=False)


def _numbers(title: str, names: Sequence[tuple[str, str]], metrics: dict[str, float]) -> Table:
    table = Table(box=box.SIMPLE_HEAD)
    table.add_column(title)
    table.add_column("test", justify="right")
    for name, label in names:
        if name in metrics:
            table.add_row(label, f"{metrics[name]:.3f}")
    return table


def _confusion(result: Result) -> Table:
    table = Table(box=box.SIMPLE_HEAD)
    for column in ("Truth", "healthy?", "anomalous?"):
        table.add_column(column, justify="left" if column == "Truth" else "right")
    for label, counts in zip(("healthy", "anomalous"), result.confusion, strict=True):
        table.add_row(label, *(str(int(count)) for count in counts))
    return table


def _classes(result: Result) -> Table:
    table = Table(box=box.SIMPLE_HEAD)
    for column in ("Class", "scans", "AUROC", "recall"):
        table.add_column(column, justify="left" if column == "Class" else "right", overflow="fold")
    for name, numbers in result.by_class.items():
        auroc = f"{numbers['auroc']:.3f}" if "auroc" in numbers else "-"
        table.add_row(escape(name), str(int(numbers["support"])), auroc, f"{numbers['recall']:.3f}")
    return table
