import hashlib
from pathlib import Path

import numpy as np
import pandas as pd
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from split_rows import by_path, count, joined

from mriad.data.catalog import Catalog
from mriad.data.layouts import navoneel, nickparvar
from mriad.data.roles import ROLES
from mriad.data.roles.grouping import facts_of
from mriad.data.roles.rules import check
from mriad.data.roles.splits import (
    AllTest,
    GroupedSplit,
    Split,
    SplitFromCSV,
)
from mriad.errors import MriadError

KINDS = ("glioma", "meningioma", "pituitary")


def table_of(records: list[dict[str, object]]) -> pd.DataFrame:
    """The catalog's table, with a hash for each scan that is like no other's unless the record gives it a ``look``."""
    table = Catalog.from_records(records, root=Path("/scans")).table
    looks = {str(record["path"]): record.get("look", record["path"]) for record in records}
    codes = [hashlib.sha256(str(looks[path]).encode()).hexdigest() for path in table["path"]]
    return table.assign(phash=codes, phash_head=codes)


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
                "look": rng.integers(300),
            }
            records.append(record)
    return table_of(records)


@pytest.mark.parametrize("seed", range(20))
def test_a_grouped_split_keeps_every_promise_on_random_catalogs(seed):
    table = random_table(seed)
    rng = np.random.default_rng(seed)
    split = GroupedSplit(
        val=rng.uniform(0.05, 0.4),
        test=rng.uniform(0.05, 0.4),
        val_anomalies=rng.uniform(0.05, 0.9),
        labelled=int(rng.integers(0, 20)),
        group=str(rng.choice(["auto", "patient", "near_duplicate", "none"])),
        seed=seed,
    )
    roles = split(table)
    if split.group == "auto":
        check(roles, table)

    rows = joined(roles, table)
    assert rows["row"].is_unique
    assert set(rows["role"]) <= set(ROLES)
    assert (rows["label"][rows["role"] == "train"] == 0).all()
    assert (rows.groupby("group")["role"].nunique() == 1).all()
    assert (rows["role"][rows["pool"] == "labelled"] == "labelled").all()

    # healthy slices of a patient with a lesion never train, and nobody is dropped without reason
    if split.group in ("auto", "patient"):
        named = rows[rows["patient"] != ""]
        diseased = set(named["patient"][named["label"] == 1])
        assert not diseased & set(named["patient"][named["role"] == "train"])
        assert (named.groupby("patient")["role"].nunique() == 1).all()
    dropped = table.drop(index=rows["row"])
    assert (dropped["pool"] == "labelled").all()
    elsewhere = table[table["pool"] == ""]
    assert (dropped["patient"].isin(elsewhere["patient"]) | dropped["phash"].isin(elsewhere["phash"])).all()


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


@pytest.mark.parametrize("seed", range(3))
def test_a_labelled_pool_leaves_half_of_the_anomalies_to_val_and_test(seed):
    table = singles(10, 9)
    split = GroupedSplit(labelled=100, seed=seed)(table)
    assert count(split, table, "labelled", 1) == 4
    assert count(split, table, "val", 1) == 1
    assert count(split, table, "test", 1) == 4


def outlined(every: int, anomalous: int) -> pd.DataFrame:
    """40 healthy scans and single anomalous ones of three kinds, each ``every``-th with a mask."""
    table = singles(40, anomalous)
    return table.assign(mask=np.where((table["label"] == 1) & (table.index % every == 0), "mask.png", ""))


@pytest.mark.parametrize("seed", range(2))
@pytest.mark.parametrize("labelled", [1, 9, 30])
def test_the_labelled_pool_holds_as_many_scans_with_masks_as_asked(labelled, seed):
    table = outlined(2, 60)
    rows = joined(GroupedSplit(labelled=labelled, seed=seed)(table), table)
    pool = rows[rows["role"] == "labelled"]
    assert len(pool) == labelled
    assert (pool["mask"] != "").all()


def test_a_labelled_pool_is_filled_up_without_masks_where_they_run_out():
    table = outlined(4, 60)
    rows = joined(GroupedSplit(labelled=25)(table), table)
    pool = rows[rows["role"] == "labelled"]
    assert len(pool) == 25
    assert (pool["mask"] != "").sum() == (table["mask"] != "").sum() == 15


def test_scans_without_a_mask_come_with_their_group_on_top_of_the_labelled_asked():
    records = [{"path": f"no/{n}", "label": 0} for n in range(10)]
    for n in range(20):
        records += [
            {"path": f"{n}-{m}", "label": 1, "patient": f"p{n}", "mask": f"m{n}-{m}" if m else ""} for m in range(2)
        ]
    table = table_of(records)
    rows = joined(GroupedSplit(labelled=8)(table), table)
    assert (rows["mask"][rows["role"] == "labelled"] != "").sum() == 8
    assert (rows["role"] == "labelled").sum() == 16


def test_the_labelled_pool_has_every_class_in_its_proportion():
    records = [{"path": f"no/{n}", "label": 0} for n in range(20)]
    for kind, size in {"glioma": 100, "meningioma": 40, "pituitary": 20}.items():
        records += [{"path": f"{kind}/{n}", "label": 1, "class": kind, "mask": f"{kind}/m{n}"} for n in range(size)]
    table = table_of(records)
    for seed in range(5):
        rows = joined(GroupedSplit(labelled=40, seed=seed)(table), table)
        pool = rows["class"][rows["role"] == "labelled"].value_counts()
        assert pool.to_dict() == {
            "glioma": pytest.approx(25, abs=1),
            "meningioma": pytest.approx(10, abs=1),
            "pituitary": pytest.approx(5, abs=1),
        }


def test_the_labelled_pool_leaves_healthy_scans_where_they_are():
    table = outlined(2, 60)
    without, with_pool = by_path(GroupedSplit()(table), table), by_path(GroupedSplit(labelled=20)(table), table)
    healthy = without.index.str.startswith("no/")
    pd.testing.assert_series_equal(without[healthy], with_pool[healthy])


def of_contrasts() -> pd.DataFrame:
    """Patients with a slice of every contrast each, in varying planes; some are diseased, some scans in the pool."""
    records = []
    for patient in range(60):
        for n, contrast in enumerate(("T1", "T2", "FLAIR", "")):
            record = {"path": f"{patient:02}-{contrast}", "label": int(patient % 3 == 0), "patient": f"p{patient}"}
            plane = ("axial", "coronal", "sagittal")[(patient + n) % 3]
            mask = f"m{patient}-{contrast}" if patient % 3 == 0 else ""
            records.append(record | {"contrast": contrast, "plane": plane, "mask": mask})
    return table_of(records)


def drawn(**options: object) -> pd.DataFrame:
    table = of_contrasts()
    return joined(GroupedSplit(labelled=8, **options)(table), table)


TRAINING = ("train", "labelled", "val")


@pytest.mark.parametrize("contrasts", [["T1"], ["T2", "FLAIR"]])
def test_held_out_contrasts_are_dropped_and_nothing_else_changes(contrasts):
    everything = drawn()
    for option, roles in (("train_on", TRAINING), ("test_on", ("test",))):
        rows = drawn(**{option: {"contrast": contrasts}})
        kept = everything["contrast"].isin(contrasts) | ~everything["role"].isin(roles)
        pd.testing.assert_frame_equal(rows, everything[kept].reset_index(drop=True))
        assert 0 < len(rows) < len(everything)
        assert set(rows["role"]) == {*TRAINING, "test"}


def test_trainings_on_different_contrasts_share_their_test_scans():
    others = drawn(train_on={"contrast": ["T2", "FLAIR"]}, test_on={"contrast": ["T1"]})
    everything = drawn(test_on={"contrast": ["T1"]})
    tested = [rows[rows["role"] == "test"].reset_index(drop=True) for rows in (others, everything)]
    pd.testing.assert_frame_equal(*tested)
    assert set(tested[0]["contrast"]) == {"T1"}
    assert len(tested[0]) > 0


def test_a_scan_must_match_every_column_that_is_named():
    rows = drawn(train_on={"contrast": ["T1", "T2"], "plane": ["axial"]})
    training = rows[rows["role"] != "test"]
    assert set(training["contrast"]) == {"T1", "T2"}
    assert set(training["plane"]) == {"axial"}


def test_one_value_may_stand_without_a_list():
    pd.testing.assert_frame_equal(drawn(test_on={"contrast": "T1"}), drawn(test_on={"contrast": ["T1"]}))


@pytest.mark.parametrize("option", ["train_on", "test_on"])
@pytest.mark.parametrize(
    ("condition", "words"),
    [
        ({"contrast": ["T1", "T3"]}, "names the contrast 'T3', which no scan has; there are: FLAIR, T1, T2"),
        ({"plane": ["oblique"]}, "the plane 'oblique', which no scan has; there are: axial, coronal, sagittal"),
        ({"hospital": ["A"]}, "names the column 'hospital'; choose contrast or plane"),
        ({"contrast": None}, "the contrast 'None', which is no list of values; give one"),
        ({"contrast": 2}, "the contrast '2', which is no list of values; give one"),
        ({"plane": []}, r"the plane '\[\]', which is no list of values; give one"),
    ],
)
def test_a_hold_out_of_what_is_not_there_is_told(option, condition, words):
    with pytest.raises(
        MriadError, match=rf"data\.split\.{option} {'names ' if not words.startswith('names') else ''}{words}"
    ):
        drawn(**{option: condition})


@pytest.mark.parametrize("option", ["train_on", "test_on"])
@pytest.mark.parametrize("condition", ["T2", ["T2"], 2])
def test_a_hold_out_without_a_column_is_told(option, condition):
    with pytest.raises(MriadError, match=rf"data\.split\.{option}=.*2.* names no column; give contrast or plane with"):
        drawn(**{option: condition})


def test_a_hold_out_where_nothing_is_known_is_told():
    table = singles(10, 10)
    with pytest.raises(MriadError, match="there are: none"):
        GroupedSplit(test_on={"contrast": ["T1"]})(table)


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


@pytest.mark.parametrize("seed", range(3))
@pytest.mark.parametrize(("healthy", "anomalous"), [(3, 2), (4, 2), (10, 3), (7, 4)])
def test_a_tiny_set_still_fills_train_val_and_test(healthy, anomalous, seed):
    table = singles(healthy, anomalous)
    split = GroupedSplit(seed=seed)(table)
    check(split, table)
    for role in ("train", "val", "test"):
        assert count(split, table, role, 0) >= 1
    for role in ("val", "test"):
        assert count(split, table, role, 1) >= 1


@pytest.mark.parametrize("seed", range(5))
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


@pytest.mark.parametrize("split", [GroupedSplit(), AllTest()])
def test_an_honest_split_says_so(split: Split):
    assert split.published is False


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
        ([(0, "a", "train"), (1, "a", "val")], r"a group of its own \(2 scans\) into two roles, such as 0 into train"),
        ([(0, "a", "train"), (2, "a", "labelled")], "such as 0 into train and 2 into labelled; keep them together"),
        ([(1, "a", "val"), (2, "a", "test")], "a group of its own"),
    ],
)
def test_check_raises_on_each_broken_rule(rows, words):
    with pytest.raises(MriadError, match=words):
        check_rows(rows)


SIZES = st.integers(1, 6) | st.integers(1, 40)


@st.composite
def catalogs(draw: st.DrawFn) -> list[dict[str, object]]:
    """Patients, some diseased with healthy slices, and clusters of look-alikes without patient id."""
    records: list[dict[str, object]] = []

    def add(**record: object) -> None:
        records.append({"path": f"{len(records):04}"} | record)

    for patient in range(draw(st.integers(0, 12))):
        kind = draw(st.sampled_from([*KINDS, "healthy"]))
        who = {"patient": f"p{patient}"}
        for _ in range(draw(SIZES)):
            add(label=0, **who)
        if kind != "healthy":
            for _ in range(draw(SIZES)):
                add(label=1, **{"class": kind}, **who)
    for cluster in range(draw(st.integers(0, 30))):
        kind = draw(st.sampled_from([*KINDS, "healthy"]))
        pool = draw(st.sampled_from(["", "", "", "labelled"])) if kind != "healthy" else ""
        looks = {"look": f"cluster {cluster}", "label": int(kind != "healthy"), "class": kind, "pool": pool}
        for _ in range(draw(SIZES)):
            add(**looks)
        if draw(st.integers(0, 4)) == 0:  # look-alikes of a patient, or under another label
            add(**looks | draw(st.sampled_from([{"patient": "p0"}, {"label": 0, "class": "healthy", "pool": ""}])))
    if not records:
        add(label=0)
    return records


@settings(max_examples=15, deadline=None, derandomize=True)
@given(records=catalogs(), data=st.data())
def test_on_any_catalog_groups_are_whole_train_is_healthy_and_sizes_are_near_what_was_asked(records, data):
    table = table_of(records)
    split = GroupedSplit(
        val=data.draw(st.floats(0.05, 0.4)),
        test=data.draw(st.floats(0.05, 0.4)),
        val_anomalies=data.draw(st.floats(0.1, 0.9)),
        labelled=data.draw(st.sampled_from([0, 0, 10])),
        seed=data.draw(st.integers(0, 5)),
    )
    roles = split(table)
    check(roles, table)
    rows = joined(roles, table)
    assert rows["row"].is_unique
    assert (rows.groupby("group")["role"].nunique() == 1).all()
    assert (rows["label"][rows["role"] == "train"] == 0).all()

    # independently of the group's name: no look and no patient in two roles, where looks count
    assert (rows[rows["patient"] != ""].groupby("patient")["role"].nunique() == 1).all()
    assert (rows[rows["patient"] == ""].groupby("phash")["role"].nunique() <= 1).all()

    shuffled = table.sample(frac=1, random_state=0).reset_index(drop=True)
    pd.testing.assert_series_equal(by_path(split(shuffled), shuffled), by_path(roles, table))

    open_rows = rows[rows["pool"] == ""]
    diseased = open_rows.groupby("group")["label"].transform("max") == 1
    healthy = open_rows[~diseased]
    within_a_group(healthy, {"train": 1 - split.val - split.test, "val": split.val, "test": split.test})
    anomalous = open_rows[diseased & (open_rows["label"] == 1)]
    pool = min(0.5, split.labelled / max(len(anomalous), 1))
    rest = 1 - pool
    shares = {"labelled": pool, "val": rest * split.val_anomalies, "test": rest * (1 - split.val_anomalies)}
    if not (anomalous.groupby("group")["class"].nunique() > 1).any():
        for _, part in anomalous.groupby("class"):
            within_a_group(part, shares, of=anomalous)


def within_a_group(part: pd.DataFrame, shares: dict[str, float], *, of: pd.DataFrame | None = None) -> None:
    """Each role has its share of the part to within its largest group, and 2 scans for rounding.

    A role of ``of`` that holds one group may have been given it, so that it is not empty.
    """
    of = part if of is None else of
    if of.groupby("role")["group"].nunique().min() == 1:
        return
    largest = part["group"].value_counts().max() if len(part) else 0
    for role, share in shares.items():
        assert abs((part["role"] == role).sum() - share * len(part)) <= largest + 2, role


def test_near_duplicates_stay_together_in_train_or_out_of_it():
    records = [{"path": f"no/{n}", "label": 0, "look": n % 50} for n in range(200)]
    records += [{"path": f"yes/{n}", "label": 1, "look": f"lesion {n % 10}"} for n in range(40)]
    records.append({"path": "no/odd", "label": 0, "look": "lesion 0"})
    table = table_of(records)
    rows = joined(GroupedSplit()(table), table)
    assert (rows.groupby("phash")["role"].nunique() == 1).all()
    assert rows["role"][rows["path"] == "no/odd"].item() in ("val", "test")
    assert count(GroupedSplit()(table), table, "test", 0) == pytest.approx(40, abs=5)
    alone = joined(GroupedSplit(group="none")(table), table)
    assert (alone.groupby("phash")["role"].nunique() > 1).sum() > 30


def test_options_of_nearness_reach_the_groups():
    table = table_of([{"path": f"{n}", "label": 0, "look": n // 2} for n in range(60)])
    table["phash"] = table_of([{"path": f"{n}", "label": 0} for n in range(60)])["phash"]
    for make in (GroupedSplit, AllTest):
        assert make(view="head")(table)["group"].nunique() == 30
        assert make(view="whole")(table)["group"].nunique() == 60
    near = np.array([int(code, 16) ^ (n % 2) * 0b111111 for n, code in enumerate(table["phash_head"])], dtype=object)
    table["phash_head"] = [f"{code:064x}" for code in near]
    assert GroupedSplit(view="head", bits=6)(table)["group"].nunique() == 30
    assert GroupedSplit(view="head", bits=5)(table)["group"].nunique() == 60


def test_large_groups_may_stand_in_any_role_and_sizes_stay_near():
    sizes = [40] * 4 + [5] * 20 + [1] * 140
    records = [
        {"path": f"{g}-{n}", "label": 0, "patient": f"p{g}"} for g, size in enumerate(sizes) for n in range(size)
    ]
    table = table_of(records)
    homes = []
    for seed in range(8):
        rows = joined(GroupedSplit(val=0.2, test=0.3, seed=seed)(table), table)
        homes += list(rows.drop_duplicates("patient").set_index("patient")["role"][["p0", "p1", "p2", "p3"]])
        for role, share in {"train": 0.5, "val": 0.2, "test": 0.3}.items():
            assert (rows["role"] == role).sum() == pytest.approx(share * 400, abs=2)
    assert min(homes.count(role) for role in ("train", "val", "test")) > 2


def test_a_class_with_a_large_group_does_not_cost_another_class_its_share():
    records = [{"path": f"a{n}", "label": 1, "class": "cyst", "patient": "giant"} for n in range(300)]
    records += [{"path": f"b{n}", "label": 1, "class": "glioma"} for n in range(100)]
    table = table_of(records)
    for seed in range(5):
        rows = joined(GroupedSplit(val_anomalies=0.2, seed=seed)(table), table)
        in_val = ((rows["class"] == "glioma") & (rows["role"] == "val")).sum()
        assert in_val == pytest.approx(20, abs=2)


def test_a_group_goes_where_there_is_room_for_it():
    sizes = [30] * 3 + [1] * 60
    scans = [(patient, n) for patient, size in enumerate(sizes) for n in range(size)]
    table = table_of([{"path": f"{p}-{n}", "label": 0, "patient": f"p{p}"} for p, n in scans])
    for seed in range(20):
        split = GroupedSplit(val=0.1, test=0.2, seed=seed)(table)
        assert count(split, table, "val", 0) == pytest.approx(15, abs=1)


def test_rounding_of_many_small_classes_does_not_add_up():
    records = [{"path": f"{kind}-{n}", "label": 1, "class": f"kind {kind:02}"} for kind in range(30) for n in range(3)]
    table = table_of(records)
    assert count(GroupedSplit(val_anomalies=0.2)(table), table, "val", 1) == pytest.approx(18, abs=1)


def listed(split: pd.DataFrame, table: pd.DataFrame, file: Path, columns: list[str]) -> Path:
    joined(split, table)[columns].to_csv(file, index=False)
    return file


def test_a_split_from_its_csv_is_the_same_again(tmp_path):
    table = random_table(4)
    first = GroupedSplit(labelled=5, seed=3)(table)
    columns = ["path", "role", "group", "label", "class"]
    again = SplitFromCSV(file=listed(first, table, tmp_path / "split.csv", columns))(table)
    by_row = ["row", "group", "role"]
    pd.testing.assert_frame_equal(
        again.sort_values("row", ignore_index=True)[by_row], first.sort_values("row", ignore_index=True)[by_row]
    )


def test_a_csv_without_groups_is_grouped_as_by_auto(tmp_path):
    table = random_table(4)
    split = GroupedSplit()(table)
    again = SplitFromCSV(file=listed(split, table, tmp_path / "split.csv", ["path", "role"]))(table)
    assert again.set_index("row")["group"].to_dict() == facts_of(table).loc[split["row"]].to_dict()
    check(again, table)


SICK = {"label": 1, "class": "glioma"}
LEAKS = {  # scans, their roles, and what is wrong with them
    "patient": ([{"patient": "p"}, {"patient": "p"}], "train test", r"a patient \(2 scans\).*such as 0 into train"),
    "look": ([{"look": 1}, {"look": 1}], "train val", "a group of near duplicates"),
    "look of a patient": ([{"look": 1, "patient": "p"}, {"look": 1}], "val test", "a group of near duplicates"),
    "patients": ([{"patient": "p"}, {"patient": "p"}, {"patient": "q"}, {"patient": "q"}], "train val val test", "2 p"),
    "sick patient": ([{"patient": "p"}, {"patient": "p", **SICK}], "train -", "1 healthy scans into train whose pat"),
    "sick look": ([{"look": 1}, {"look": 1, **SICK}], "train -", "1 healthy scans into train whose patient, or a near"),
}


@pytest.mark.parametrize("claimed", ["", ",group"], ids=["no groups", "groups of its own"])
@pytest.mark.parametrize("kind", LEAKS)
def test_a_csv_is_held_to_the_facts_whatever_groups_it_claims(tmp_path, kind, claimed):
    scans, roles, words = LEAKS[kind]
    scans = [*scans, {}, {}, {}, SICK]
    table = table_of([{"path": str(n), "label": 0} | scan for n, scan in enumerate(scans)])
    lines = [f"{n},{role}{claimed and f',g{n}'}" for n, role in enumerate(roles.split()) if role in ROLES]
    (tmp_path / "split.csv").write_text("\n".join([f"path,role{claimed}", *lines]))
    with pytest.raises(MriadError, match=words):
        check(SplitFromCSV(file=tmp_path / "split.csv")(table), table)


def test_files_of_one_content_may_not_stand_in_two_roles():
    table = table_of([{"path": str(n), "label": 0, "patient": f"p{n}"} for n in range(3)])
    split = pd.DataFrame({"row": [0, 1, 2], "group": list("abc"), "role": ["train", "test", "val"]})
    check(split, table.assign(content=list("xyz")))
    with pytest.raises(MriadError, match=r"a file content \(2 scans\) into two roles, such as 0 into train and 1 into"):
        check(split, table.assign(content=list("xxz")))


def test_what_hangs_together_by_a_scan_without_a_role_or_by_a_chain_that_was_cut_may_stand_apart():
    table = table_of([{"path": str(n), "label": 0} for n in range(3)])
    codes = ["0" * 64, "0" * 62 + "ff", "0" * 60 + "ffff"]
    table = table.assign(phash=codes, phash_head=codes)
    apart = pd.DataFrame({"row": [0, 2], "group": ["a", "b"], "role": ["train", "test"]})
    check(apart, table)
    with pytest.raises(MriadError, match="near duplicates"):
        check(apart.assign(row=[0, 1]), table)
    check(apart.assign(row=[0, 1]), table.assign(group=list("abc")))
    check(apart.assign(row=[0, 1]), table, bits=7)


def test_groups_that_a_csv_claims_join_those_that_are_found(tmp_path):
    table = table_of([{"path": str(n), "label": 0, "look": n // 2} for n in range(6)])
    table["group"] = GroupedSplit()(table).sort_values("row")["group"].to_numpy()
    (tmp_path / "split.csv").write_text("path,role,group\n0,test,a\n1,test,b\n2,test,b\n3,test,c\n4,test,d\n5,test,e")
    assert list(SplitFromCSV(file=tmp_path / "split.csv")(table)["group"]) == ["cluster:0"] * 4 + ["cluster:4"] * 2


@pytest.mark.parametrize("make", [GroupedSplit, lambda **options: SplitFromCSV(file="split.csv", **options)])
def test_who_says_so_may_run_a_split_as_a_published_protocol(make):
    assert make(published=True).published is True
    assert make().published is False
    with pytest.raises(MriadError, match=r"data\.split\.published=perhaps is neither true nor false"):
        make(published="perhaps")


def test_a_csv_with_contents_knows_scans_wherever_they_lie(tmp_path):
    table = singles(20, 10).assign(content=[f"c{n}" for n in range(30)])
    first = GroupedSplit()(table)
    file = listed(first, table, tmp_path / "split.csv", ["path", "role", "group", "content"])
    moved = table.assign(path="moved/" + table["path"].str.replace("/", "-"))
    again = SplitFromCSV(file=file)(moved)
    assert again.set_index("row")["role"].to_dict() == first.set_index("row")["role"].to_dict()


@pytest.mark.parametrize("seed", range(5))
def test_healthy_scans_of_a_patient_whose_anomalous_ones_cannot_be_used_never_train(seed):
    records = [{"path": f"{p}-{n}", "label": 0, "patient": f"p{p}"} for p in range(20) for n in range(2)]
    records += [{"path": f"{p}-x", "label": 1, "patient": f"p{p}", "pool": "labelled"} for p in range(4)]
    records += [{"path": f"yes{n}", "label": 1} for n in range(6)]
    table = table_of(records)
    table["diseased"] = table["patient"].isin(["p0", "p1", "p2", "p3", "p9"])  # the scan of p9 is broken
    split = GroupedSplit(seed=seed)(table)
    rows = joined(split, table)
    assert set(rows["role"][rows["patient"].isin(["p0", "p1", "p2", "p3", "p9"])]) <= {"val", "test"}
    assert (rows["role"] == "train").any() and rows["role"].isin(ROLES).all()
    check(split, table)
    healthy = table.index[(table["patient"] == "p9")]
    with pytest.raises(MriadError, match="whose patient, or a near duplicate, has an anomaly"):
        check(pd.DataFrame({"row": healthy, "group": "p9", "role": "train"}), table)


@pytest.mark.parametrize("divider", [";", "\t"])
def test_a_csv_may_be_divided_as_a_spreadsheet_does(tmp_path, divider):
    table = singles(20, 10)
    file = listed(GroupedSplit()(table), table, tmp_path / "split.csv", ["path", "role", "group"])
    expected = by_path(SplitFromCSV(file=file)(table), table)
    file.write_text(file.read_text().replace(",", divider))
    assert by_path(SplitFromCSV(file=file)(table), table).equals(expected)


def test_scans_that_are_missing_here_or_in_the_csv_are_counted(tmp_path, caplog):
    table = singles(20, 10)
    file = listed(GroupedSplit()(table), table, tmp_path / "split.csv", ["path", "role", "group"])
    whole = by_path(SplitFromCSV(file=file)(table), table)
    assert caplog.records == []
    part = table.drop(index=[0, 1, 25]).reset_index(drop=True)
    assert by_path(SplitFromCSV(file=file)(part), part).equals(whole.drop(table["path"][[0, 1, 25]]))
    assert "3 of 30 scans" in caplog.records[0].getMessage()
    assert "0 scans that are there are not named" in caplog.records[0].getMessage()
    more = singles(22, 10)
    assert by_path(SplitFromCSV(file=file)(more), more).equals(whole)
    assert "0 of 30 scans" in caplog.records[1].getMessage()
    assert "2 scans that are there are not named" in caplog.records[1].getMessage()


@pytest.mark.parametrize(
    ("text", "words"),
    [
        (None, "cannot be read.*No such file.*data.split.file"),
        (b"\xff\xfe\x00", "cannot be read"),
        (b"", "no column 'path'"),
        (b"path,role\nno/0000.png\n", "cannot be read.*line 2 has 1 entries but the header has 2"),
        (b"path,label\nno/0000.png,0\n", "no column 'role'"),
        (b"role\ntrain\n", "no column 'path'"),
        (b"path,role\n", "names no scan"),
        (b"path,role\nno/0000.png,train\nno/0001.png,training\n", "no/0001.png.*unknown role.*train, labelled"),
        (b"path,role\n,train\n", "Row 0 .*no path"),
        (b"path,role,group\nno/0000.png,train,\n", "no/0000.png.*no group"),
        (b"path,role\nelsewhere/0.png,train\n", "No scan of the data set.*elsewhere/0.png.*data.root"),
    ],
)
def test_a_csv_that_is_no_split_of_the_data_is_told_in_one_sentence(tmp_path, text, words):
    file = tmp_path / "split.csv"
    if text is not None:
        file.write_bytes(text)
    with pytest.raises(MriadError, match=words) as error:
        SplitFromCSV(file=file)(singles(5, 5))
    assert "\n" not in str(error.value)
    assert "split.csv" in str(error.value)


@pytest.mark.parametrize(
    ("lines", "words"),
    [
        (["no/0000.png,train", "yes/0000.png,train"], "1 anomalous scans into train"),
        (["no/0000.png,train", "no/0000.png,test"], "uses a scan twice"),
    ],
)
def test_a_csv_may_not_break_the_rules(tmp_path, lines, words):
    table = singles(5, 5)
    (tmp_path / "split.csv").write_text("\n".join(["path,role", *lines]))
    with pytest.raises(MriadError, match=words):
        check(SplitFromCSV(file=tmp_path / "split.csv")(table), table)


@pytest.mark.real
@pytest.mark.parametrize("layout", [navoneel, nickparvar])
def test_a_grouped_split_of_the_real_sets_is_honest_and_full(data_root: Path, layout):
    catalog = layout(root=data_root / layout.__name__, download=False)
    codes = [hashlib.sha256(path.encode()).hexdigest() for path in catalog.table["path"]]
    table = catalog.table.assign(phash=codes, phash_head=codes)
    split = GroupedSplit()(table)
    check(split, table)
    healthy = int((table["label"] == 0).sum())
    assert count(split, table, "test", 0) == pytest.approx(0.2 * healthy, abs=1)
    anomalous = int(((table["label"] == 1) & (table["pool"] == "")).sum())
    assert count(split, table, "val", 1) == pytest.approx(0.2 * anomalous, abs=1)
