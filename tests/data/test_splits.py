from pathlib import Path

import numpy as np
import pandas as pd
import pytest

from mriad.data.catalog import Catalog
from mriad.data.layouts import navoneel, nickparvar
from mriad.data.splits import (
    ROLES,
    AllTest,
    GroupedSplit,
    PublishedNavoneel,
    PublishedNickparvar,
    Split,
    check,
)
from mriad.errors import MriadError

KINDS = ("glioma", "meningioma", "pituitary")


def table_of(records: list[dict[str, object]]) -> pd.DataFrame:
    return Catalog.from_records(records, root=Path("/scans")).table


def singles(healthy: int, anomalous: int, *, pool: int = 0) -> pd.DataFrame:
    """Scans without patients; ``pool`` more anomalous ones may only be labelled."""
    records = [{"path": f"no/{n:04}.png", "label": 0} for n in range(healthy)]
    for n in range(anomalous + pool):
        record = {"path": f"yes/{n:04}.png", "label": 1, "class": KINDS[n % 3]}
        records.append(record | ({"pool": "labelled"} if n >= anomalous else {}))
    return table_of(records)


def random_table(seed: int) -> pd.DataFrame:
    """Patients with some healthy, some anomalous slices, and scans without patient; some in the pool."""
    rng = np.random.default_rng(seed)
    records = []
    for patient in range(rng.integers(2, 60)):
        diseased = rng.random() < 0.5
        kind = str(rng.choice(KINDS))
        for _ in range(rng.integers(1, 7)):
            label = int(diseased and rng.random() < 0.6)
            record = {
                "path": f"{rng.integers(10**9):09}-{len(records)}.png",
                "label": label,
                "class": kind if label else "healthy",
                "patient": f"p{patient}" if rng.random() < 0.8 else "",
                "pool": "labelled" if label and rng.random() < 0.15 else "",
            }
            records.append(record)
    return table_of(records)


def joined(split: pd.DataFrame, table: pd.DataFrame) -> pd.DataFrame:
    """Roles with path, label, class, patient and pool of their scans."""
    scans = table.loc[split["row"]].reset_index(drop=True)
    return pd.concat([split.reset_index(drop=True), scans], axis=1)


def count(split: pd.DataFrame, table: pd.DataFrame, role: str, label: int) -> int:
    rows = joined(split, table)
    return int(((rows["role"] == role) & (rows["label"] == label)).sum())


def by_path(split: pd.DataFrame, table: pd.DataFrame) -> pd.Series:
    return joined(split, table).set_index("path")["role"].sort_index()


@pytest.mark.parametrize("seed", range(60))
def test_a_grouped_split_keeps_every_promise_on_random_catalogs(seed):
    table = random_table(seed)
    rng = np.random.default_rng(seed)
    split = GroupedSplit(
        val=rng.uniform(0.05, 0.4),
        test=rng.uniform(0.05, 0.4),
        val_anomalies=rng.uniform(0.05, 0.9),
        labelled=int(rng.integers(0, 20)),
        group=str(rng.choice(["patient", "none"])),
        seed=seed,
    )
    roles = split(table)
    check(roles, table)

    rows = joined(roles, table)
    assert rows["row"].is_unique
    assert set(rows["role"]) <= set(ROLES)
    assert (rows["label"][rows["role"] == "train"] == 0).all()
    assert (rows.groupby("group")["role"].nunique() == 1).all()
    assert (rows["role"][rows["pool"] == "labelled"] == "labelled").all()

    # healthy slices of a patient with a lesion never train, and nobody is dropped without reason
    if split.group == "patient":
        named = rows[rows["patient"] != ""]
        diseased = set(named["patient"][named["label"] == 1])
        assert not diseased & set(named["patient"][named["role"] == "train"])
        assert (named.groupby("patient")["role"].nunique() == 1).all()
    dropped = table.drop(index=rows["row"])
    assert (dropped["pool"] == "labelled").all()
    assert dropped["patient"].isin(table["patient"][table["pool"] == ""]).all()


@pytest.mark.parametrize("seed", range(20))
def test_order_of_the_table_does_not_change_a_role(seed):
    table = random_table(seed)
    shuffled = table.sample(frac=1, random_state=seed).reset_index(drop=True)
    split = GroupedSplit(labelled=3)
    pd.testing.assert_series_equal(by_path(split(table), table), by_path(split(shuffled), shuffled))


def test_the_same_call_gives_the_same_roles_and_leaves_global_generators_alone():
    table = random_table(1)
    np.random.seed(1)
    first = GroupedSplit()(table)
    np.random.seed(2)
    pd.testing.assert_frame_equal(first, GroupedSplit()(table))
    np.random.seed(2)
    expected = np.random.random()
    np.random.seed(2)
    GroupedSplit()(table)
    assert np.random.random() == expected


def test_another_seed_draws_other_roles_of_the_same_sizes():
    table = singles(200, 90)
    first, second = GroupedSplit(seed=0)(table), GroupedSplit(seed=1)(table)
    assert not by_path(first, table).equals(by_path(second, table))
    assert first["role"].value_counts().to_dict() == second["role"].value_counts().to_dict()


@pytest.mark.parametrize(("healthy", "anomalous"), [(50, 30), (123, 77), (1000, 301)])
def test_single_scans_meet_the_shares_to_within_one(healthy, anomalous):
    table = singles(healthy, anomalous)
    split = GroupedSplit(val=0.15, test=0.25, val_anomalies=0.3)(table)
    assert len(split) == healthy + anomalous
    assert count(split, table, "train", 0) == pytest.approx(0.6 * healthy, abs=1)
    assert count(split, table, "val", 0) == pytest.approx(0.15 * healthy, abs=1)
    assert count(split, table, "test", 0) == pytest.approx(0.25 * healthy, abs=1)
    assert count(split, table, "val", 1) == pytest.approx(0.3 * anomalous, abs=1)
    assert count(split, table, "test", 1) == pytest.approx(0.7 * anomalous, abs=1)


def test_every_class_has_its_share_in_val_and_test():
    records = [{"path": f"no/{n}", "label": 0} for n in range(20)]
    sizes = {"glioma": 100, "meningioma": 40, "pituitary": 10}
    for kind, size in sizes.items():
        records += [{"path": f"{kind}/{n}", "label": 1, "class": kind} for n in range(size)]
    table = table_of(records)
    rows = joined(GroupedSplit(val_anomalies=0.2)(table), table)
    for kind, size in sizes.items():
        in_val = ((rows["class"] == kind) & (rows["role"] == "val")).sum()
        assert in_val == pytest.approx(0.2 * size, abs=1), kind


def test_classes_are_stratified_by_the_lesion_where_patients_have_healthy_slices_too():
    records = []
    for kind in ("cyst", "glioma"):
        for patient in range(50):
            who = {"patient": f"{kind}{patient}"}
            records.append({"path": f"{kind}{patient}-a", "label": 1, "class": kind} | who)
            records.append({"path": f"{kind}{patient}-b", "label": 0} | who)
    table = table_of(records)
    for seed in range(5):
        rows = joined(GroupedSplit(val_anomalies=0.2, seed=seed)(table), table)
        in_val = rows["class"][(rows["role"] == "val") & (rows["label"] == 1)].value_counts()
        assert abs(in_val["cyst"] - 10) <= 1
        assert abs(in_val["glioma"] - 10) <= 1


def test_shares_of_anomalies_count_anomalous_scans_not_the_healthy_ones_beside_them():
    records = []
    for patient in range(60):  # 30 patients with 1 anomalous scan and 39 healthy, 30 with 5 and 1
        for n in range(40 if patient % 2 else 6):
            label = int(n == 0 or (patient % 2 == 0 and n < 5))
            records.append({"path": f"{patient}-{n}", "label": label, "patient": f"p{patient}"})
    table = table_of(records)
    for seed in range(10):
        split = GroupedSplit(val_anomalies=0.2, labelled=30, seed=seed)(table)
        assert count(split, table, "labelled", 1) == pytest.approx(30, abs=5)
        assert count(split, table, "val", 1) == pytest.approx(0.2 * 150, abs=5)


def test_groups_of_several_scans_meet_the_shares_to_within_a_group():
    records = [{"path": f"{p}-{n}", "label": 0, "patient": f"p{p}"} for p in range(100) for n in range(4)]
    table = table_of(records)
    split = GroupedSplit(val=0.1, test=0.2)(table)
    assert count(split, table, "val", 0) == pytest.approx(40, abs=4)
    assert count(split, table, "test", 0) == pytest.approx(80, abs=4)


@pytest.mark.parametrize("labelled", [1, 10, 25])
def test_the_labelled_pool_has_the_size_asked_and_val_its_share_of_the_rest(labelled):
    table = singles(40, 50)
    split = GroupedSplit(labelled=labelled)(table)
    assert count(split, table, "labelled", 1) == pytest.approx(labelled, abs=1)
    assert count(split, table, "labelled", 0) == 0
    assert count(split, table, "val", 1) == pytest.approx(0.2 * (50 - labelled), abs=1)


def test_a_labelled_pool_larger_than_all_takes_all():
    table = singles(10, 5)
    split = GroupedSplit(labelled=100)(table)
    assert count(split, table, "labelled", 1) == 5
    assert count(split, table, "test", 1) == 0


def test_pool_scans_come_on_top_of_the_labelled_asked():
    table = singles(40, 50, pool=20)
    split = GroupedSplit(labelled=5)(table)
    rows = joined(split, table)
    assert (rows["role"][rows["pool"] == "labelled"] == "labelled").all()
    assert count(split, table, "labelled", 1) == pytest.approx(25, abs=1)


def test_pool_scans_of_a_group_that_is_also_elsewhere_are_dropped():
    table = table_of(
        [{"path": f"no/{n}", "label": 0} for n in range(10)]
        + [{"path": f"yes/{n}", "label": 1, "patient": f"p{n}"} for n in range(5)]
        + [{"path": "pool/a", "label": 1, "patient": "p0", "pool": "labelled"}]
        + [{"path": "pool/b", "label": 1, "patient": "q", "pool": "labelled"}]
    )
    roles = by_path(GroupedSplit()(table), table)
    assert "pool/a" not in roles.index
    assert roles["pool/b"] == "labelled"
    assert len(roles) == 16


@pytest.mark.parametrize("seed", range(10))
@pytest.mark.parametrize(("healthy", "anomalous"), [(3, 2), (4, 2), (10, 3), (7, 4)])
def test_a_tiny_set_still_fills_train_val_and_test(healthy, anomalous, seed):
    table = singles(healthy, anomalous)
    split = GroupedSplit(seed=seed)(table)
    check(split, table)
    for role in ("train", "val", "test"):
        assert count(split, table, role, 0) >= 1
    for role in ("val", "test"):
        assert count(split, table, role, 1) >= 1


@pytest.mark.parametrize("seed", range(20))
def test_one_huge_patient_leaves_no_role_empty(seed):
    sizes = [100, 1, 1, 1]
    records = [{"path": f"{p}-{n}", "label": 0, "patient": f"p{p}"} for p in range(4) for n in range(sizes[p])]
    table = table_of(records)
    split = GroupedSplit(seed=seed)(table)
    assert set(split["role"]) == {"train", "val", "test"}


@pytest.mark.parametrize(("healthy", "anomalous"), [(5, 0), (0, 5), (1, 0), (0, 1), (1, 1), (2, 1)])
def test_sets_too_small_for_all_roles_are_split_as_far_as_they_go(healthy, anomalous):
    table = singles(healthy, anomalous)
    split = GroupedSplit()(table)
    check(split, table)
    assert sorted(split["row"]) == list(range(healthy + anomalous))


@pytest.mark.parametrize(
    ("options", "words"),
    [
        ({"val": 0}, "val=0"),
        ({"test": 0}, "test=0"),
        ({"val": 0.5, "test": 0.5}, "nothing to train on"),
        ({"val": -0.1}, "above 0"),
        ({"val_anomalies": 0}, "val_anomalies=0"),
        ({"val_anomalies": 1}, "val_anomalies=1"),
        ({"labelled": -1}, "negative"),
    ],
)
def test_bad_shares_are_told(options, words):
    with pytest.raises(MriadError, match=words):
        GroupedSplit(**options)


@pytest.mark.parametrize("split", [GroupedSplit(group="hospital"), AllTest(group="hospital")])
def test_an_unknown_grouping_is_told(split):
    with pytest.raises(MriadError, match="hospital"):
        split(singles(5, 5))


def test_all_test_tests_every_scan_in_its_group():
    table = random_table(3)
    split = AllTest()(table)
    assert (split["role"] == "test").all()
    assert list(split["row"]) == list(range(len(table)))
    patients = joined(split, table)
    assert (patients[patients["patient"] != ""].groupby("patient")["group"].nunique() == 1).all()
    check(split, table)


def test_published_navoneel_takes_jpg_alone_and_every_healthy_one_twice_and_again():
    names = {"no/1.jpg": 0, "no/2.JPG": 0, "no/3.jpeg": 0, "no/4.png": 0, "yes/1.Jpg": 1, "yes/2.png": 1}
    table = table_of([{"path": path, "label": label} for path, label in names.items()])
    rows = joined(PublishedNavoneel()(table), table)
    paths = {role: sorted(part["path"]) for role, part in rows.groupby("role")}
    assert paths == {
        "train": ["no/1.jpg", "no/2.JPG"],
        "val": ["no/1.jpg", "no/2.JPG"],
        "test": ["no/1.jpg", "no/2.JPG", "yes/1.Jpg"],
    }


def nickparvar_like(healthy: int = 100, tumours: int = 30) -> pd.DataFrame:
    records = [{"path": f"Training/notumor/{n}", "label": 0} for n in range(healthy)]
    records += [{"path": f"Testing/notumor/{n}", "label": 0} for n in range(10)]
    records += [{"path": f"Testing/glioma/{n}", "label": 1} for n in range(tumours)]
    records += [{"path": f"Training/glioma/{n}", "label": 1, "pool": "labelled"} for n in range(10)]
    return table_of(records)


def test_published_nickparvar_shuffles_training_healthy_into_70_20_10():
    table = nickparvar_like()
    split = PublishedNickparvar()(table)
    assert [count(split, table, role, 0) for role in ("train", "val", "test")] == [70, 20, 10]
    assert [count(split, table, role, 1) for role in ("train", "val", "test")] == [0, 6, 24]
    rows = joined(split, table)
    assert rows["row"].is_unique
    folders = rows["path"].str.rsplit("/", n=1).str[0]
    assert set(folders[rows["label"] == 0]) == {"Training/notumor"}
    assert set(folders[rows["label"] == 1]) == {"Testing/glioma"}


def test_published_nickparvar_depends_on_its_seed_alone():
    table = nickparvar_like()
    pd.testing.assert_frame_equal(PublishedNickparvar()(table), PublishedNickparvar(seed=42)(table))
    assert not by_path(PublishedNickparvar(seed=1)(table), table).equals(
        by_path(PublishedNickparvar(seed=2)(table), table)
    )


@pytest.mark.parametrize(
    ("split", "published"),
    [
        (GroupedSplit(), False),
        (AllTest(), False),
        (PublishedNavoneel(), True),
        (PublishedNickparvar(), True),
    ],
)
def test_published_splits_say_so(split: Split, published):
    assert split.published is published


ROWS = [(0, "a", "train"), (1, "b", "val"), (2, "c", "test"), (3, "d", "test")]


def check_rows(rows: list[tuple[int, str, str]]) -> None:
    table = table_of([{"path": str(n), "label": int(n >= 2)} for n in range(4)])
    check(pd.DataFrame(rows, columns=["row", "group", "role"]), table)


def test_check_lets_an_honest_split_pass():
    check_rows(ROWS)
    check_rows(ROWS[:1])


@pytest.mark.parametrize(
    ("rows", "words"),
    [
        ([*ROWS[:2], (2, "c", "train")], "1 anomalous scans into train"),
        ([*ROWS, (1, "b", "val")], "uses a scan twice"),
        ([*ROWS, (0, "a", "test")], "uses a scan twice"),
        ([(0, "a", "train"), (1, "a", "val")], "group 'a' into two roles"),
        ([(0, "a", "train"), (2, "a", "labelled")], "group 'a' into two roles"),
        ([(1, "a", "val"), (2, "a", "test")], "group 'a' into two roles"),
    ],
)
def test_check_raises_on_each_broken_rule(rows, words):
    with pytest.raises(MriadError, match=words):
        check_rows(rows)


@pytest.mark.real
def test_published_navoneel_has_91_healthy_and_154_tumour_scans(data_root: Path):
    table = navoneel(root=data_root / "navoneel", download=False).table
    split = PublishedNavoneel()(table)
    assert {role: (count(split, table, role, 0), count(split, table, role, 1)) for role in set(split["role"])} == {
        "train": (91, 0),
        "val": (91, 0),
        "test": (91, 154),
    }


@pytest.mark.real
def test_published_nickparvar_on_the_real_set_is_70_20_10(data_root: Path):
    table = nickparvar(root=data_root / "nickparvar", download=False).table
    split = PublishedNickparvar()(table)
    healthy = int((table["path"].str.startswith("Training/") & (table["label"] == 0)).sum())
    tumours = int((table["path"].str.startswith("Testing/") & (table["label"] == 1)).sum())
    shares = [count(split, table, role, 0) / healthy for role in ("train", "val", "test")]
    np.testing.assert_allclose(shares, [0.7, 0.2, 0.1], atol=0.001)
    assert count(split, table, "val", 1) == round(0.2 * tumours)
    assert count(split, table, "val", 1) + count(split, table, "test", 1) == tumours


@pytest.mark.real
@pytest.mark.parametrize("layout", [navoneel, nickparvar])
def test_a_grouped_split_of_the_real_sets_is_honest_and_full(data_root: Path, layout):
    table = layout(root=data_root / layout.__name__, download=False).table
    split = GroupedSplit()(table)
    check(split, table)
    healthy = int((table["label"] == 0).sum())
    assert count(split, table, "test", 0) == pytest.approx(0.2 * healthy, abs=1)
    anomalous = int(((table["label"] == 1) & (table["pool"] == "")).sum())
    assert count(split, table, "val", 1) == pytest.approx(0.2 * anomalous, abs=1)
