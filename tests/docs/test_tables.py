import csv
import re
from pathlib import Path

import pytest

from benchmarks.results.costs import read_costs
from benchmarks.results.table import FOLDER, Definition, Line, read_lines, write_lines
from docs.generator.tables import MARK, rows, table

REPOSITORY = Path(__file__).parents[2]
NAMES = sorted(file.stem for file in FOLDER.glob("*.yaml"))
SMALL = """
heading: "`model=`"
command: python train.py -m data=br35h
variants: {random: group=none, honest: group=auto}
columns:
  "random: AUROC": auroc random
  "honest: AUROC": {metric: auroc, variant: honest, share_of: "`ae`"}
rows:
  "`ae`": model=ae seed=0,1
  "`pca`": {options: model=pca, variants: [honest]}
  by chance: null
"""


@pytest.fixture
def small(tmp_path):
    (tmp_path / "small.yaml").write_text(SMALL)
    values = {"auroc": "0.50", "auroc_sd": "0.010", "auroc_low": "0.4", "auroc_high": "0.6"}
    lines = [
        Line(row="`ae`", variant="random", values=values, command="c", commit="abc", date="2026-01-01"),
        Line(row="`ae`", variant="honest", values={"auroc": "0.800"}, command="d", commit="def", date="2026-01-02"),
        Line(row="`pca`", variant="honest", values={"auroc": "0.600", "auroc_note": "odd"}, command="e", commit="def"),
        Line(row="by chance", variant="random", values={"auroc": "0.5"}, source="a coin"),
    ]
    write_lines("small", ["auroc"], lines, tmp_path)
    return tmp_path


def unchanged(commit, command):
    return []


@pytest.mark.parametrize("name", NAMES)
def test_every_line_is_of_a_row_and_says_where_it_comes_from(name):
    definition = Definition.read(name)
    lines = read_lines(definition.source)
    if not lines:
        pytest.skip(f"{name} has not been measured yet")
    assert {line.row for line in lines} == set(definition.rows)
    for line in lines:
        assert line.variant in definition.places and line.values
        assert line.source or (line.command and line.commit and line.date and line.machine)
        told = definition.commands(line.row).get(line.variant, "")
        if line.variant in definition.evaluations:
            told = f"python evaluate.py run=RUN_ID {definition.evaluations[line.variant]}"
        assert line.source or line.command.startswith(told)


@pytest.mark.parametrize("file", sorted(FOLDER.glob("*.csv")), ids=lambda file: file.stem)
def test_every_table_is_shown_on_a_page(file):
    with file.open() as stream:
        assert list(csv.DictReader(stream))
    shown = "".join(page.read_text() for page in FOLDER.glob("*.md"))
    assert f"\n[table: {file.stem}]({file.name})\n" in shown


def test_a_cell_holds_value_spread_interval_and_note(small):
    cells = rows(Definition.read("small", small), read_lines("small", small))
    assert cells == {
        "`ae`": ["0.50 ± 0.010 [0.4, 0.6]", "0.800"],
        "`pca`": ["", "0.600 (odd), 75 % of it"],
        "by chance": ["0.5", ""],
    }


def test_values_are_printed_as_the_file_has_them(small):
    assert [line.values["auroc"] for line in read_lines("small", small)] == ["0.50", "0.800", "0.600", "0.5"]


def test_a_row_on_which_a_change_bears_is_marked_and_says_what_changed(small):
    text = table("small", folder=small, changes=lambda commit, command: ["mriad/a.py"] if commit == "abc" else [])
    assert f"| `ae` {MARK} |" in text and f"`pca` {MARK}" not in text
    assert "| abc | 2026-01-01 |  | `mriad/a.py` |" in text
    assert "have changed since it was measured" in text


def test_a_row_that_nothing_changed_says_nothing(small):
    text = table("small", folder=small, changes=unchanged)
    assert MARK not in text and "cannot be said" not in text


def test_without_history_the_table_says_that_it_cannot_tell(small):
    text = table("small", folder=small, changes=lambda commit, command: None)
    assert MARK not in text and "without its git history" in text


def test_what_is_given_has_a_source_and_no_commit(small):
    (line,) = [line for line in table("small", folder=small, changes=unchanged).splitlines() if "a coin" in line]
    assert "unknown" not in line


def test_costs_are_shown_with_their_commit(tmp_path):
    text = table("costs", changes=lambda commit, command: [] if command is None else ["wrong"])
    for line in read_costs():
        assert f"| {line['row']} | {line['work']} |" in text
        assert line["commit"] in text


def test_the_figures_of_the_readme_are_those_of_the_tables():
    tables = [rows(definition, read_lines(definition.name)) for definition in map(Definition.read, NAMES)]
    shown = re.findall(r"^\| (.+?) \| (.*\d\.\d.*) \|$", (REPOSITORY / "README.md").read_text(), re.MULTILINE)
    assert len(shown) >= 4
    for label, cells in shown:
        wanted = [cell.strip() for cell in cells.split("|") if cell.strip()]
        assert any(label in found and set(wanted) <= set(found[label]) for found in tables), label
