from pathlib import Path

import pandas as pd
import pytest

from mriad.data.catalog import Catalog
from mriad.data.recorded import RecordedSplit
from mriad.data.splits import GroupedSplit
from mriad.errors import MriadError


def table_of(paths: list[str]) -> pd.DataFrame:
    return Catalog.from_records([{"path": path, "label": 0} for path in paths], root=Path("/scans")).table


def by_path(split: pd.DataFrame, table: pd.DataFrame) -> dict[str, set[tuple[str, str]]]:
    paths = table["path"].loc[split["row"]].to_numpy()
    found: dict[str, set[tuple[str, str]]] = {}
    for path, group, role in zip(paths, split["group"], split["role"], strict=True):
        found.setdefault(path, set()).add((group, role))
    return found


def recorded(split: pd.DataFrame, table: pd.DataFrame, **options: object) -> RecordedSplit:
    paths = table["path"].loc[split["row"]].to_numpy()
    return RecordedSplit(scans=split.assign(path=paths)[["path", "role", "group"]], **options)


def test_the_roles_are_given_again_whatever_the_order_and_number_of_the_scans():
    table = table_of([f"{n:02}" for n in range(30)])
    split = GroupedSplit(group="none")(table)
    more = table_of([f"{n:02}" for n in range(30)] + ["000", "99"])
    again = recorded(split.sample(frac=1, random_state=0), table)(more)
    assert by_path(again, more) == by_path(split, table)


def test_a_scan_keeps_all_roles_of_a_published_split():
    table = table_of(["a", "b"])
    split = pd.DataFrame({"row": [0, 0, 1], "group": ["a", "a", "b"], "role": ["train", "test", "test"]})
    again = recorded(split, table, published=True)
    assert again.published is True
    assert by_path(again(table), table) == {"a": {("a", "train"), ("a", "test")}, "b": {("b", "test")}}


def test_scans_that_came_and_went_are_counted(caplog):
    table = table_of(["a", "b", "c"])
    split = GroupedSplit(group="none")(table)
    found = recorded(split, table, source="split.csv")(table_of(["b", "c", "d", "e"]))
    assert len(found) == 2
    assert "1 of 3 scans that split.csv names are not there; 2 scans that are there are not named" in caplog.text


def test_nothing_is_said_where_all_are_there(caplog):
    table = table_of(["a", "b", "c"])
    recorded(GroupedSplit(group="none")(table), table)(table)
    assert caplog.text == ""


def test_another_data_set_is_told():
    table = table_of(["a", "b", "c"])
    split = recorded(GroupedSplit(group="none")(table), table)
    with pytest.raises(MriadError, match="No scan of the data set stands in the checkpoint, whose first is a;"):
        split(table_of(["x", "y"]))
