"""Write the pages that a site is built from: ``python -m docs.generator FOLDER``.

They are those of ``docs/``, with what they ask for filled in, and a page for each group of options. A page asks with a
line ``<!-- table: NAME -->`` for a table of results and with ``<!-- reference: NAME -->`` for a part of the reference;
who reads the bare Markdown does not see such lines.
"""

from __future__ import annotations

import re
import shutil
import sys
from pathlib import Path

from docs.generator import docstrings, reference, tables
from docs.generator.options import OptionFile, group_page, groups

DOCS = Path(__file__).parents[1]
ASKED = re.compile(r"^<!-- (table|reference): (\S+) -->$", re.MULTILINE)
OPTIONS = Path("reference") / "options"
_SHOWN = (".md", ".png", ".css", ".csv")


def write(folder: Path) -> None:
    """Write all pages and what they show into a folder, which is emptied first."""
    shutil.rmtree(folder, ignore_errors=True)
    by_group = groups()
    for file in sorted(DOCS.rglob("*")):
        if file.suffix not in _SHOWN or "generator" in file.parts:
            continue
        target = folder / file.relative_to(DOCS)
        target.parent.mkdir(parents=True, exist_ok=True)
        if file.suffix == ".md":
            target.write_text(ASKED.sub(lambda asked: _written(asked[1], asked[2], by_group), file.read_text()))
        else:
            shutil.copy(file, target)
    for group, files in by_group.items():
        if group:
            page = folder / OPTIONS / f"{group}.md"
            page.parent.mkdir(parents=True, exist_ok=True)
            page.write_text(group_page(group, files, _documented(files)))


def _written(kind: str, name: str, by_group: dict[str, list[OptionFile]]) -> str:
    if kind == "table":
        return tables.table(name)
    parts = {
        "commands": lambda: reference.commands(by_group[""]),
        "groups": lambda: reference.group_list(by_group),
        "metrics": reference.metrics,
        "catalog": reference.catalog,
    }
    return parts[name]()


def _documented(files: list[OptionFile]) -> dict[str, str]:
    return {target: docstrings.documented(target) for file in files for target in file.targets.values()}


if __name__ == "__main__":
    write(Path(sys.argv[1]))
