import json
from pathlib import Path

import pandas as pd
import pytest

from mriad.experiment.data import data_sets, digest


class Data:
    """A data module as far as its scans go."""

    name, root = "toys", Path("/scans")

    def __init__(self, table):
        self.table = table
        self.training_set = self

    def scans(self, role):
        return self.table[self.table["role"] == role]

    def labelled_rows(self):
        return self.table.index[self.table["role"] == "labelled"][:1]


@pytest.fixture
def table():
    columns = ["content", "label", "role", "mask", "group", "patient"]
    rows = [
        ("a", 0, "train", "", "1", "p"),
        ("b", 0, "train", "", "1", "p"),
        ("c", 0, "val", "", "2", ""),
        ("d", 1, "val", "d.png", "3", "q"),
        ("e", 1, "test", "", "4", "r"),
    ]
    return pd.DataFrame(rows, columns=columns)


def test_each_role_is_a_data_set_with_its_size(table):
    train, val, test = data_sets(Data(table))
    assert [one["context"] for one in (train, val, test)] == ["training", "validation", "test"]
    assert {one["name"] for one in (train, val, test)} == {"toys"}
    assert json.loads(train["source"]) == {"uri": "/scans"}
    sizes = {"scans": 2, "healthy": 1, "anomalous": 1, "with_mask": 1, "groups": 2, "patients": 1}
    assert json.loads(val["profile"]) == sizes
    assert len({one["digest"] for one in (train, val, test)}) == 3


def test_of_the_labelled_pool_that_counts_which_trains(table):
    pool = pd.DataFrame(
        [("f", 1, "labelled", "f.png", "5", ""), ("g", 1, "labelled", "g.png", "6", "")], columns=table.columns
    )
    (labelled,) = data_sets(Data(pd.concat([table, pool], ignore_index=True)), roles=("labelled",))
    assert labelled["context"] == "labelled training"
    assert json.loads(labelled["profile"])["scans"] == 1


def test_the_digest_is_that_of_contents_and_labels(table):
    renamed = table.iloc[::-1].assign(path="elsewhere.png")
    assert digest(table) == digest(renamed)
    assert len(digest(table)) <= 36  # more than MLflow keeps
    assert digest(table) != digest(table.assign(label=0))
    assert digest(table) != digest(table.iloc[1:])
