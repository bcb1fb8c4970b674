"""The audit as a person reads it in a terminal."""

from __future__ import annotations

import pandas as pd
from rich import box
from rich.console import Console
from rich.markup import escape
from rich.table import Table

from mriad.audit.audit import Audit
from mriad.audit.features import FEATURES

_COLOURS = {"sound": "green", "doubtful": "yellow", "unsound": "red"}


def print_audit(audit: Audit, console: Console | None = None) -> None:
    """Print the verdict, and the tables that it rests on.

    Args:
        audit: what was found.
        console: where to print; standard output if None.
    """
    console = console or Console()
    console.print()
    numbers = ", ".join(f"{count} {name}" for name, count in audit.counts.items())
    console.print(f"[bold]{escape(audit.data)}[/bold]: {numbers}.")
    if audit.published:
        console.print("[bold red]Published protocol, flawed on purpose.[/bold red]")
    console.print(f"[bold {_COLOURS[audit.level]}]{audit.verdict}[/]", highlight=False)
    if not audit.features.empty:
        tells = audit.features.groupby("feature")["auroc"].transform("max") > 0.5
        console.print(_features(audit.features[tells]))
        if silent := [FEATURES[name] for name in dict.fromkeys(audit.features["feature"][~tells])]:
            console.print(f" Tells nothing: {', '.join(silent)}.")
    console.print(_duplicates(audit.duplicates))
    console.print(_clusters(audit), highlight=False)
    console.print(_mix(audit.mix))
    console.print(_outliers(audit.outliers))


def _features(features: pd.DataFrame) -> Table:
    table = Table(box=box.SIMPLE_HEAD)
    table.add_column("Without any model, on test")
    for stage in ("raw", "scaled"):
        table.add_column(f"{stage} AUROC (95 %)", justify="right")
    for feature, rows in features.groupby("feature", sort=False):
        by_stage = rows.set_index("stage")
        cells = [_auroc(by_stage.loc[stage]) if stage in by_stage.index else "" for stage in ("raw", "scaled")]
        table.add_row(FEATURES[str(feature)], *cells)
    return table


def _auroc(row: pd.Series) -> str:
    return f"{row['sign'] or ' '} {row['auroc']:.3f} ({row['low']:.2f} to {row['high']:.2f})"


def _duplicates(duplicates: pd.DataFrame) -> Table:
    table = Table(box=box.SIMPLE_HEAD)
    roles = list(dict.fromkeys(duplicates["role"]))
    table.add_column("Duplicates of")
    for name in ("scans", *(f"in {role}" for role in roles)):
        table.add_column(name, justify="right")
    for (role, label), rows in duplicates.groupby(["role", "label"], sort=False):
        found = {row.within: f"{row.duplicated} ({100 * row.share:.0f} %)" for row in rows.itertuples()}
        table.add_row(f"{role} {label}", str(rows["scans"].iat[0]), *(found.get(other, "") for other in roles))
    return table


def _clusters(audit: Audit) -> str:
    if audit.clusters == 0:
        return " No near-duplicates."
    return (
        f" {100 * audit.repeated:.0f} % of the scans have a near-duplicate: {audit.clusters} clusters, "
        f"the largest of {audit.largest_cluster} scans."
    )


def _mix(mix: pd.DataFrame) -> Table:
    table = Table(box=box.SIMPLE_HEAD)
    columns = list(mix.columns[2:])
    table.add_column("Made of")
    table.add_column("", overflow="fold", min_width=min(24, int(mix["value"].str.len().max())))
    for name in columns:
        table.add_column(name, justify="right")
    for name, rows in mix.groupby("property", sort=False):
        for number, values in enumerate(rows.itertuples(index=False)):
            table.add_row("" if number else str(name), escape(str(values.value)), *(str(count) for count in values[2:]))
    return table


def _outliers(outliers: pd.DataFrame) -> Table | str:
    if outliers.empty:
        return " No image looks unlike all others."
    table = Table(box=box.SIMPLE_HEAD)
    table.add_column("Unlike all others", overflow="fold")
    for name in ("role", "class"):
        table.add_column(name)
    table.add_column("z", justify="right")
    for row in outliers.itertuples(index=False):
        table.add_row(escape(row.path), row.role, escape(row[2]), f"{row.z:.1f}")
    return table
