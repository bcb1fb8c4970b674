import numpy as np
import pandas as pd
import pytest

from mriad.compare.scans import common_scans
from mriad.errors import MriadError


def table(paths="abcd", groups="1122", labels=(0, 0, 1, 1), scores=(1.0, 2.0, 3.0, 4.0)):
    return pd.DataFrame({"path": list(paths), "group": list(groups), "label": labels, "score": scores})


def refusal(**tables):
    with pytest.raises(MriadError) as error:
        common_scans(tables)
    return str(error.value)


def test_scores_are_aligned_by_path_whatever_the_order_of_the_rows():
    shuffled = table("dbac", "2112", (1, 0, 0, 1), (40.0, 20.0, 10.0, 30.0))
    scans = common_scans({"one": table(), "two": shuffled})
    assert scans.table["path"].tolist() == ["a", "b", "c", "d"]
    assert scans.table["group"].tolist() == ["1", "1", "2", "2"]
    assert scans.labels.tolist() == [0, 0, 1, 1]
    assert scans.scores["one"].tolist() == [1, 2, 3, 4]
    assert scans.scores["two"].tolist() == [10, 20, 30, 40]
    assert scans.notes == []


def test_another_test_set_is_refused_with_the_runs_and_the_scans_that_differ():
    text = refusal(one=table(), two=table(), three=table("abxy"), four=table("abc", "112", (0, 0, 1), (1.0, 2.0, 3.0)))
    assert "those of run one are not those of run three (lacks 2 of its 4 scans, has 2 others)" in text
    assert "run four (lacks 1 of its 4 scans, has 0 others)" in text
    assert "run two" not in text
    assert "leave such runs out" in text


def test_other_labels_of_the_same_scans_are_refused():
    text = refusal(one=table(), two=table(labels=(0, 1, 1, 0)))
    assert text.startswith("Run two labels 2 of the 4 test scans otherwise than run one, b first;")


@pytest.mark.parametrize(("label", "name"), [(0, "healthy"), (1, "anomalous")])
def test_a_test_set_of_one_label_is_refused(label, name):
    assert f"The 4 test scans of run one are all {name}" in refusal(one=table(labels=[label] * 4))


@pytest.mark.parametrize("broken", [np.nan, np.inf])
def test_scores_that_are_not_finite_are_refused(broken):
    assert "Run two has scores that are not finite" in refusal(one=table(), two=table(scores=(1.0, broken, 3.0, 4.0)))


def test_groups_under_other_names_are_the_same_groups():
    scans = common_scans({"one": table(), "two": table(groups="yyxx")})
    assert scans.table["group"].tolist() == ["1", "1", "2", "2"]
    assert scans.notes == []


@pytest.mark.parametrize("order", [1, -1])
def test_of_two_groupings_the_coarser_counts_and_is_told(order):
    tables = {"fine": table(groups="abcd"), "coarse": table(groups="xxcd")}
    scans = common_scans(dict(list(tables.items())[::order]))
    group = scans.table["group"].tolist()
    assert group[0] == group[1] and len(set(group)) == 3
    assert "(3 groups)" in scans.notes[0]


def test_scans_that_any_run_keeps_together_stay_together():
    scans = common_scans({"one": table(groups="xxyz"), "two": table(groups="xyyz")})
    group = scans.table["group"].tolist()
    assert group[0] == group[1] == group[2] != group[3]
