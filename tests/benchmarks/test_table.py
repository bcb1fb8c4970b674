import pytest

from benchmarks.table import COLUMNS, Row, Target, as_markdown, machine


def row(**changes):
    return Row(**{"work": "a thing", "against": "another", "value": 1.05, "unit": "times", **changes})


@pytest.mark.parametrize(
    ("target", "value", "verdict"),
    [
        (Target(limit=1.1), 1.1, "met"),
        (Target(limit=1.1), 1.2, "missed"),
        (Target(limit=2, bound="at least"), 2.0, "met"),
        (Target(limit=2, bound="at least"), 1.9, "missed"),
        (Target(limit=15, bound="under"), 15.0, "missed"),
        (Target(limit=15, bound="under"), 14.9, "met"),
        (Target(limit=15), None, ""),
        (None, 3.0, ""),
    ],
)
def test_a_value_is_held_against_its_target(target, value, verdict):
    assert row(target=target, value=value).verdict == verdict


def test_target_and_measured_value_stand_side_by_side():
    cells = row(target=Target(limit=1.08), how="medians of 5").cells()
    assert cells == ("a thing", "another", "at most 1.08 times", "1.05 times", "met", "medians of 5")


def test_markdown_names_the_machine_and_has_a_line_for_each_row():
    lines = as_markdown([("first", row()), ("second", row(value=None))]).splitlines()
    assert lines[0] == machine()
    assert lines[2].split(" | ")[0] == f"| {COLUMNS[0]}"
    assert [line.split(" | ")[0] for line in lines[4:]] == ["| first", "| second"]
    assert {line.count("|") for line in lines[2:]} == {len(COLUMNS) + 1}
