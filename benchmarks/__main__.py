"""Measure, and print the table: ``python -m benchmarks [ROW ...]``."""

from __future__ import annotations

import argparse
import logging
import sys
import time
import traceback
import warnings
from importlib import import_module
from pathlib import Path
from tempfile import TemporaryDirectory

from rich.console import Console

from benchmarks.bench import Bench
from benchmarks.results.costs import record_costs
from benchmarks.results.whence import today
from benchmarks.rows import ROWS
from benchmarks.table import Row, as_markdown, for_terminal


def main() -> int:
    """Measure the rows that are asked for; 1 if one could not be measured."""
    parser = argparse.ArgumentParser(prog="python -m benchmarks", description=__doc__)
    parser.add_argument("rows", nargs="*", metavar="ROW", help=f"all of them by default: {', '.join(ROWS)}")
    parser.add_argument("--full", action="store_true", help="as many scans as the targets name; takes hours")
    parser.add_argument("--markdown", action="store_true", help="print Markdown")
    parser.add_argument("--record", action="store_true", help="write what is found to docs/results/costs.csv as well")
    parser.add_argument("--tracking-uri", help="store for the row logging_cost (default: a fresh SQLite file)")
    words = parser.parse_args()
    if unknown := set(words.rows) - set(ROWS):
        parser.error(f"there is no row {', '.join(sorted(unknown))}; choose from {', '.join(ROWS)}")
    whence = today() if words.record else {}
    for name in ("lightning.pytorch", "lightning.fabric"):
        logging.getLogger(name).setLevel(logging.WARNING)
    warnings.simplefilter("ignore")
    failed = False
    found: list[tuple[str, Row]] = []
    with TemporaryDirectory(prefix="mriad-benchmarks-") as folder:
        bench = Bench(folder=Path(folder), full=words.full, tracking_uri=words.tracking_uri)
        for name in words.rows or ROWS:
            start = time.perf_counter()
            try:
                found += [(name, row) for row in import_module(f"benchmarks.rows.{name}").measure(bench)]
            except Exception:  # told at once and by the exit code; the other rows are measured all the same
                failed = True
                traceback.print_exc()
            print(f"{name}: {time.perf_counter() - start:.0f} s", file=sys.stderr, flush=True)
    if words.record:
        command = " ".join(["python -m benchmarks", *words.rows, *(["--full"] if words.full else [])])
        record_costs([(name, row.cells()) for name, row in found], {"command": command, **whence})
    if words.markdown:
        print(as_markdown(found))
    else:
        Console().print(for_terminal(found))
    return int(failed)


if __name__ == "__main__":
    sys.exit(main())
