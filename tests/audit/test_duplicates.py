import numpy as np
import pandas as pd
import pytest

from mriad.data.roles.leakage import duplicates_by_role, is_repeated

from .conftest import picture, scans_of


def table_of(held):
    hashes = held.facts[["phash", "phash_head"]]
    return held.scans.join(hashes, on="row")


def counts(table):
    return {(row.role, row.label, row.within): (row.duplicated, row.scans) for row in table.itertuples()}


def test_scans_alike_are_counted_in_the_role_itself_and_in_those_before_it(leaky):
    assert counts(duplicates_by_role(table_of(leaky))) == {
        ("train", "healthy", "train"): (0, 10),
        ("val", "healthy", "train"): (0, 2),
        ("val", "healthy", "val"): (0, 2),
        ("val", "anomalous", "train"): (0, 2),
        ("val", "anomalous", "val"): (0, 2),
        ("test", "healthy", "train"): (3, 5),
        ("test", "healthy", "val"): (0, 5),
        ("test", "healthy", "test"): (0, 5),
        ("test", "anomalous", "train"): (0, 5),
        ("test", "anomalous", "val"): (0, 5),
        ("test", "anomalous", "test"): (0, 5),
    }


def test_rows_stand_in_the_order_of_the_roles_whatever_that_of_the_scans(leaky):
    table = duplicates_by_role(table_of(leaky))
    shuffled = duplicates_by_role(table_of(leaky).sample(frac=1, random_state=0))
    pd.testing.assert_frame_equal(shuffled, table)
    assert list(dict.fromkeys(table["role"] + " " + table["label"])) == [
        "train healthy",
        "val healthy",
        "val anomalous",
        "test healthy",
        "test anomalous",
    ]


def test_shares_are_those_of_the_counts(leaky):
    table = duplicates_by_role(table_of(leaky))
    np.testing.assert_allclose(table["share"], table["duplicated"] / table["scans"])
    assert table["share"].max() == pytest.approx(3 / 5)


def test_inside_a_role_a_scan_is_not_its_own_duplicate():
    pictures = [picture(0), picture(1), picture(0), picture(2)]
    scans = scans_of(pictures, ["train"] * 4, [0] * 4)
    assert counts(duplicates_by_role(table_of(scans))) == {("train", "healthy", "train"): (2, 4)}


def test_a_scan_used_in_two_roles_leaks_into_both():
    pictures = [picture(0), picture(1), picture(2)]
    once = scans_of(pictures, ["train"] * 3, [0] * 3)
    scans = pd.concat([table_of(once), table_of(once).iloc[:2].assign(role="test")])
    found = counts(duplicates_by_role(scans))
    assert found["test", "healthy", "train"] == (2, 2)
    assert found["test", "healthy", "test"] == (0, 2)


def test_across_roles_scans_of_one_patient_count_and_those_of_two_do_not():
    alike, other = picture(0), picture(1)
    held = scans_of([alike, alike, other, alike, other], ["train"] * 2 + ["test"] * 3, [0] * 5)
    scans = table_of(held).assign(patient=["a", "b", "c", "d", "a"])
    found = counts(duplicates_by_role(scans))
    assert found["test", "healthy", "train"] == (1, 3)  # the other scan of a
    assert found["train", "healthy", "train"] == (0, 2)
    assert found["test", "healthy", "test"] == (0, 3)
    unknown = counts(duplicates_by_role(scans.assign(patient=["a", "b", "c", "", "a"])))
    assert unknown["test", "healthy", "train"] == (2, 3)  # nobody knows that d is not a


def test_only_members_of_larger_clusters_are_repeated():
    assert list(is_repeated(np.array([5, 0, 5, 2, 0, 5, 9]))) == [True, True, True, False, True, True, False]
