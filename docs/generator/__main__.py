"""Write the pages that a site is built from: ``python -m docs.generator FOLDER``.

They are those of ``docs/``, with what they ask for filled in, and a page for each group of options. A page asks with a
line ``[table: NAME](NAME.csv)`` for a table of results, so that who reads the bare Markdown finds the figures, and with
``<!-- reference: NAME -->`` for a part of the reference.
"""

from __future__ import annotations

import re
import shutil
import sys
from pathlib import Path

from docs.generator import docstrings, reference, tables
from docs.generator.options import OptionFile, group_page, groups

DOCS = Path(__file__).parents[1]
TABLE = re.compile(r"^\[table: (\S+)\]\(\1\.csv\)$", re.MULTILINE)
REFERENCE = re.compile(r"^<!-- reference: (\S+) -->$", re.MULTILINE)
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
            text = TABLE.sub(lambda asked: tables.table(asked[1]), file.read_text())
            target.write_text(REFERENCE.sub(lambda asked: _reference(asked[1], by_group), text))
        else:
            shutil.copy(file, target)
    for group, files in by_group.items():
        if group:
            page = folder / OPTIONS / f"{group}.md"
            page.parent.mkdir(parents=True, exist_ok=True)
            page.write_text(group_page(group, files, _documented(files)))


def _reference(name: str, by_group: dict[str, list[OptionFile]]) -> str:
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
