import logging
import shutil
from collections.abc import Callable
from functools import partial
from pathlib import Path

import numpy as np
import pandas as pd
import pytest
from PIL import Image
from textured_scans import folder_layout, write_scan, write_set

from mriad.data.catalog import Catalog
from mriad.data.layouts import folder
from mriad.data.preparing.preprocess import Preprocess
from mriad.data.roles.recorded import RecordedSplit
from mriad.data.roles.splits import AllTest, GroupedSplit, SplitFromCSV
from mriad.errors import MriadError
from mriad.published.splits import PublishedNavoneel


def test_rows_of_one_label_are_those_of_the_role_with_it(module):
    datamodule = module()
    healthy, anomalous = datamodule.rows("test", 0), datamodule.rows("test", 1)
    np.testing.assert_array_equal(np.sort(np.concatenate([healthy, anomalous])), datamodule.rows("test"))
    assert (datamodule.table["label"].to_numpy()[anomalous] == 1).all()
    assert (datamodule.table["label"].to_numpy()[healthy] == 0).all()


def test_scans_tell_who_stands_in_a_role(module):
    datamodule = module()
    scans = datamodule.scans("val")
    assert list(scans.index) == list(datamodule.rows("val"))
    assert set(scans["role"]) == {"val"}
    assert scans["group"].is_unique
    assert (scans["path"] == datamodule.table["path"].loc[scans.index]).all()


def test_the_split_table_for_people_lists_every_scan_with_its_role(module):
    datamodule = module()
    split = datamodule.split_as_csv()
    assert list(split.columns) == ["path", "role", "group", "label", "class", "content"]
    assert sorted(split["path"]) == list(datamodule.table["path"])
    by_path = split.set_index("path")
    for role in ("train", "val", "test"):
        for path in datamodule.scans(role)["path"]:
            assert by_path.loc[path, "role"] == role
    assert (by_path.loc[datamodule.table["path"], "label"].to_numpy() == datamodule.table["label"]).all()


def test_a_split_that_leaks_is_refused_unless_it_is_a_published_one(module, root):
    class Leaky:
        published = False

        def __call__(self, table: pd.DataFrame) -> pd.DataFrame:
            half = np.where(np.arange(len(table)) % 2, "val", "test")
            return pd.DataFrame({"row": table.index, "group": "all", "role": half})

    with pytest.raises(MriadError, match=r"a group of its own .* into two roles"):
        module(split=Leaky())
    for file in sorted(root.rglob("*.png")):
        file.rename(file.with_suffix(".jpg"))
    datamodule = module(split=PublishedNavoneel())
    np.testing.assert_array_equal(datamodule.rows("train"), datamodule.rows("val"))


def copied(root: Path, *pairs: tuple[str, str]) -> None:
    """Write a darker copy of each first scan as the second."""
    for source, copy in pairs:
        (root / copy).parent.mkdir(parents=True, exist_ok=True)
        Image.fromarray((np.asarray(Image.open(root / source)) * 0.8).astype(np.uint8)).save(root / copy)


def warnings_of(caplog: pytest.LogCaptureFixture) -> list[str]:
    return [record.getMessage() for record in caplog.records if record.levelno == logging.WARNING]


def test_near_duplicates_share_a_group_and_a_role(module, root, caplog):
    copies = [(f"healthy/{n:02}.png", f"healthy/copy{n:02}.png") for n in range(24)]
    copied(root, *copies)
    datamodule = module()
    split = datamodule.split_as_csv().set_index("path")
    for original, copy in copies:
        assert tuple(split.loc[original, ["group", "role"]]) == tuple(split.loc[copy, ["group", "role"]])
    assert split["group"].nunique() == 40
    assert datamodule.leaks()["leaked"].sum() == 0
    assert warnings_of(caplog) == []


def test_a_split_that_parts_near_duplicates_says_how_many(module, root, caplog):
    copied(root, *[(f"healthy/{n:02}.png", f"healthy/copy{n:02}.png") for n in range(24)])
    with pytest.raises(
        MriadError, match=r"groups of near duplicates .* into two roles, such as healthy/.*=auto keeps"
    ) as error:
        module(split=GroupedSplit(group="none"))
    assert "data.split.published=true" in str(error.value)
    caplog.clear()
    datamodule = module(split=GroupedSplit(group="none", published=True))
    assert datamodule.split_as_csv()["group"].nunique() == 40  # what belongs together, wherever it stands
    row = datamodule.leaks().query("role == 'test' and label == 0 and among == 'train'").iloc[0]
    train, test = datamodule.scans("train")["path"], datamodule.scans("test").query("label == 0")["path"]
    leaked = test.str.replace("copy", "").isin(train.str.replace("copy", "")).sum()
    assert (row["leaked"], row["scans"]) == (leaked, len(test))
    assert leaked > 0
    (told,) = warnings_of(caplog)
    assert f"({leaked} of {len(test)}) have a near duplicate in train" in told
    assert told.endswith("; data.split.group=auto keeps them together.")


def test_a_published_split_says_what_it_leaks(module, root, caplog):
    for file in sorted(root.rglob("*.png")):
        file.rename(file.with_suffix(".jpg"))
    module(split=PublishedNavoneel())
    (told,) = warnings_of(caplog)
    assert told.startswith("100 % of the healthy test scans (24 of 24) have a near duplicate in train")
    assert told.endswith("; split=grouped keeps them together.")


def test_a_chain_that_is_cut_says_so_and_what_it_leaks(module, root, caplog):
    pixels = np.asarray(Image.open(root / "healthy/00.png")).astype(float)
    noise = np.random.default_rng(0)
    for n in range(30):
        pixels = np.clip(pixels + noise.normal(0, 9, pixels.shape) * (pixels > 0), 0, 255)
        Image.fromarray(pixels.astype(np.uint8)).save(root / f"healthy/step{n:02}.png")
    datamodule = module(split=GroupedSplit(bits=30))
    cut, leaking = warnings_of(caplog)
    assert "long chain" in cut
    assert datamodule.leaks()["leaked"].sum() > 0
    assert leaking.endswith("; a chain was cut there.")


def test_near_duplicates_are_found_in_the_originals_whatever_the_preprocessing(module, root):
    copied(root, ("healthy/00.png", "healthy/copy.png"))
    first = module().split_as_csv()
    pd.testing.assert_frame_equal(module(preprocess=Preprocess(image_size=16, crop="none")).split_as_csv(), first)
    assert first["group"].value_counts().max() == 2


def test_the_logged_split_can_be_read_back(module, tmp_path):
    first = module(split=GroupedSplit(seed=5, labelled=3))
    first.split_as_csv().to_csv(tmp_path / "split.csv", index=False)
    again = module(split=SplitFromCSV(file=tmp_path / "split.csv"))
    pd.testing.assert_frame_equal(again.split_as_csv(), first.split_as_csv())
    assert not again.split_as_csv().equals(module().split_as_csv())


def test_seen_scans_are_those_of_every_role_but_test(module):
    datamodule = module(split=GroupedSplit(labelled=4))
    seen = datamodule.seen()
    assert list(seen.columns) == ["content", "patient", "phash", "phash_head"]
    expected = {content for role in ("train", "labelled", "val") for content in datamodule.scans(role)["content"]}
    assert set(seen["content"]) == expected
    assert len(seen) == len(expected)
    assert not set(seen["content"]) & set(datamodule.scans("test")["content"])
    hashes = datamodule.cache.facts.set_index(datamodule.table["content"])
    assert (hashes.loc[seen["content"], "phash_head"].to_numpy() == seen["phash_head"]).all()


def test_test_scans_that_were_seen_elsewhere_are_dropped_with_their_look_alikes(module, tmp_path):
    here = module()
    there = write_set(tmp_path / "there", healthy=4, anomalous=2)
    for file in there.rglob("*.png"):  # scans of other seeds than those of ``here``
        write_scan(file, seed=5000 + int(file.stem) + 100 * (file.parent.name == "healthy"))
    train, val, test = (here.scans(role).query("label == 0")["path"].iat[0] for role in ("train", "val", "test"))
    shutil.copy(tmp_path / "scans" / train, there / "healthy/same.png")
    shutil.copy(tmp_path / "scans" / test, there / "healthy/unseen.png")
    shutil.copy(tmp_path / "scans" / val, there / "healthy/validated.png")
    copied(there, ("healthy/same.png", "healthy/alike.png"))
    (there / "healthy/broken.png").write_bytes(b"broken")
    datamodule = module(root=there, split=AllTest(), max_broken=0.5)
    assert len(datamodule.rows("test")) == 10
    seen = here.seen(KEY)
    assert datamodule.drop_seen(here.seen(OTHER_KEY), key=KEY) == {"near duplicate": 3}
    datamodule = module(root=there, split=AllTest(), max_broken=0.5)
    assert datamodule.drop_seen(seen, key=KEY) == {"content": 2, "near duplicate": 1}
    left = set(datamodule.scans("test")["path"])
    assert not left & {"healthy/same.png", "healthy/alike.png", "healthy/validated.png"}
    assert "healthy/unseen.png" in left
    assert len(left) == len(datamodule.split_as_csv()) == len(datamodule.rows("test")) == 7
    assert datamodule.drop_seen(here.seen().drop(columns="patient")) == {}


KEY, OTHER_KEY = "0f" * 16, "f0" * 16


def with_patients(patient_of: Callable[[str], str]) -> Callable[..., Catalog]:
    """A layout that knows the patient of each path."""

    def layout(*, root: Path, download: bool) -> Catalog:
        records = folder_layout(root=root, download=download).table.to_dict("records")
        return Catalog.from_records([record | {"patient": patient_of(record["path"])} for record in records], root=root)

    return layout


def test_a_patient_of_both_data_sets_is_known_by_the_id(module, tmp_path):
    here = module(layout=with_patients(lambda path: path))
    there = write_set(tmp_path / "there", healthy=4, anomalous=2)
    for file in there.rglob("*.png"):
        write_scan(file, seed=5000 + int(file.stem) + 100 * (file.parent.name == "healthy"))
    train = here.scans("train")["patient"].iat[0]
    ids = {"healthy/00.png": f" {train} ", "healthy/01.png": here.scans("test")["patient"].iat[0]}
    other = with_patients(lambda path: ids.get(path, ""))
    seen = here.seen(KEY)
    for patients, dropped in {"same": {"patient": 1}, "unrelated": {}}.items():
        datamodule = module(root=there, split=AllTest(), layout=other)
        assert datamodule.drop_seen(seen, key=KEY, patients=patients) == dropped
        assert ("healthy/00.png" in set(datamodule.scans("test")["path"])) is (patients == "unrelated")


def test_only_test_scans_are_dropped(module):
    datamodule = module()
    before = {role: list(datamodule.rows(role)) for role in ("train", "val", "test")}
    everything = module(split=AllTest())
    everything.split_table["role"] = "train"
    assert datamodule.drop_seen(everything.seen()) == {"content": len(before["test"])}
    assert {role: list(datamodule.rows(role)) for role in ("train", "val", "test")} == before | {"test": []}


def test_the_roles_that_are_recorded_name_nothing_and_give_the_split_again(module, root):
    first = module(layout=with_patients(lambda path: f"Miller {path[-6:]}"))
    roles = first.roles(KEY)
    assert list(roles.columns) == ["content", "path", "role", "group"]
    told = " ".join(roles.astype(str).to_numpy().ravel()) + " ".join(first.seen(KEY).to_numpy().ravel())
    assert not [name for name in ("png", "healthy/", "Miller", *first.table["content"]) if name in told]
    again = module(split=RecordedSplit(scans=roles, key=KEY), layout=with_patients(lambda path: f"Miller {path[-6:]}"))
    pd.testing.assert_frame_equal(again.split_as_csv(), first.split_as_csv())
    for number, file in enumerate(sorted((root / "healthy").iterdir(), reverse=True)):
        file.rename(root / f"healthy/r{number}.png")
    renamed = module(split=RecordedSplit(scans=roles, key=KEY)).split_as_csv()
    role_of = first.split_as_csv().set_index("content")["role"]
    assert (renamed["role"].to_numpy() == role_of[renamed["content"]].to_numpy()).all() and len(renamed) == 40


def test_roles_that_were_given_before_more_was_known_are_held_to_it(module):
    roles = module().roles(KEY)
    with pytest.raises(MriadError, match=r"a patient \(40 scans\) into two roles.*more is known.*train anew"):
        module(split=RecordedSplit(scans=roles, key=KEY), layout=with_patients(lambda path: "P"))


def test_a_patient_whose_anomalous_scan_is_broken_does_not_train(module, root):
    (root / "glioma/00.png").write_bytes(b"broken")
    who = with_patients(lambda path: "P" if path == "glioma/00.png" or "healthy/0" in path else "")
    datamodule = module(layout=who)
    assert not (datamodule.scans("train")["patient"] == "P").any()
    assert (datamodule.table["patient"] == "P").sum() == 11


def test_a_chain_of_near_duplicates_that_leaves_none_to_train_is_named(module, root):
    for n in range(1, 24):
        (root / f"healthy/{n:02}.png").unlink()
    for n in range(1, 12):
        pixels = np.asarray(Image.open(root / "healthy/00.png")).copy()
        pixels[20, 10] = n  # another file, and the same picture
        Image.fromarray(pixels).save(root / f"healthy/{n:02}.png")
    datamodule = module()
    roles = [role for role in ("train", "val") if len(datamodule.rows(role, 0)) == 0]
    with pytest.raises(MriadError, match=r"12 scans hang together as near duplicates in 1 group.*data\.split\.bits=10"):
        datamodule.require(roles[0], label=0)


def test_healthy_scans_are_set_aside_and_nothing_of_theirs_is_tested(module, root):
    copied(root, ("healthy/00.png", "healthy/twin.png"), ("healthy/05.png", "healthy/fifth.png"))
    found = set()
    for seed in range(8):
        datamodule = module(split=AllTest(group="none"))  # says that nothing belongs together
        before = datamodule.rows("test")
        beside = datamodule.set_aside_healthy(10, seed=seed)
        val, test = datamodule.rows("val"), datamodule.rows("test")
        assert len(val) == 10 and (datamodule.table["label"].to_numpy()[val] == 0).all()
        assert len(before) == len(val) + len(test) + beside
        assert not set(val) & set(test)
        facts = datamodule._groups
        assert not set(facts.loc[val]) & set(facts.loc[test])
        found.add(beside)
    assert len(found) > 1  # a twin went with one that was drawn, or was not drawn


def test_a_patient_never_calibrates_and_is_tested(module, root, tmp_path):
    lines = [f"healthy/{n:02}.png,0,p{n // 3}" for n in range(24)] + [f"glioma/{n:02}.png,1,p{n}" for n in (0, 2, 4)]
    (root / "scans.csv").write_text("path,label,patient\n" + "\n".join(lines))
    layout = partial(folder, healthy="healthy", anomalies=None, masks="masks", manifest=root / "scans.csv")
    for seed in range(8):
        datamodule = module(split=AllTest(), layout=layout)
        beside = datamodule.set_aside_healthy(3, seed=seed)
        patient = datamodule.table["patient"].to_numpy()
        val, test = datamodule.rows("val"), datamodule.rows("test")
        assert len(set(patient[val])) == len(val) == 3
        assert not set(patient[val]) & set(patient[test])
        assert beside == np.isin(patient, patient[val]).sum() - 3  # their lesions, too, are left out


def test_scans_of_other_roles_do_not_calibrate(module):
    datamodule = module(split=GroupedSplit(test=0.5, val=0.2))
    test = set(datamodule.rows("test"))
    datamodule.set_aside_healthy(4, seed=0)
    assert set(datamodule.split_table["role"]) == {"val", "test"}
    assert set(datamodule.split_table["row"]) <= test


def test_what_would_leave_nothing_to_test_is_refused(module, root):
    for file in (*root.glob("glioma/*"), *root.glob("meningioma/*")):
        file.unlink()
    with pytest.raises(MriadError, match=r"calibrate_scans=24 takes all 24 .*, so nothing is left to test; set fewer"):
        module(split=AllTest()).set_aside_healthy(24, seed=0)
    datamodule = module(split=AllTest())
    datamodule.set_aside_healthy(23, seed=0)
    assert len(datamodule.rows("test")) == 1


def test_fewer_train_scans_are_among_more_and_the_other_roles_stay(module):
    everything = module(split=GroupedSplit())
    few, more = (module(split=GroupedSplit(train_scans=count)) for count in (3, 8))
    assert (len(few.rows("train")), len(more.rows("train"))) == (3, 8)
    assert set(few.rows("train")) < set(more.rows("train")) < set(everything.rows("train"))
    for role in ("val", "test"):
        assert set(few.rows(role)) == set(everything.rows(role))
    with pytest.raises(MriadError, match=r"data\.split\.train_scans=0 is no number of scans"):
        GroupedSplit(train_scans=0)
