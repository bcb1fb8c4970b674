import numpy as np
import pytest
from sklearn.metrics import cohen_kappa_score

from mriad.review.agreement import agreement, kappa
from mriad.review.marks import Mark, readings


def said(reader, path, mark, decision=1, **more):
    told = {"time": "t", "reader": reader, "path": path, "mark": mark, "decision": decision, "lesions": 2, "score": 1}
    return Mark.of(told | more)


def value(table, reader, other, of, measure):
    rows = table[(table["reader"] == reader) & (table["other"] == other) & (table["of"] == of)]
    (row,) = rows[rows["measure"] == measure].itertuples()
    return row


def test_kappa_is_the_one_of_scikit_learn_in_each_resample():
    rng = np.random.default_rng(0)
    one, other = rng.integers(0, 2, (2, 40))
    other[:25] = one[:25]
    weights = rng.integers(0, 4, (6, 40)).astype(np.uint16)
    expected = [cohen_kappa_score(one.repeat(row), other.repeat(row)) for row in weights]
    assert kappa(one, other, weights) == pytest.approx(expected)


def test_readers_are_held_against_the_detector_and_each_other():
    marks = []
    for scan in range(20):  # the detector calls the first ten; of these two are false, of the others one was missed
        decision = int(scan < 10)
        for reader in ("anna", "béla"):
            mark = "false" if scan in (0, 1) else "miss" if scan == 15 else "agree"
            if reader == "béla" and scan in (2, 19):
                mark = {2: "false", 19: "unsure"}[scan]
            marks.append(said(reader, f"{scan}.nii", mark, decision))
    table = agreement(readings(marks))
    by = {
        name: value(table, "anna", "detector", "scans", name)
        for name in table["measure"].unique()
        if "by both" not in name and "all" not in name
    }
    assert (by["read"].value, by["unsure"].value) == (20, 0)
    assert by["agreement"].value == pytest.approx(17 / 20)
    assert by["sensitivity"].value == pytest.approx(8 / 9) and by["sensitivity"].n == 9
    assert by["specificity"].value == pytest.approx(9 / 11)
    assert by["agreement"].low < 17 / 20 < by["agreement"].high
    assert by["kappa"].value == pytest.approx(
        cohen_kappa_score([1] * 10 + [0] * 10, [0, 0] + [1] * 8 + [0] * 5 + [1] + [0] * 4)
    )
    assert value(table, "béla", "detector", "scans", "unsure").value == 1
    both = value(table, "anna", "béla", "scans", "agreement")
    assert (both.value, both.n) == (pytest.approx(18 / 19), 19)


def test_lesions_are_counted_in_scans_whose_lesions_are_all_marked():
    marks = []
    for scan in range(4):
        for which, mark in ((1, "true"), (2, "false")):
            if (scan, which) != (3, 2):
                marks.append(said("anna", f"{scan}.nii", mark, lesion=which, x=0, y=0, z=which))
    marks.append(said("anna", "0.nii", "missed", x=9, y=9, z=9))
    marks.append(said("anna", "clean.nii", "agree", 0, lesions=0))
    table = agreement(readings(marks))
    measure = {row.measure: row for row in table[table["of"] == "lesions"].itertuples()}
    assert measure["scans with all marked"].value == 4
    assert [measure[name].value for name in ("true", "false", "missed")] == [3, 3, 1]
    assert measure["precision"].value == pytest.approx(0.5)
    assert measure["sensitivity"].value == pytest.approx(3 / 4)
    assert measure["false per scan"].value == pytest.approx(3 / 4)
    assert measure["false per scan"].low < 3 / 4 < measure["false per scan"].high


def test_readers_who_agree_on_every_scan_are_not_certain_to_agree():
    marks = [said(reader, f"{scan}.nii", "agree", scan % 2) for scan in range(6) for reader in ("a", "b")]
    found = value(agreement(readings(marks)), "a", "b", "scans", "kappa")
    assert found.value == 1 and found.low < 0.3 and found.high == 1


def test_kappa_is_not_known_where_both_say_the_same_of_all():
    marks = [said(reader, f"{scan}.nii", "agree") for scan in range(6) for reader in ("a", "b")]
    assert np.isnan(value(agreement(readings(marks)), "a", "b", "scans", "kappa").value)


def test_scans_of_one_patient_are_resampled_together():
    apart = [said("a", f"{scan}.nii", "false" if scan % 2 else "agree") for scan in range(40)]
    together = [
        said("a", f"{scan}.nii", "false" if scan % 2 else "agree", patient=f"p{scan % 4}") for scan in range(40)
    ]
    widths = []
    for marks in (apart, together):
        row = value(agreement(readings(marks)), "a", "detector", "scans", "agreement")
        widths.append(row.high - row.low)
    assert widths[1] > 1.5 * widths[0]


def test_a_lesion_of_an_earlier_prediction_is_no_case():
    marks = [said("a", "0.nii", "true", lesion=1, x=0, y=0, z=0), said("b", "0.nii", "true", lesion=1, x=0, y=0, z=40)]
    assert value(agreement(readings(marks)), "a", "b", "lesions", "marked by both").value == 0
