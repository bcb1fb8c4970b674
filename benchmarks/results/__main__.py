"""Measure a table of the docs anew: ``python -m benchmarks.results TABLE data.root=...``; see --help."""

from __future__ import annotations

import sys
from argparse import RawDescriptionHelpFormatter
from pathlib import Path

from benchmarks.results.table import FOLDER, Definition, read_lines, write_lines
from mriad.errors import MriadError, OptionParser, fail

_STEPS = "postprocessing"


def main() -> None:
    """Run the command; bad input ends with one sentence and exit code 1."""
    tables = sorted(file.stem for file in FOLDER.glob("*.yaml") if Definition.read(file.stem).source == file.stem)
    parser = OptionParser(
        prog="python -m benchmarks.results",
        description="Measure rows of a table of the docs and write its lines to docs/results/TABLE.csv, each with its\n"
        "command, commit, date and machine. Rows that are not named keep their lines.\n\n"
        "  python -m benchmarks.results br35h data.root=/path/to/br35h --row pca --row intensity\n"
        "  python -m benchmarks.results postprocessing CHECKPOINT ...\n"
        "  python -m benchmarks --record            (the table of costs)",
        formatter_class=RawDescriptionHelpFormatter,
    )
    parser.add_argument("table", choices=tables, help=f"one of {', '.join(tables)}", metavar="TABLE")
    parser.add_argument("words", nargs="*", metavar="OPTION", help="options of every command, or checkpoints")
    parser.add_argument("--row", action="append", help="a row to measure, by a part of its label; default: all of them")
    parser.add_argument("--dry-run", action="store_true", help="print the commands, measure nothing")
    parser.add_argument("--folder", default="outputs/results", help="where the commands run (default: outputs/results)")
    told = parser.parse_intermixed_args()
    try:
        definition = Definition.read(told.table)
        rows = _chosen(definition, told.row)
        if told.dry_run:
            print("\n".join(command for row in rows for command in definition.commands(row).values()))
            return
        _measure(definition, rows, told.words, Path(told.folder) / told.table)
    except MriadError as error:
        fail(str(error))


def _chosen(definition: Definition, parts: list[str] | None) -> list[str]:
    measured = [label for label, row in definition.rows.items() if row.options is not None]
    if parts is None:
        return measured
    if unknown := [part for part in parts if not any(part in label for label in measured)]:
        raise MriadError(f"{definition.name} has no row '{unknown[0]}'; choose from {', '.join(measured)}.")
    return [label for label in measured if any(part in label for part in parts)]


def _measure(definition: Definition, rows: list[str], words: list[str], folder: Path) -> None:
    from benchmarks.results.measure import measure, postprocessing
    from benchmarks.results.whence import today

    whence = today()
    lines = read_lines(definition.name)
    order = list(definition.rows)
    if definition.name == _STEPS:
        found = iter(postprocessing(definition, [Path(word) for word in words], whence=whence))
    else:
        found = measure(definition, rows, words, folder=folder, whence=whence)
    for line in found:  # written as they come: a table takes hours
        lines = [other for other in lines if (other.row, other.variant) != (line.row, line.variant)] + [line]
        lines.sort(key=lambda line: (order.index(line.row), definition.places.index(line.variant)))
        file = write_lines(definition.name, definition.metrics, lines)
        print(f"{line.row} {line.variant}: written to {file}", file=sys.stderr)


if __name__ == "__main__":
    main()
