"""From run ids to tables and a figure."""

from __future__ import annotations

import sys
from collections.abc import Sequence
from pathlib import Path

import pandas as pd
from matplotlib.figure import Figure
from rich.console import Console
from rich.markup import escape

from mriad import plots
from mriad.compare.comparison import Comparison, compare
from mriad.compare.methods import identity, logged_metrics, pool
from mriad.compare.runs import read_runs
from mriad.compare.scans import common_scans
from mriad.compare.tables import as_markdown, print_comparison
from mriad.errors import MriadError
from mriad.metrics.bootstrap import RESAMPLES
from mriad.tables import write_csv
from mriad.terminal import say

_FILES = {"Methods": "methods.csv", "Differences": "differences.csv", "Figure": "comparison.png"}
_LEGEND = (
    f"± is the standard deviation over seeds. Intervals (95 %) and p-values come from {RESAMPLES} resamples of the "
    "groups, the same for all methods: they tell what other test scans would have changed, not other seeds."
)


def compare_runs(run_ids: Sequence[str], *, tracking_uri: str, output: str, markdown: bool) -> None:
    """Compare tested runs, print what was found and write it to a folder.

    Args:
        run_ids: MLflow run ids.
        tracking_uri: MLflow tracking URI of their store.
        output: folder for methods.csv, differences.csv and comparison.png.
        markdown: print the table of methods as GitHub markdown, and notes and places on stderr.

    Raises:
        MriadError: on bad input.
    """
    runs = read_runs(run_ids, tracking_uri)
    common_scans({run.run_id: run.scores for run in runs})  # before pooling, which keeps one run per seed
    methods, notes = pool(runs)
    comparison = compare({method.name: {run.run_id: run.scores for run in method.runs} for method in methods})
    table = identity(methods).merge(comparison.methods, on="method").merge(logged_metrics(methods), on="method")
    table = table.sort_values("auroc", ascending=False, kind="stable", ignore_index=True)
    files = _write(Path(output), comparison, table)

    console = Console(stderr=markdown)
    if markdown:
        sys.stdout.write(as_markdown(table) + "\n")
    else:
        console.print(f"\n{_test_set(comparison)}", highlight=False)
        print_comparison(table, comparison.differences, console)
        console.print(_LEGEND, style="dim", highlight=False)
    for note in [*comparison.scans.notes, *notes]:
        console.print(f"[yellow]Note:[/yellow] {escape(note)}", highlight=False)
    for what, file in files.items():
        say(console, what, file)


def _test_set(comparison: Comparison) -> str:
    table = comparison.scans.table
    anomalous = int(table["label"].sum())
    return (
        f"[bold]{len(table)} test scans[/bold] in {table['group'].nunique()} groups: {len(table) - anomalous} healthy "
        f"and {anomalous} anomalous."
    )


def _write(folder: Path, comparison: Comparison, table: pd.DataFrame) -> dict[str, Path]:
    files = {name: folder / file for name, file in _FILES.items()}
    try:
        folder.mkdir(parents=True, exist_ok=True)
        write_csv(table, files["Methods"])
        write_csv(comparison.differences, files["Differences"])
        _figure(comparison).savefig(files["Figure"])
    except OSError as error:
        raise MriadError(
            f"Nothing can be written to {folder} ({error.strerror}); choose another with --output."
        ) from error
    return files


def _figure(comparison: Comparison) -> Figure:
    methods, runs = comparison.methods, comparison.runs
    chance = {"auroc": 0.5, "average_precision": float(comparison.scans.labels.mean())}
    panels = [
        plots.MetricPanel(
            title=title,
            means=methods[name].to_numpy(),
            lows=methods[f"{name}_low"].to_numpy(),
            highs=methods[f"{name}_high"].to_numpy(),
            seeds=[runs.loc[runs["method"] == method, name].to_numpy() for method in methods["method"]],
            chance=chance[name],
        )
        for name, title in (("auroc", "AUROC"), ("average_precision", "Average precision"))
    ]
    return plots.method_comparison(list(methods["method"]), panels)
