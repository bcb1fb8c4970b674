import logging
from collections.abc import Sequence

import numpy as np
import pandas as pd
import pytest

from mriad.data.roles.grouping import facts_of, groups, has_near_duplicate, joined, near_duplicate_clusters, recognised
from mriad.errors import MriadError

TABLE = pd.DataFrame({"path": ["a", "b", "c", "d", "p1"], "patient": ["p1", "p1", "p2", "", ""]})


def random_bits(n: int, seed: int = 0) -> np.ndarray:
    return np.random.default_rng(seed).integers(0, 2, (n, 256))


def scans_of(
    looks: Sequence[tuple[int, int]], patients: Sequence[str] | None = None, *, name: str = ""
) -> pd.DataFrame:
    """A scan per (kind, step): kinds are unlike, one kind's neighbouring steps are 8 bits apart, others 16 or more."""
    bits = []
    for kind, step in looks:
        row = random_bits(1, kind)[0]
        row[: 8 * step] ^= 1
        bits.append(row)
    codes = [row.tobytes().hex() for row in np.packbits(np.array(bits, dtype=np.uint8), axis=1)]
    paths = [f"{name}{number:04}" for number in range(len(looks))]
    return pd.DataFrame(
        {
            "path": paths,
            "patient": patients or [""] * len(looks),
            "content": [f"content of {path}" for path in paths],
            "phash": codes,
            "phash_head": codes,
        }
    )


def parts(group: pd.Series) -> set[frozenset[int]]:
    return {frozenset(rows) for rows in group.groupby(group).groups.values()}


def sets(*members: Sequence[int]) -> set[frozenset[int]]:
    return {frozenset(rows) for rows in members}


def test_scans_of_a_patient_share_a_group_and_others_do_not():
    group = groups(TABLE, "patient")
    assert group[0] == group[1]
    assert group.nunique() == 4


def test_a_scan_without_patient_stands_alone_even_if_named_like_a_patient():
    group = groups(TABLE, "patient")
    assert group[4] not in set(group[:4])


def test_grouping_none_lets_every_scan_stand_alone():
    assert groups(TABLE, "none").is_unique
    assert groups(scans_of([(0, 0)] * 3), "none").is_unique


def test_groups_keep_the_tables_index():
    shuffled = TABLE.iloc[[3, 0, 4, 1, 2]]
    group = groups(shuffled, "patient")
    assert list(group.index) == [3, 0, 4, 1, 2]
    assert group[0] == group[1]


def test_an_unknown_grouping_lists_the_legal_ones():
    with pytest.raises(MriadError, match=r"data\.split\.group=hospital.*auto, patient, near_duplicate or none"):
        groups(TABLE, "hospital")


@pytest.mark.parametrize("grouping", ["auto", "near_duplicate"])
def test_near_duplicates_join_transitively(grouping):
    table = scans_of([(0, 0), (1, 0), (0, 2), (0, 1), (1, 2), (2, 0)])
    assert parts(groups(table, grouping)) == sets([0, 2, 3], [1], [4], [5])
    assert parts(groups(table, grouping, bits=7)) == sets([0], [1], [2], [3], [4], [5])
    assert parts(groups(table, grouping, bits=16)) == sets([0, 2, 3], [1, 4], [5])


def test_auto_joins_patients_and_their_look_alikes_but_no_two_patients_that_look_alike():
    looks = [(0, 0), (1, 0), (1, 0), (2, 0), (0, 1), (3, 0)]
    patients = ["p", "p", "q", "q", "", ""]
    table = scans_of(looks, patients)
    group = groups(table, "auto")
    assert parts(group) == sets([0, 1, 4], [2, 3], [5])
    assert list(group) == ["patient:p", "patient:p", "patient:q", "patient:q", "patient:p", "scan:0005"]
    assert parts(groups(table, "near_duplicate")) == sets([0, 4], [1, 2], [3], [5])
    assert parts(groups(table, "patient")) == sets([0, 1], [2, 3], [4], [5])


def test_a_scan_without_patient_that_looks_like_two_joins_them():
    table = scans_of([(0, 0), (0, 2), (0, 1), (1, 0)], ["q", "p", "", "q"])
    assert set(groups(table, "auto")) == {"patient:p"}


def test_patients_of_all_scans_are_the_groups_of_auto():
    table = scans_of([(0, 0)] * 6, ["a", "b", "c", "a", "b", "c"])
    pd.testing.assert_series_equal(groups(table, "auto"), groups(table, "patient"), check_names=False)


@pytest.mark.parametrize("seed", range(5))
def test_names_do_not_depend_on_the_order_of_the_scans(seed):
    rng = np.random.default_rng(seed)
    looks = [(int(kind), int(step)) for kind, step in zip(rng.integers(0, 9, 60), rng.integers(0, 6, 60), strict=True)]
    table = scans_of(looks, [str(patient) for patient in rng.choice(["", "", "p", "q", "r"], 60)])
    group = groups(table, "auto")
    assert 3 < group.nunique() < 40
    shuffled = table.sample(frac=1, random_state=seed)
    pd.testing.assert_series_equal(groups(shuffled, "auto").sort_index(), group)


def test_a_chain_that_swallows_the_set_is_cut_until_its_parts_are_small(caplog):
    # a chain of 30 scans 8 bits apart, of which 5 have a copy; 200 scans besides, two of them alike
    looks = [(0, step) for step in range(30)] + [(0, step) for step in range(5)]
    looks += [(number, 0) for number in range(1, 200)] + [(1, 1)]
    table = scans_of(looks)
    with caplog.at_level(logging.WARNING):
        group = groups(table, "auto")
    assert len(caplog.records) == 1
    message = caplog.records[0].getMessage()
    assert "35 of 235 scans" in message
    assert "1 long chain" in message
    assert "cut into 30 groups at down to 7 differing bits" in message
    for copy in range(5):
        assert group[copy] == group[30 + copy]
    assert group[:30].is_unique
    assert group[35] == group[234]
    assert has_near_duplicate(table.iloc[:1], table.iloc[1:2]).all()


def test_identical_scans_and_patients_are_never_cut(caplog):
    with caplog.at_level(logging.WARNING):
        assert groups(scans_of([(0, 0)] * 50), "auto").nunique() == 1
        patient = scans_of([(kind, 0) for kind in range(60)], ["p"] * 50 + [""] * 10)
        assert groups(patient, "auto").nunique() == 11
    assert caplog.records == []


@pytest.mark.parametrize("others", [0, 500])
def test_a_chain_below_the_limit_is_kept(caplog, others):
    length = 20 if others == 0 else 25
    table = scans_of([(0, step) for step in range(length)] + [(1 + number, 0) for number in range(others)])
    with caplog.at_level(logging.WARNING):
        assert groups(table, "auto").nunique() == 1 + others
    assert caplog.records == []


def test_clusters_are_numbered_and_never_cut():
    table = scans_of([(0, step) for step in range(30)] + [(1, 0), (2, 0), (1, 1)])
    labels = near_duplicate_clusters(table)
    assert set(labels) == {0, 1, 2}
    assert len(set(labels[:30])) == 1
    assert labels[30] == labels[32]
    assert len(set(near_duplicate_clusters(table, bits=7))) == 33


def known_by(of: pd.DataFrame, seen: pd.DataFrame, **options: object) -> str:
    """A letter per scan: c content, p patient, n near duplicate, - new."""
    return "".join(reason[:1] or "-" for reason in recognised(of, seen, **options))


def test_scans_of_other_data_that_were_seen_are_found_with_their_groups():
    seen = scans_of([(0, 0), (5, 0)], name="seen")
    of = scans_of([(0, 1), (0, 2), (1, 0), (2, 0), (5, 0), (6, 0)], name="of")
    assert known_by(of, seen) == "nn--n-"
    assert known_by(of, seen, bits=7) == "----n-"
    assert known_by(of, seen.drop(columns="patient")) == "nn--n-"


def test_the_way_to_a_seen_scan_may_lead_through_other_seen_scans_and_patients():
    seen = scans_of([(0, 1), (0, 3)], name="seen")
    of = scans_of([(0, 0), (0, 4), (7, 0), (8, 0)], ["p", "", "p", "q"], name="of")
    assert known_by(of, seen) == "nnn-"


def test_one_id_in_two_sets_is_one_patient():
    seen = scans_of([(0, 0), (1, 0)], ["p", "1"], name="seen")
    of = scans_of([(2, 0), (3, 0), (4, 0), (5, 0), (6, 0)], ["p", "1", "01", "P", ""], name="of")
    assert known_by(of, seen) == "pp---"


def test_the_very_file_is_the_surest_reason():
    seen = scans_of([(0, 0), (1, 0)], ["p", "p"], name="seen")
    of = scans_of([(2, 0), (3, 0), (4, 0)], ["p", "", "q"], name="of")
    of.loc[[0, 1], "content"] = seen.loc[1, "content"]
    assert known_by(of, seen) == "cc-"


def test_one_id_in_two_unrelated_sets_is_no_patient_until_they_share_a_file():
    seen = scans_of([(0, 0), (1, 0)], ["p", "p"], name="seen")
    of = scans_of([(2, 0), (3, 0), (4, 0)], ["p", "p", "q"], name="of")
    assert known_by(of, seen, patients="unrelated") == "---"
    of.loc[0, "content"] = seen.loc[1, "content"]
    assert known_by(of, seen, patients="unrelated") == "cn-"


def test_what_two_data_sets_may_be_is_told():
    scans = scans_of([(0, 0)])
    with pytest.raises(MriadError, match=r"patients=perhaps is unknown; choose same or unrelated"):
        recognised(scans, scans, patients="perhaps")


def test_a_patient_who_has_another_id_in_the_other_set_is_found_by_one_scan():
    seen = scans_of([(0, 0), (1, 0)], ["p", "p"], name="seen")
    of = scans_of([(0, 0), (2, 0), (3, 0)], ["a", "a", "b"], name="of")
    assert known_by(of, seen) == "nn-"


def test_what_looks_like_a_seen_scan_is_found_where_the_chain_between_them_is_cut():
    seen = scans_of([(0, 2 * step) for step in range(15)], name="seen")
    of = scans_of([(0, 2 * step + 1) for step in range(15)] + [(9, 0)], name="of")
    assert known_by(of, seen) == "n" * 15 + "-"


def test_nothing_was_seen_in_no_scans():
    of = scans_of([(0, 0), (0, 0)])
    assert known_by(of, of.iloc[:0]) == "--"


@pytest.mark.parametrize("grouping", ["auto", "near_duplicate"])
def test_files_of_identical_content_stay_together_whoever_the_patients_are(grouping):
    table = scans_of([(0, 0), (0, 0), (1, 0)], ["p", "q", "r"])
    table.loc[[0, 1], "content"] = "the same"
    assert parts(groups(table, grouping)) == sets([0, 1], [2])


def test_groups_are_joined_where_either_of_two_groupings_joins_them():
    facts, claimed = pd.Series(list("bbacd"), index=[5, 6, 7, 8, 9]), pd.Series(["x", "y", "y", "z", "w"])
    claimed.index = facts.index
    assert joined(facts, claimed).to_dict() == {5: "a", 6: "a", 7: "a", 8: "c", 9: "d"}
    pd.testing.assert_series_equal(joined(facts, pd.Series(range(5), index=facts.index)), facts, check_dtype=False)


def test_what_was_found_before_is_not_searched_again():
    table = scans_of([(0, 0), (0, 0)])
    assert list(facts_of(table)) == ["cluster:0000"] * 2
    assert list(facts_of(table.assign(group=["a", "b"]))) == ["a", "b"]
