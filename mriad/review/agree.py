"""Say how far readers agree with each other and with the detector: mriad agreement marks.csv; see --help."""

from __future__ import annotations

import argparse
import sys
from collections.abc import Sequence
from pathlib import Path
from typing import TYPE_CHECKING

from mriad.errors import MriadError, OptionParser, fail
from mriad.invocation import typed
from mriad.review.options import parsed

if TYPE_CHECKING:
    import pandas as pd

    from mriad.review.marks import Mark


def _options() -> argparse.Namespace:
    parser = OptionParser(
        usage=f"{typed('agreement')} [-h] [--output FILE] MARKS [MARKS ...]",
        description="Say how far readers agree with each other and with the detector, from the marks that they made on "
        "the page of a prediction, and what that says of the detector: sensitivity, false lesions per scan. Intervals "
        "(95 %%) come from resampling patients.",
    )
    parser.add_argument(
        "marks",
        metavar="MARKS",
        nargs="+",
        type=Path,
        help="marks.csv of a page, or its folder; several of several readers",
    )
    parser.add_argument("--output", type=Path, default=Path("agreement.csv"), help="CSV file (default: agreement.csv)")
    return parsed(parser)


def main() -> None:
    """Run the command; bad input ends with one sentence and exit code 1."""
    options = _options()
    try:
        _agree(options.marks, options.output)
    except MriadError as error:
        fail(str(error))
    except KeyboardInterrupt:
        print("Interrupted.", file=sys.stderr)
        sys.exit(130)


def marks_of(files: Sequence[Path]) -> list[Mark]:
    """The events of several files by their time, those that stand in two of them once; what is no event is told.

    Args:
        files: of marks, or folders of predictions that have been read.

    Raises:
        MriadError: if a file cannot be read, or none holds an event.
    """
    from mriad.review.folder import marks_file
    from mriad.review.marks import read_marks

    files = [marks_file(file) for file in files]
    found: dict[Mark, None] = {}
    for file in files:
        marks, wrong = read_marks(file)
        found |= dict.fromkeys(marks)
        for fault in wrong[:5]:
            print(f"{file}: {fault}; left out.", file=sys.stderr)
        if len(wrong) > 5:
            print(f"{file}: {len(wrong) - 5} more are left out.", file=sys.stderr)
    if not found:
        raise MriadError(
            f"There is no mark in {', '.join(map(str, files))}; make some on the page: mriad review FOLDER."
        )
    return sorted(found, key=lambda mark: mark.time)


def _agree(files: Sequence[Path], output: Path) -> None:
    from mriad.review.agreement import agreement  # heavy: --help need not wait for it
    from mriad.review.marks import readings
    from mriad.tables import write_csv

    table = agreement(readings(marks_of(files)))
    _print(table)
    try:
        output.parent.mkdir(parents=True, exist_ok=True)
        write_csv(table, output)
    except OSError as error:
        raise MriadError(f"{output} cannot be written ({error.strerror}); choose another with --output.") from error
    print(f"Table  {output}")


def _print(table: pd.DataFrame) -> None:
    from rich.console import Console
    from rich.markup import escape
    from rich.table import Table

    console = Console()
    for (reader, other), rows in table.groupby(["reader", "other"], sort=False):
        shown = Table(
            title=escape(f"{reader} and {'the detector' if other == 'detector' else other}"), title_justify="left"
        )
        for name in ("of", "measure", "value", "95 % interval", "n"):
            shown.add_column(name, justify="right" if name in ("value", "n") else "left")
        for row in rows.itertuples():
            is_count = row.value == row.n and row.low != row.low and float(row.value).is_integer()
            value = "-" if row.value != row.value else f"{row.value:.0f}" if is_count else f"{row.value:.3f}"
            bounds = "" if row.low != row.low else f"[{row.low:.3f}, {row.high:.3f}]"
            shown.add_row(row.of, row.measure, value, bounds, "" if is_count else str(row.n))
        console.print(shown)
    console.print(
        "All of this holds of the scans that were read: who reads the strangest first sees more lesions than others "
        "hold. Kappa is not known (-) where both say the same of every scan.",
        style="dim",
        highlight=False,
    )


if __name__ == "__main__":
    main()
