import hashlib
from dataclasses import replace
from pathlib import Path

import pandas as pd
import pytest

from mriad.data.catalog import Catalog
from mriad.data.roles.identity import marks
from mriad.data.roles.recorded import RecordedSplit, SplitFromInit
from mriad.data.roles.rules import check
from mriad.data.roles.splits import GroupedSplit
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


KEY = "0f" * 16


def of_contents(contents: dict[str, str]) -> pd.DataFrame:
    """A table of files by path, with what they hold."""
    table = table_of(list(contents))
    return table.assign(content=table["path"].map(contents))


def drawn(contents: dict[str, str], roles: dict[str, str], *, key: str | None = None) -> RecordedSplit:
    scans = pd.DataFrame({"path": list(contents), "content": list(contents.values()), "role": list(roles.values())})
    scans["group"] = range(len(scans))
    for kind in ("path", "content"):
        scans[kind] = marks(scans[kind], kind=kind, key=key)
    return RecordedSplit(scans=scans, key=key)


def roles_of(split: RecordedSplit, contents: dict[str, str]) -> dict[str, str]:
    table = of_contents(contents)
    return {path: roles[0][1] for path, found in by_path(split(table), table).items() for roles in [sorted(found)]}


THEN = {"a": "1", "b": "2", "c": "3", "d": "4"}
ROLES = {"a": "train", "b": "train", "c": "val", "d": "test"}


@pytest.mark.parametrize("key", [None, KEY])
@pytest.mark.parametrize(
    ("now", "roles"),
    [
        (THEN, ROLES),
        ({"w": "1", "x": "2", "y": "3", "z": "4"}, {"w": "train", "x": "train", "y": "val", "z": "test"}),
        ({"a": "4", "b": "3", "c": "2", "d": "1"}, {"a": "test", "b": "val", "c": "train", "d": "train"}),
        ({"b": "1", "c": "2", "d": "3", "e": "4"}, {"b": "train", "c": "train", "d": "val", "e": "test"}),
        ({"a": "1", "b": "2", "c": "3", "d": "1"}, {"a": "train", "b": "train", "c": "val"}),
        ({"a": "1", "b": "9", "c": "3", "d": "8"}, {"a": "train", "c": "val"}),
    ],
    ids=["as they were", "renamed", "swapped", "renumbered", "a test file that holds a train scan", "other contents"],
)
def test_a_scan_keeps_the_role_of_its_content_wherever_it_lies(now, roles, key):
    assert roles_of(drawn(THEN, ROLES, key=key), now) == roles


def test_files_that_hold_something_else_than_then_are_counted_apart(caplog):
    drawn(THEN, ROLES)(of_contents({"a": "1", "b": "9", "c": "8", "e": "7", "f": "6"}))
    assert "2 files that stand in the checkpoint, such as b, hold something else than then and take no" in caplog.text
    assert "1 of 4 scans that the checkpoint names are not there; 2 scans that are there are not named" in caplog.text


def test_the_same_content_may_stand_several_times():
    split = drawn({"a": "1", "b": "1", "c": "1"}, {"a": "train", "b": "train", "c": "test"})
    assert roles_of(split, {"a": "1", "b": "1", "c": "1"}) == {"a": "train", "b": "train", "c": "test"}
    assert sorted(roles_of(split, {"x": "1", "b": "1", "y": "1"}).values()) == ["test", "train", "train"]
    assert roles_of(split, {"a": "1", "b": "1", "c": "1", "d": "1"}) == {"a": "train", "b": "train", "c": "test"}


@pytest.mark.parametrize("key", [None, KEY])
def test_files_of_which_none_holds_what_it_did_are_told(key):
    with pytest.raises(MriadError, match="All 4 files that stand in the checkpoint and are there hold something else"):
        drawn(THEN, ROLES, key=key)(of_contents({"a": "6", "b": "7", "c": "8", "d": "9"}))
    with pytest.raises(MriadError, match="No scan of the data set stands in the checkpoint") as error:
        drawn(THEN, ROLES, key=key)(of_contents({"x": "6"}))
    assert ("whose first is a" in str(error.value)) is (key is None)


def test_where_no_content_was_recorded_the_path_tells():
    split = RecordedSplit(scans=pd.DataFrame({"path": ["a", "b"], "role": ["train", "test"], "group": ["a", "b"]}))
    assert roles_of(split, {"a": "9", "c": "1"}) == {"a": "train"}


def with_pool(records):
    """A table of (path, label, pool, group), each file of its own content."""
    listed = [{"path": path, "label": label, "pool": pool} for path, label, pool, _ in records]
    table = Catalog.from_records(listed, root=Path("/scans")).table
    return table.assign(content=table["path"], group=table["path"].map({path: group for path, *_, group in records}))


def test_new_scans_train_or_fill_the_labelled_pool_where_they_are_asked_for(caplog):
    caplog.set_level("INFO")
    old = [("a", 0, "", "a"), ("b", 0, "", "b"), ("c", 1, "", "c")]
    scans = pd.DataFrame({"path": list("abc"), "content": list("abc"), "role": ["train", "val", "test"]})
    new = [
        ("d", 0, "", "d"), ("e", 1, "labelled", "e"),  # these are taken
        ("f", 1, "", "f"),  # anomalous, and nothing says where
        ("g", 0, "", "f"), ("h", 0, "", "e"),  # healthy, of those who are not
        ("i", 0, "", "b"), ("j", 1, "labelled", "c"),  # of those who have a role
    ]  # fmt: skip
    table = with_pool([*old, *new])
    assert by_path(RecordedSplit(scans=scans)(table), table).keys() == set("abc")
    split = RecordedSplit(scans=scans, takes_new=True)(table)
    roles = {path: role for path, found in by_path(split, table).items() for _, role in found}
    assert roles == {"a": "train", "b": "val", "c": "test", "d": "train", "e": "labelled"}
    assert "2 scans are new: 1 healthy ones train, 1 stand in the labelled pool." in caplog.text
    assert "5 scans that are there are not named" in caplog.text
    codes = [hashlib.sha256(path.encode()).hexdigest() for path in table["path"]]
    check(split, table.assign(phash=codes, phash_head=codes))


def test_a_file_that_holds_something_else_than_then_is_not_new():
    split = replace(drawn(THEN, ROLES), takes_new=True)
    assert roles_of(split, {"a": "1", "b": "9", "c": "3", "e": "7"}) == {"a": "train", "c": "val", "e": "train"}


def test_roles_of_another_detector_need_one():
    with pytest.raises(MriadError, match="there is no init; set init=RUN_ID"):
        SplitFromInit()(table_of(["a.png"]))
