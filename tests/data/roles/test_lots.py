from collections import Counter

import numpy as np
import pandas as pd
import pytest

from mriad.data.roles.lots import pool_groups, spread


def scans(*groups):
    """A table of groups, each (name, class, scans, of which have a mask)."""
    records = [
        {"group": name, "class": kind, "mask": "m" if number < masks else ""}
        for name, kind, count, masks in groups
        for number in range(count)
    ]
    return pd.DataFrame(records, columns=["group", "class", "mask"])


def rng(seed=0):
    return np.random.default_rng(seed)


def sizes(table, role_of):
    """Scans of each class in each role."""
    return Counter((role_of[group], kind) for group, kind in zip(table["group"], table["class"], strict=True))


def test_the_pool_holds_as_many_masks_as_asked_in_the_classes_proportion():
    table = scans(*((f"g{n}", "glioma", 1, 1) for n in range(60)), *((f"m{n}", "other", 1, 1) for n in range(30)))
    for seed in range(5):
        pool = pool_groups(table, 12, rng(seed))
        kinds = Counter(name[0] for name in pool)
        assert len(pool) == len(set(pool)) == 12
        assert kinds == {"g": pytest.approx(8, abs=1), "m": pytest.approx(4, abs=1)}


def test_groups_with_masks_come_first_and_count_their_masks_only():
    table = scans(*((f"bare{n}", "glioma", 1, 0) for n in range(40)), *((f"g{n}", "glioma", 3, 2) for n in range(5)))
    assert all(name.startswith("g") for name in pool_groups(table, 10, rng()))
    assert len(pool_groups(table, 10, rng())) == 5
    more = pool_groups(table, 13, rng())
    assert sorted(name for name in more if name.startswith("g")) == [f"g{n}" for n in range(5)]
    assert len(more) == 5 + 3


def test_the_pool_takes_no_more_than_half_of_the_scans():
    table = scans(*((f"g{n}", "glioma", 2, 2) for n in range(10)))
    assert len(pool_groups(table, 1000, rng())) == 5
    assert pool_groups(scans(("all", "glioma", 8, 8)), 1, rng()) == []


def test_a_smaller_pool_is_the_beginning_of_a_larger_one():
    table = scans(*((f"g{n}", "glioma", 1 + n % 3, 1) for n in range(30)))
    assert pool_groups(table, 8, rng(4))[:3] == pool_groups(table, 3, rng(4))
    assert pool_groups(table, 8, rng(4)) != pool_groups(table, 8, rng(5))


@pytest.mark.parametrize(("table", "wanted"), [(scans(), 5), (scans(("a", "glioma", 9, 9)), 0)])
def test_no_pool_is_drawn_of_nothing_or_for_nothing(table, wanted):
    assert pool_groups(table, wanted, rng()) == []


SHARES = {"train": 0.7, "val": 0.1, "test": 0.2}


@pytest.mark.parametrize("seed", range(5))
def test_single_scans_are_spread_as_asked_class_by_class(seed):
    table = scans(*((f"a{n}", "a", 1, 0) for n in range(100)), *((f"b{n}", "b", 1, 0) for n in range(50)))
    found = sizes(table, spread(table, SHARES, rng(seed)))
    for kind, count in (("a", 100), ("b", 50)):
        assert {role: found[role, kind] for role in SHARES} == {
            role: pytest.approx(share * count, abs=1) for role, share in SHARES.items()
        }


@pytest.mark.parametrize("seed", range(5))
def test_groups_are_whole_and_miss_a_share_by_no_more_than_the_largest(seed):
    draw = rng(seed)
    table = scans(*((f"g{n}", "ab"[n % 2], int(draw.integers(1, 8)), 0) for n in range(60)))
    role_of = spread(table, SHARES, rng(seed))
    assert set(role_of) == set(table["group"])
    found = sizes(table, role_of)
    for kind, count in table["class"].value_counts().items():
        for role, share in SHARES.items():
            assert found[role, kind] == pytest.approx(share * count, abs=8)


def test_a_role_without_a_share_gets_nothing():
    table = scans(*((f"g{n}", "a", 1, 0) for n in range(20)))
    assert set(spread(table, {"train": 0.0, "val": 0.5, "test": 0.5}, rng()).values()) == {"val", "test"}


@pytest.mark.parametrize("seed", range(10))
def test_no_role_is_lost_to_rounding_where_there_are_groups_enough(seed):
    table = scans(("huge", "a", 100, 0), *((f"g{n}", "a", 1, 0) for n in range(3)))
    assert set(spread(table, SHARES, rng(seed)).values()) == set(SHARES)


def test_the_seed_decides():
    table = scans(*((f"g{n}", "a", 1, 0) for n in range(40)))
    assert spread(table, SHARES, rng(1)) == spread(table, SHARES, rng(1)) != spread(table, SHARES, rng(2))
