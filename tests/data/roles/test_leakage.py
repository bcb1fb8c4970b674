import hashlib

import pandas as pd

from mriad.data.roles.leakage import leaks, leaks_in_words


def scans_of(*rows: tuple[str, int, str] | tuple[str, int, str, str]) -> pd.DataFrame:
    """Scans of (role, label, look, patient)."""
    table = pd.DataFrame([(*row, "")[:4] for row in rows], columns=["role", "label", "look", "patient"])
    codes = [hashlib.sha256(look.encode()).hexdigest() for look in table["look"]]
    return table.assign(phash=codes, phash_head=codes)


LEAKY = scans_of(
    ("train", 0, "a"),
    ("train", 0, "b"),
    ("labelled", 1, "x"),
    ("val", 0, "a"),
    ("val", 1, "y"),
    ("test", 0, "a"),
    ("test", 0, "a"),
    ("test", 0, "c"),
    ("test", 1, "x"),
    ("test", 1, "y"),
)


def counts(found: pd.DataFrame) -> dict[tuple[str, int, str], tuple[int, int]]:
    return {(row.role, row.label, row.among): (row.leaked, row.scans) for row in found.itertuples()}


def test_scans_are_counted_by_label_and_by_the_roles_before_theirs():
    assert counts(leaks(LEAKY)) == {
        ("labelled", 1, "train"): (0, 1),
        ("val", 0, "train"): (1, 1),
        ("val", 1, "train"): (0, 1),
        ("val", 0, "labelled"): (0, 1),
        ("val", 1, "labelled"): (0, 1),
        ("test", 0, "train"): (2, 3),
        ("test", 1, "train"): (0, 2),
        ("test", 0, "labelled"): (0, 3),
        ("test", 1, "labelled"): (1, 2),
        ("test", 0, "val"): (2, 3),
        ("test", 1, "val"): (1, 2),
    }


def test_scans_of_one_patient_leak_and_look_alikes_of_two_do_not():
    scans = scans_of(("train", 0, "a", "p"), ("train", 0, "b", "q"), ("test", 0, "c", "p"), ("test", 0, "b", "r"))
    assert counts(leaks(scans)) == {("test", 0, "train"): (1, 2)}
    anonymous = scans_of(("train", 0, "b", "q"), ("test", 0, "b"))
    assert counts(leaks(anonymous)) == {("test", 0, "train"): (1, 1)}


def test_a_scan_in_two_roles_leaks():
    assert counts(leaks(scans_of(("train", 0, "a"), ("test", 0, "a"))))["test", 0, "train"] == (1, 1)


def test_what_leaks_into_test_is_told_in_one_clause_after_another():
    assert leaks_in_words(leaks(LEAKY), patients=False) == (
        "67 % of the healthy test scans (2 of 3) have a near duplicate in train, "
        "50 % of the anomalous test scans (1 of 2) have a near duplicate in labelled, "
        "67 % of the healthy test scans (2 of 3) have a near duplicate in val, "
        "50 % of the anomalous test scans (1 of 2) have a near duplicate in val"
    )
    assert "a near duplicate or their patient in train" in leaks_in_words(leaks(LEAKY), patients=True)


def test_what_leaks_into_val_is_told_where_test_is_clean():
    scans = scans_of(("train", 0, "a"), ("val", 0, "a"), ("test", 0, "b"))
    assert (
        leaks_in_words(leaks(scans), patients=False)
        == "100 % of the healthy val scans (1 of 1) have a near duplicate in train"
    )


def test_nothing_is_told_where_nothing_leaks_or_there_is_one_role():
    assert leaks_in_words(leaks(scans_of(("train", 0, "a"), ("test", 0, "b"), ("test", 0, "b"))), patients=False) == ""
    assert leaks_in_words(leaks(scans_of(("test", 0, "a"), ("test", 1, "a"))), patients=False) == ""


def test_bits_and_view_reach_the_comparison():
    scans = scans_of(("train", 0, "a"), ("test", 0, "b"))
    scans["phash_head"] = scans["phash_head"].iat[0]
    assert counts(leaks(scans, view="head"))["test", 0, "train"] == (1, 1)
    assert counts(leaks(scans, view="whole"))["test", 0, "train"] == (0, 1)
    scans.loc[1, "phash_head"] = f"{int(scans['phash_head'].iat[0], 16) ^ 0b1111:064x}"
    assert counts(leaks(scans, bits=4))["test", 0, "train"] == (1, 1)
    assert counts(leaks(scans, bits=3))["test", 0, "train"] == (0, 1)
