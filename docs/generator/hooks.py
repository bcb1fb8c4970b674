"""What mkdocs calls while it builds the site: it adds the pages of the options and fills in what pages ask for.

A page asks with a line ``<!-- table: NAME -->`` for a table of results and ``<!-- reference: NAME -->`` for a part of
the reference; on a site that shows the bare Markdown, such lines are not seen.
"""

from __future__ import annotations

import re
import sys
from pathlib import Path
from typing import Any

ROOT = Path(__file__).parents[2]
sys.path.insert(0, str(ROOT))  # mkdocs loads this file by its path

from mkdocs.config.defaults import MkDocsConfig  # noqa: E402
from mkdocs.structure.files import File, Files  # noqa: E402

from docs.generator import docstrings, reference, tables  # noqa: E402
from docs.generator.options import group_page, groups  # noqa: E402

ASKED = re.compile(r"^<!-- (table|reference): (\S+) -->$", re.MULTILINE)
OPTIONS = "reference/options"
_FIRST = ("data", "model", "score", "threshold", "split", "augment", "anomalies", "trainer")


def on_config(config: MkDocsConfig) -> MkDocsConfig:
    """Put the pages of the option groups into the navigation, where ``reference/options`` stands."""
    pages = [{group: f"{OPTIONS}/{group}.md"} for group in _groups()]
    config.nav = _filled(config.nav, pages)
    config.watch += [str(ROOT / "conf"), str(ROOT / "mriad")]
    return config


def on_files(files: Files, config: MkDocsConfig) -> Files:
    """Add the pages of the option groups."""
    for group, option_files in _groups().items():
        targets = {target for file in option_files for target in file.targets.values()}
        documented = {target: docstrings.documented(target) for target in targets}
        content = group_page(group, option_files, documented)
        files.append(File.generated(config, f"{OPTIONS}/{group}.md", content=content))
    return files


def on_page_markdown(markdown: str, **_: Any) -> str:
    """Fill in what the page asks for."""
    return ASKED.sub(lambda asked: _written(asked[1], asked[2]), markdown)


def _written(kind: str, name: str) -> str:
    if kind == "table":
        return tables.table(name)
    if name == "commands":
        return reference.commands(groups()[""])
    return {"metrics": reference.metrics, "catalog": reference.catalog, "groups": _group_list}[name]()


def _group_list() -> str:
    rows = [
        [f"[`{group}`](options/{group}.md)", " ".join(f"`{file.name}`" for file in files)]
        for group, files in _groups().items()
    ]
    return "\n".join(tables.as_markdown(["group", "choices"], rows))


def _groups() -> dict[str, Any]:
    found = {group: files for group, files in groups().items() if group}
    return {group: found[group] for group in sorted(found, key=lambda group: (*_FIRST, group).index(group))}


def _filled(nav: Any, pages: list[dict[str, str]]) -> Any:
    if isinstance(nav, list):
        return [_filled(item, pages) for item in nav]
    if isinstance(nav, dict):
        return {key: pages if value == OPTIONS else _filled(value, pages) for key, value in nav.items()}
    return nav
