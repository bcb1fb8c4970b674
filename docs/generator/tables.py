"""The tables of results as Markdown, each row with what is known of where it comes from."""

from __future__ import annotations

import re
from collections.abc import Callable, Iterable, Sequence
from pathlib import Path

from benchmarks.results.costs import read_costs
from benchmarks.results.history import changed_since
from benchmarks.results.table import FOLDER, Definition, Line, read_lines

MARK = "†"
COSTS = "costs"
_NO_COMMIT = "unknown"
_HOW = (
    f"{MARK} Code or options that bear on this row have changed since it was measured: today's mriad may give other "
    "numbers. Below stands what changed."
)
_BLIND = "Whether code has changed since cannot be said here: this copy of mriad comes without its git history."

Changes = Callable[[str, str | None], list[str] | None]


def table(name: str, *, folder: Path = FOLDER, changes: Changes = changed_since) -> str:
    """A table with its footnotes, from ``NAME.yaml`` and ``NAME.csv``.

    Args:
        name: of its files; 'costs' for that of the benchmarks.
        folder: where they lie.
        changes: gives the files that have changed since a commit and bear on a command; None where that is not known.
    """
    return _costs(folder, changes) if name == COSTS else _results(Definition.read(name, folder), folder, changes)


def rows(definition: Definition, lines: Sequence[Line]) -> dict[str, list[str]]:
    """The cells of each row, by its label, as they are printed."""
    by_place = {(line.row, line.variant): line for line in lines}
    found = {}
    for label in definition.rows:
        cells = []
        for column in definition.columns.values():
            line = by_place.get((label, column.variant))
            cell = line.cell(column.metric) if line else ""
            base = by_place.get((column.share_of or "", column.variant))
            if line and base and base is not line:
                share = float(line.values[column.metric]) / float(base.values[column.metric])
                cell += f", {share:.0%} of it".replace("%", " %")
            cells.append(cell)
        found[label] = cells
    return found


def _results(definition: Definition, folder: Path, changes: Changes) -> str:
    lines = read_lines(definition.source, folder)
    since = {(line.row, line.variant): changes(line.commit, definition.options(line)) for line in lines if line.commit}
    marked = {row for (row, _), files in since.items() if files}
    body = [
        [f"{label} {MARK}" if label in marked else label, *map(_two_lines, cells)]
        for label, cells in rows(definition, lines).items()
    ]
    whence = [
        [
            line.row,
            *([line.variant] if len(definition.places) > 1 else []),
            f"`{line.command}`" if line.command else line.source,
            line.seeds,
            line.commit or ("" if line.source else _NO_COMMIT),
            line.date or ("" if line.source else _NO_COMMIT),
            line.machine,
            _since(since.get((line.row, line.variant))) if line.commit else "",
        ]
        for line in lines
    ]
    variant = ["variant"] if len(definition.places) > 1 else []
    heads = ["row", *variant, "command, or source", "runs", "commit", "date", "machine", "changed since"]
    anew = f"`python -m benchmarks.results {definition.source} data.root=...` measures it anew."
    if all(row.options is None for row in definition.rows.values()) or definition.name == "postprocessing":
        anew = f"`{definition.command}` measures it anew."
    return _page(
        definition.source, [definition.heading, *definition.columns], body, heads, whence, since.values(), anew
    )


def _costs(folder: Path, changes: Changes) -> str:
    lines = read_costs(folder)
    since = {line["row"]: changes(line["commit"], None) for line in lines}
    shown = ["row", "work", "against", "target", "measured", "verdict", "how"]
    body = [[line[name] for name in shown] for line in lines]
    for cells in body:
        cells[0] += f" {MARK}" if since[cells[0]] else ""
    kept = {line["row"]: line for line in lines}
    whence = [
        [name, f"`{line['command']}`", line["commit"], line["date"], line["machine"], _since(since[name])]
        for name, line in kept.items()
    ]
    heads = ["row", "command", "commit", "date", "machine", "changed since"]
    shown[shown.index("verdict")] = ""
    anew = '`make bench ROWS="ROW ..." RECORD=--record` measures rows anew.'
    return _page(COSTS, shown, body, heads, whence, since.values(), anew)


def _page(
    name: str,
    heads: Sequence[str],
    body: Sequence[Sequence[str]],
    whence_heads: Sequence[str],
    whence: Sequence[Sequence[str]],
    since: Iterable[list[str] | None],
    anew: str,
) -> str:
    known = list(since)
    notes = [_HOW] if any(known) else []
    notes += [_BLIND] if any(files is None for files in known) else []
    details = ["", *as_markdown(whence_heads, whence), "", f"{anew} The data: [{name}.csv]({name}.csv)."]
    return "\n".join(
        [
            *as_markdown(heads, body),
            *(f"\n<small>{note}</small>" for note in notes),
            "",
            '??? note "Command, commit, date and machine of each row"',
            *(f"    {line}".rstrip() for line in details),
        ]
    )


def as_markdown(heads: Sequence[str], body: Iterable[Sequence[str]]) -> list[str]:
    """The lines of a Markdown table."""
    lines = [heads, ["---"] * len(heads), *body]
    return ["| " + " | ".join(cell.replace("|", "\\|") for cell in line) + " |" for line in lines]


def _two_lines(cell: str) -> str:
    """A cell with its interval, note or share below its value, and a spread that stays beside it."""
    cell = cell.replace(" ± ", "\N{NO-BREAK SPACE}±\N{NO-BREAK SPACE}")
    cell = re.sub(r"(?<=\d), (?=\d+\.\d+\])", ",\N{NO-BREAK SPACE}", cell)
    return re.sub(r"(?<=\d)(?:,)? (?=[\[(]|\d+ % of)", "<br>", cell, count=1)


def _since(files: list[str] | None) -> str:
    if files is None:
        return "cannot be said here"
    shown = ", ".join(f"`{file}`" for file in files[:3])
    return "nothing" if not files else shown if len(files) <= 3 else f"{len(files)} files, {shown} among them"
