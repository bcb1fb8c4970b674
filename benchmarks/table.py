"""What is shown in the end: what was measured, against what, the target and the measured value side by side."""

from __future__ import annotations

import os
import platform
from collections.abc import Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Literal

from rich.table import Table

from mriad import __version__

COLUMNS = ("row", "work", "against", "target", "measured", "", "how")


@dataclass(frozen=True, kw_only=True)
class Target:
    """At most, or at least, ``limit``."""

    limit: float
    bound: Literal["at most", "at least", "under"] = "at most"

    def met(self, value: float) -> bool:
        """Whether a value keeps to it."""
        return {
            "at most": value <= self.limit,
            "at least": value >= self.limit,
            "under": value < self.limit,
        }[self.bound]


@dataclass(frozen=True, kw_only=True)
class Row:
    """One line of the table.

    Args:
        work: what mriad does.
        against: what it is held against; '' where the target is absolute.
        value: what was measured; None where it could not be.
        unit: of value and target: 'times', 's', 'GB', ...
        target: None where none is set.
        how: what else one must know to read the value.
    """

    work: str
    against: str = ""
    value: float | None
    unit: str
    target: Target | None = None
    how: str = ""

    @property
    def verdict(self) -> str:
        """'met', 'missed', or '' where there is nothing to hold against each other."""
        if self.target is None or self.value is None:
            return ""
        return "met" if self.target.met(self.value) else "missed"

    def cells(self) -> tuple[str, ...]:
        """The texts of ``COLUMNS`` after the first."""
        target = f"{self.target.bound} {_amount(self.target.limit, self.unit)}" if self.target else ""
        measured = "" if self.value is None else _amount(self.value, self.unit)
        return self.work, self.against, target, measured, self.verdict, self.how


def for_terminal(rows: Sequence[tuple[str, Row]]) -> Table:
    """The table of (name, row) as rich prints it."""
    table = Table(title=machine(), show_lines=True)
    for column in COLUMNS:
        table.add_column(column, overflow="fold")
    for name, row in rows:
        table.add_row(name, *row.cells(), style={"missed": "red", "met": "green"}.get(row.verdict))
    return table


def as_markdown(rows: Sequence[tuple[str, Row]]) -> str:
    """The same table as Markdown."""
    lines = [COLUMNS, ("---",) * len(COLUMNS), *((name, *row.cells()) for name, row in rows)]
    return "\n".join([machine(), "", *("| " + " | ".join(line) + " |" for line in lines)]) + "\n"


def machine() -> str:
    """Where it was measured: processor, cores that this process may use, threads, versions."""
    import torch  # heavy, and what only reads tables need not wait for it

    return (
        f"{_processor()}, {usable_cores()} of {os.cpu_count()} cores, {torch.get_num_threads()} torch threads, "
        f"torch {torch.__version__}, Python {platform.python_version()}, mriad {__version__}"
    )


def usable_cores() -> int:
    """Cores that this process may use."""
    return len(os.sched_getaffinity(0)) if hasattr(os, "sched_getaffinity") else os.cpu_count() or 1


def _processor() -> str:
    info = Path("/proc/cpuinfo")
    lines = info.read_text().splitlines() if info.exists() else []
    named = [line.partition(":")[2].strip() for line in lines if line.startswith("model name")]
    return named[0] if named else platform.processor() or platform.machine()


def _amount(value: float, unit: str) -> str:
    return f"{value:.3g} {unit}".rstrip()
