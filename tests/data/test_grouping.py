import pandas as pd
import pytest

from mriad.data.grouping import groups
from mriad.errors import MriadError

TABLE = pd.DataFrame({"path": ["a", "b", "c", "d", "p1"], "patient": ["p1", "p1", "p2", "", ""]})


def test_scans_of_a_patient_share_a_group_and_others_do_not():
    group = groups(TABLE, "patient")
    assert group[0] == group[1]
    assert group.nunique() == 4


def test_a_scan_without_patient_stands_alone_even_if_named_like_a_patient():
    group = groups(TABLE, "patient")
    assert group[4] not in set(group[:4])


def test_grouping_none_lets_every_scan_stand_alone():
    assert groups(TABLE, "none").is_unique


def test_groups_keep_the_tables_index():
    shuffled = TABLE.iloc[[3, 0, 4, 1, 2]]
    group = groups(shuffled, "patient")
    assert list(group.index) == [3, 0, 4, 1, 2]
    assert group[0] == group[1]


def test_an_unknown_grouping_lists_the_legal_ones():
    with pytest.raises(MriadError, match=r"data\.split\.group=hospital.*none or patient"):
        groups(TABLE, "hospital")
