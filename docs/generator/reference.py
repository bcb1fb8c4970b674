"""The pages of the reference that are written from code: commands, metrics, the catalog."""

from __future__ import annotations

import re
import subprocess
import sys
from pathlib import Path

from docs.generator import docstrings
from docs.generator.options import OptionFile, keys
from docs.generator.tables import as_markdown

ROOT = Path(__file__).parents[2]
TYPED = {  # what a user types, by the config of the command
    "train": "python train.py",
    "evaluate": "python evaluate.py",
    "predict": "python predict.py",
    "listen": "mriad listen",
    "export": "mriad export",
    "serve": "mriad serve",
    "audit": "python -m mriad.audit",
    "register": "mriad register",
}
PLAIN = ("mriad.compare", "mriad.tracking", "benchmarks.results")  # commands without Hydra
_MEASURES = (
    "image_metrics",
    "metrics_by_class",
    "pixel_metrics",
    "lesion_metrics",
    "slice_metrics",
    "patient_table",
    "lesion_volume_metrics",
)


def commands(configs: list[OptionFile]) -> str:
    """Every command with its options.

    Args:
        configs: the configs of the commands that run under Hydra.
    """
    lines = []
    for file in sorted(configs, key=lambda file: list(TYPED).index(file.name)):
        lines += [f"## {TYPED[file.name]}", "", f"`{file.about}`", ""]
        if file.brings:
            lines += [f"By default {', '.join(f'`{choice}`' for choice in file.brings)}.", ""]
        lines += [*keys(file), ""]
    for module in PLAIN:
        told = subprocess.run([sys.executable, "-m", module, "--help"], cwd=ROOT, capture_output=True, text=True)
        if told.returncode:
            raise RuntimeError(f"python -m {module} --help: {told.stderr}")
        lines += [f"## python -m {module}", "", "```text", told.stdout.rstrip(), "```", ""]
    return "\n".join([*lines, "## make", "", *_make()])


def metrics() -> str:
    """What metrics are called, and what each measures."""
    named: dict[str, str] = {}
    for group in ("IMAGE", "PIXEL", "LESION", "PIXEL_WITH_HEALTHY", "VOLUME"):
        named |= {name: label for name, label in docstrings.value(f"names.{group}") if name not in named}
    rows = [[f"`test/{name}`", label] for name, label in named.items()]
    lines = [*as_markdown(["name", "where a person reads it"], rows), ""]
    for name in _MEASURES:
        lines += [f"## {name.replace('_', ' ').capitalize()}", "", docstrings.function(name), ""]
    return "\n".join(lines)


def catalog() -> str:
    """The columns of the table of scans."""
    return "\n".join(as_markdown(["column", ""], [[f"`{key}`", said] for key, said in _columns().items()]))


def _columns() -> dict[str, str]:
    columns: dict[str, str] = docstrings.value("catalog.COLUMNS")
    return columns


def _make() -> list[str]:
    """The targets that the head of the Makefile describes, two on a line."""
    head = [line[1:].strip() for line in (ROOT / "Makefile").read_text().splitlines() if line.startswith("# make ")]
    told = [part for line in head for part in re.split(r"\s{3,}(?=make )", line)]
    rows = [re.split(r"\s{3,}", part, maxsplit=1) for part in told]
    return as_markdown(["target", ""], [[f"`{target}`", said] for target, said in rows])


def group_list(by_group: dict[str, list[OptionFile]]) -> str:
    """The groups of options, each with its choices and the page that says more."""
    rows = [
        [
            f"[`{group}`](options/{group}.md)",
            " ".join(f"`{file.name}`" for file in files if not file.name.endswith("base")),
        ]
        for group, files in by_group.items()
        if group
    ]
    return "\n".join(as_markdown(["group", "choices"], rows))
