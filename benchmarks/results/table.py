"""A table of the docs: its definition, which a person writes, and its lines, which a command writes.

``docs/results/NAME.yaml`` says what is measured: the command that all rows share, the rows and what each adds to it,
the variants in which each row is measured, and the columns. One that is ``of`` another shows other columns of its
lines. ``docs/results/NAME.csv`` holds what was found, one line for each row and variant: the values as they are
printed, and the command, commit, date and machine that they come from. A value has up to four companions: ``_sd``
(standard deviation over seeds), ``_low`` and ``_high`` (95 % interval), ``_note``.
"""

from __future__ import annotations

import csv
from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

import yaml

FOLDER = Path(__file__).parents[2] / "docs" / "results"
WHENCE = ("seeds", "command", "commit", "date", "machine", "source")
COMPANIONS = ("", "_sd", "_low", "_high", "_note")
UNKNOWN = "unknown"


@dataclass(frozen=True, kw_only=True)
class Row:
    """What one row measures.

    Args:
        options: what it adds to the command; None for a row that is not measured but given.
        variants: in which variants of the table; None for all.
        audit: its value is the best AUROC that the audit finds without a model.
        before: a command that is run first; its run stands for RUN_ID in the options.
        recalibrated: what ``evaluate.py run=RUN_ID`` is told: its scores are recalibrated again and again, see
            ``benchmarks.recalibration``.
    """

    options: str | None = None
    variants: tuple[str, ...] | None = None
    audit: bool = False
    before: str | None = None
    recalibrated: str | None = None


@dataclass(frozen=True, kw_only=True)
class Column:
    """A metric in a variant of the rows.

    Args:
        metric: its name in the lines.
        variant: the variant; '' where there is but one.
        share_of: a row; the share of its value is printed as well.
    """

    metric: str
    variant: str = ""
    share_of: str | None = None


@dataclass(frozen=True, kw_only=True)
class Definition:
    """What a table measures and how it is laid out.

    Args:
        name: of its files.
        heading: of the first column.
        command: the command that all rows share, with DATA for the folder of the data set.
        variants: what each variant adds to the command.
        evaluations: what ``evaluate.py run=RUN_ID`` is told besides, for each data set that the runs of a row are
            tested on elsewhere; each is a variant as well. Only where all rows are trained in one variant.
        columns: columns by heading.
        rows: rows by label.
        also: metrics that are measured in each variant besides those of the columns.
        source: the table whose lines it shows.
    """

    name: str
    heading: str
    command: str
    variants: Mapping[str, str]
    columns: Mapping[str, Column]
    rows: Mapping[str, Row]
    evaluations: Mapping[str, str] = field(default_factory=dict)
    also: tuple[str, ...] = ()
    source: str

    @classmethod
    def read(cls, name: str, folder: Path = FOLDER) -> Definition:
        """Read ``NAME.yaml``."""
        told: dict[str, Any] = yaml.safe_load((folder / f"{name}.yaml").read_text())
        source = told.get("of", name)
        if source != name:
            told = yaml.safe_load((folder / f"{source}.yaml").read_text()) | told
        return cls(
            name=name,
            heading=told["heading"],
            command=told["command"],
            variants=told.get("variants") or {"": ""},
            columns={label: _column(words) for label, words in told["columns"].items()},
            rows={label: _row(words) for label, words in told["rows"].items()},
            evaluations=told.get("evaluations") or {},
            also=tuple(told.get("also", ())),
            source=source,
        )

    @property
    def places(self) -> tuple[str, ...]:
        """The variants in which there may be a line of each row, in their order."""
        return (*self.variants, *self.evaluations)

    @property
    def metrics(self) -> tuple[str, ...]:
        """The metrics of all lines."""
        return tuple(dict.fromkeys([*(column.metric for column in self.columns.values()), *self.also]))

    def options(self, line: Line) -> str:
        """What tells which code a line rests on: its command, and of an evaluation the one that trained."""
        trained = " ".join(self.commands(line.row).values()) if line.variant in self.evaluations else ""
        return f"{trained} {line.command}".strip()

    def wanted(self, variant: str) -> tuple[str, ...]:
        """The metrics of the lines of a variant."""
        return (*(column.metric for column in self.columns.values() if column.variant == variant), *self.also)

    def commands(self, label: str) -> dict[str, str]:
        """The command that measures a row, by variant."""
        row = self.rows[label]
        if row.options is None:
            return {}
        chosen = self.variants if row.variants is None else {name: self.variants[name] for name in row.variants}
        return {name: " ".join(filter(None, [self.command, words, row.options])) for name, words in chosen.items()}


@dataclass(frozen=True, kw_only=True)
class Line:
    """What was found for a row in a variant, as text."""

    row: str
    variant: str = ""
    values: Mapping[str, str] = field(default_factory=dict)
    seeds: str = ""
    command: str = ""
    commit: str = ""
    date: str = ""
    machine: str = ""
    source: str = ""

    def cell(self, metric: str) -> str:
        """A value with its spread, interval and note, as in '0.966 ± 0.001 [0.94, 0.98] (note)'."""
        value, spread, low, high, note = (self.values.get(f"{metric}{companion}", "") for companion in COMPANIONS)
        parts = [value, f"± {spread}" if spread else "", f"[{low}, {high}]" if low else "", f"({note})" if note else ""]
        return " ".join(part for part in parts if part)


def read_lines(name: str, folder: Path = FOLDER) -> list[Line]:
    """The lines of ``NAME.csv``; none if nothing was measured yet."""
    file = folder / f"{name}.csv"
    if not file.exists():
        return []
    with file.open(newline="") as stream:
        return [_line(record) for record in csv.DictReader(stream)]


def write_lines(name: str, metrics: Sequence[str], lines: Sequence[Line], folder: Path = FOLDER) -> Path:
    """Write ``NAME.csv``, the values that nobody has left out."""
    values = [f"{metric}{companion}" for metric in metrics for companion in COMPANIONS]
    values = [value for value in values if any(line.values.get(value) for line in lines)]
    file = folder / f"{name}.csv"
    with file.open("w", newline="") as stream:
        writer = csv.DictWriter(stream, ["row", "variant", *values, *WHENCE], lineterminator="\n")
        writer.writeheader()
        for line in lines:
            whence = {key: getattr(line, key) for key in ("row", "variant", *WHENCE)}
            writer.writerow(whence | {value: line.values.get(value, "") for value in values})
    return file


def _line(record: dict[str, str]) -> Line:
    own = ("row", "variant", *WHENCE)
    values = {key: value for key, value in record.items() if key not in own and value}
    return Line(values=values, **{key: record[key] for key in own})


def _column(told: str | dict[str, str]) -> Column:
    if isinstance(told, str):
        told = dict(zip(("metric", "variant"), told.split(), strict=False))
    return Column(**told)


def _row(told: str | dict[str, Any] | None) -> Row:
    if not isinstance(told, dict):
        return Row(options=told)
    variants = told.get("variants")
    return Row(**(told | {"variants": None if variants is None else tuple(variants)}))
