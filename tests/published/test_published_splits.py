import json
from pathlib import Path

import numpy as np
import pandas as pd
import pytest
from split_rows import by_path, count, joined

from mriad.data.catalog import Catalog
from mriad.data.layouts import navoneel, nickparvar
from mriad.data.roles.rules import check
from mriad.errors import MriadError
from mriad.published.splits import GroupedMedIAnomaly, PublishedMedIAnomaly, PublishedNavoneel, PublishedNickparvar


def table_of(records: list[dict[str, object]]) -> pd.DataFrame:
    return Catalog.from_records(records, root=Path("/scans")).table


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


@pytest.mark.parametrize("split", [PublishedNavoneel(), PublishedNickparvar(), PublishedMedIAnomaly(file="lists.json")])
def test_a_published_split_says_so(split):
    assert split.published is True


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


def medianomaly(folder: Path, *, unknown: int = 0) -> tuple[Path, pd.DataFrame]:
    """The benchmark's lists over 60 healthy and 20 anomalous scans, and a table with more scans than they name."""
    healthy, tumours = [f"h{n}.jpg" for n in range(60)], [f"t{n}.jpg" for n in range(20)]
    lost = [f"lost{n}.jpg" for n in range(unknown)]
    lists = {
        "train": {"0": healthy[:30] + lost, "unlabeled": {"0": healthy[30:40], "1": ["u.jpg"]}},
        "test": {"0": healthy[40:], "1": tumours},
    }
    file = folder / "lists.json"
    file.write_text(json.dumps(lists))
    records = [{"path": f"Training/notumor/{name}", "label": 0} for name in [*healthy, "unnamed.jpg"]]
    pools = ["labelled", ""] * 10
    records += [
        {"path": f"Testing/glioma/{name}", "label": 1, "pool": pool} for name, pool in zip(tumours, pools, strict=True)
    ]
    records += [{"path": "Testing/glioma/u.jpg", "label": 1}]
    return file, table_of(records)


def test_published_medianomaly_takes_its_lists_and_the_unused_healthy_scans_as_val(tmp_path):
    file, table = medianomaly(tmp_path)
    roles = by_path(PublishedMedIAnomaly(file=file)(table), table)
    expected = {f"Training/notumor/h{n}.jpg": "train" if n < 30 else "val" if n < 40 else "test" for n in range(60)}
    expected |= {f"Testing/glioma/t{n}.jpg": "test" for n in range(20)}
    assert roles.to_dict() == expected


def test_published_medianomaly_counts_the_names_that_are_not_there(tmp_path, caplog):
    file, table = medianomaly(tmp_path, unknown=3)
    split = PublishedMedIAnomaly(file=file)(table)
    assert count(split, table, "train", 0) == 30
    assert "3 of 33 for train" in caplog.text and "test" not in caplog.text.split("that is:")[1]


@pytest.mark.parametrize("text", [None, "no json", "[]", '{"train": {"0": []}}'])
def test_lists_that_cannot_be_read_are_told_in_a_sentence(tmp_path, text):
    file, table = medianomaly(tmp_path)
    file.unlink() if text is None else file.write_text(text)
    for split in (PublishedMedIAnomaly(file=file), GroupedMedIAnomaly(file=file, group="none")):
        with pytest.raises(MriadError, match=r"lists\.json.*set data\.split\.file"):
            split(table)


def test_grouped_medianomaly_splits_the_benchmarks_scans_anew(tmp_path):
    file, table = medianomaly(tmp_path)
    table["patient"] = [f"p{n // 4}" for n in range(len(table))]
    table = table.assign(phash="0" * 64, phash_head="0" * 64)  # all alike, but of known patients
    honest = GroupedMedIAnomaly(file=file, group="patient")
    split = honest(table)
    check(split, table)
    assert honest.published is False
    named = set(by_path(PublishedMedIAnomaly(file=file)(table), table).index)
    assert set(by_path(split, table).index) == named
    assert set(split["role"]) == {"train", "val", "test"}
    assert all(count(split, table, role, 1) > 0 for role in ("val", "test"))


@pytest.mark.real
def test_published_medianomaly_on_the_real_set(data_root: Path):
    table = nickparvar(root=data_root / "nickparvar", download=False).table
    split = PublishedMedIAnomaly(file=data_root / "nickparvar" / "medianomaly_braintumor.json")(table)
    assert {role: (count(split, table, role, 0), count(split, table, role, 1)) for role in set(split["role"])} == {
        "train": (998, 0),
        "val": (399, 0),
        "test": (599, 600),
    }
