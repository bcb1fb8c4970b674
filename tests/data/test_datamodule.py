import itertools
import json
import logging
from pathlib import Path
from types import SimpleNamespace
from typing import get_args

import albumentations as A
import hydra
import numpy as np
import pandas as pd
import pytest
import torch
from hydra.utils import instantiate
from PIL import Image
from textured_scans import White, folder_layout, rows_of, write_scan

import mriad.data.layouts as layouts
from mriad.data.catalog import Catalog
from mriad.data.datamodule import MRIDataModule
from mriad.data.preparing.preprocess import Preprocess
from mriad.data.roles.grouping import Grouping
from mriad.data.roles.splits import AllTest, GroupedSplit
from mriad.data.training.augment import Augment
from mriad.errors import MriadError

CONF = Path(__file__).parents[2] / "conf"
DATA = sorted(file.stem for file in (CONF / "data").glob("*.yaml") if not file.stem.endswith("base"))
SPLITS = sorted(
    file.stem for file in (CONF / "split").glob("*.yaml") if "\nfile:" not in file.read_text()
)  # a split that reads a file goes with one data set


def write_mask(file: Path, *, inverted: bool = False) -> None:
    lesion = np.zeros((40, 32), dtype=bool)
    lesion[15:20, 12:18] = True
    file.parent.mkdir(parents=True, exist_ok=True)
    Image.fromarray((lesion ^ inverted).astype(np.uint8) * 255).save(file)


def test_a_mask_that_covers_the_head_is_questioned(root, module, caplog):
    for n in range(16):
        write_mask(root / f"masks/{('glioma', 'meningioma')[n % 2]}/{n:02}.png", inverted=n == 3)
    with pytest.raises(MriadError, match=r"1 of 16 lesion masks in .* for example masks/meningioma/03\.png \(100 % of"):
        module()
    tolerant, told = module(max_broken=0.1), module(max_lesion=1)
    (row,) = np.flatnonzero(tolerant.table["path"] == "meningioma/03.png")
    for datamodule, used in ((tolerant, False), (told, True)):
        assert datamodule.cache.has_mask(np.array([row])).tolist() == [used]
        assert datamodule.cache.has_mask(np.arange(len(datamodule.table))).sum() == 15 + used
    assert caplog.text.count("These masks are not used") == 1


@pytest.mark.parametrize("share", [0, 1.5, True, "half"])
def test_the_largest_share_of_a_lesion_is_a_share(module, share):
    with pytest.raises(MriadError, match=f"data.max_lesion={share} is no share"):
        module(max_lesion=share)


def test_batches_have_their_shapes_types_and_ranges(module):
    datamodule = module()
    for loader in (datamodule.train_dataloader(), datamodule.val_dataloader(), datamodule.test_dataloader()):
        for batch in loader:
            count = len(batch["row"])
            assert 1 <= count <= 5
            assert batch["image"].shape == (count, 1, 16, 16)
            assert batch["image"].dtype == torch.float32
            assert batch["image"].min() >= 0
            assert 0.7 < batch["image"].max() <= 1
            assert batch["label"].shape == batch["row"].shape == (count,)
            assert batch["label"].dtype == batch["row"].dtype == torch.int64
            np.testing.assert_array_equal(batch["label"], datamodule.table["label"].to_numpy()[batch["row"]])


def test_every_scan_of_a_role_is_served_once(module):
    datamodule = module()
    for role, loader in (
        ("train", datamodule.train_dataloader()),
        ("val", datamodule.val_dataloader()),
        ("test", datamodule.test_dataloader()),
    ):
        assert sorted(rows_of(loader)) == list(datamodule.rows(role))


def test_processes_share_val_and_test_and_each_has_all_it_fits_on(module):
    datamodule = module()
    served: dict[str, list[int]] = {"val": [], "test": []}
    for rank in (0, 1, 2):
        datamodule.trainer = SimpleNamespace(global_rank=rank, world_size=3)
        served["val"] += rows_of(datamodule.val_dataloader())
        served["test"] += rows_of(datamodule.test_dataloader())
        assert rows_of(datamodule.whole("val")) == list(datamodule.rows("val"))
        assert rows_of(datamodule.fit_dataloader()) == list(datamodule.rows("train"))
    for role, rows in served.items():
        assert sorted(rows) == list(datamodule.rows(role))


def test_more_processes_than_scans_are_told(module):
    datamodule = module()
    datamodule.trainer = SimpleNamespace(global_rank=0, world_size=100)
    with pytest.raises(
        MriadError, match=r"val scans of data set 'test' cannot be shared by 100 devices; lower trainer"
    ):
        datamodule.val_dataloader()


def test_train_is_healthy_and_val_and_test_are_mixed(module):
    datamodule = module()
    labels = {
        role: set(datamodule.table["label"].to_numpy()[datamodule.rows(role)]) for role in ("train", "val", "test")
    }
    assert labels == {"train": {0}, "val": {0, 1}, "test": {0, 1}}


def test_train_is_shuffled_under_torchs_seed(module):
    datamodule = module()

    def orders(seed: int) -> list[list[int]]:
        torch.manual_seed(seed)
        loader = datamodule.train_dataloader()
        return [rows_of(loader), rows_of(loader)]

    first = orders(0)
    assert first == orders(0)
    assert first[0] != first[1]
    assert first != orders(1)


def test_val_and_test_keep_the_order_of_the_catalog(module):
    datamodule = module()
    for loader, role in ((datamodule.val_dataloader(), "val"), (datamodule.test_dataloader(), "test")):
        torch.manual_seed(0)
        assert rows_of(loader) == list(datamodule.rows(role))
        torch.manual_seed(1)
        assert rows_of(loader) == sorted(rows_of(loader))


def test_only_train_is_augmented(module):
    datamodule = module(augment=White())
    assert all((batch["image"] == 1).all() for batch in datamodule.train_dataloader())
    for loader in (datamodule.val_dataloader(), datamodule.test_dataloader()):
        assert not any((batch["image"] == 1).all() for batch in loader)
    assert not (datamodule.images(datamodule.rows("train")) == 1).all()


def test_a_spacing_in_the_catalog_reaches_val_and_test(module, root):
    def spaced(*, root: Path, download: bool) -> Catalog:
        records = folder_layout(root=root, download=download).table.to_dict("records")
        for record in records[::2]:
            record["spacing"] = "0.5 x 2"
        return Catalog.from_records(records, root=root)

    datamodule = module(layout=spaced, preprocess=Preprocess(image_size=16, crop="none"))
    known = (datamodule.table["spacing"] != "").to_numpy()
    for loader in (datamodule.val_dataloader(), datamodule.test_dataloader()):
        for batch in loader:
            area = np.where(known[batch["row"]], 0.5 * 2 * (40 / 16) ** 2, np.nan)  # padded to 40 x 40
            np.testing.assert_allclose(batch["pixel_area"], area)
    assert all("pixel_area" not in batch for batch in datamodule.train_dataloader())


def test_a_seeded_augmented_epoch_repeats_itself(module):
    datamodule = module(augment=Augment(transforms=[A.HorizontalFlip(p=0.5), A.Rotate(limit=20, p=1)]))

    def epoch() -> torch.Tensor:
        torch.manual_seed(5)
        return torch.cat([batch["image"] for batch in datamodule.train_dataloader()])

    first = epoch()
    assert torch.equal(first, epoch())
    assert not torch.equal(first, torch.cat([batch["image"] for batch in datamodule.train_dataloader()]))


@pytest.mark.parametrize(
    "options",
    [
        {"batch_size": 2},
        {"image_size": 24},
        {"augment": White()},
        {"num_workers": 1},
        {"name": "other"},
        {"preprocess": Preprocess(image_size=16, crop="none", low=None, high=None)},
    ],
    ids=lambda options: "-".join(options),
)
def test_roles_do_not_depend_on_other_options(module, options):
    torch.manual_seed(0)
    first = module().split_as_csv()
    torch.manual_seed(1)
    pd.testing.assert_frame_equal(module(**options).split_as_csv(), first)


def test_another_split_seed_gives_other_roles(module):
    first, second = module().split_as_csv(), module(split=GroupedSplit(seed=1)).split_as_csv()
    assert not first.equals(second)


def test_images_are_what_the_loader_yields(module):
    datamodule = module()
    batch = next(iter(datamodule.test_dataloader()))
    assert torch.equal(datamodule.images(batch["row"].numpy()), batch["image"])
    backwards = batch["row"].numpy()[::-1].copy()
    assert torch.equal(datamodule.images(backwards), batch["image"].flip(0))


def test_a_worker_process_yields_the_same_batches(module):
    here, there = module(), module(num_workers=1)
    assert there.val_dataloader().num_workers == 0  # it only reads the cache
    for loader in ("train_dataloader", "val_dataloader"):
        torch.manual_seed(0)
        expected = list(getattr(here, loader)())
        torch.manual_seed(0)
        got = list(getattr(there, loader)())
        assert len(got) == len(expected)
        for batch, other in zip(expected, got, strict=True):
            for key in ("image", "label", "row"):
                assert torch.equal(batch[key], other[key]), (loader, key)


def test_a_second_setup_changes_nothing(module, root):
    datamodule = module()
    table, split = datamodule.table, datamodule.split_table
    write_scan(root / "healthy/later.png", 77)
    datamodule.prepare_data()
    datamodule.setup("test")
    assert datamodule.table is table
    assert datamodule.split_table is split


def test_a_few_broken_scans_are_skipped_and_listed(module, root, caplog):
    whole = set(module().table["path"])
    (root / "healthy/03.png").write_bytes(b"broken")
    (root / "glioma/04.png").write_bytes(b"broken too")
    with caplog.at_level(logging.WARNING):
        datamodule = module()
    told = [record.getMessage() for record in caplog.records if "Skipped" in record.getMessage()]
    assert len(told) == 1
    assert "Skipped 2 of 40 scans" in told[0]
    assert str(root / "healthy/03.png") in told[0]
    assert str(root / "glioma/04.png") in told[0]
    served = {path for role in ("train", "val", "test") for path in datamodule.scans(role)["path"]}
    assert served == whole - {"healthy/03.png", "glioma/04.png"}
    for role in ("train", "val", "test"):
        assert (datamodule.images(datamodule.rows(role)).amax(dim=(1, 2, 3)) > 0).all()


def test_images_of_the_others_stay_their_own_beside_broken_ones(module, root):
    before = module()
    path = "healthy/10.png"
    expected = before.images(np.flatnonzero(before.table["path"] == path))
    (root / "glioma/00.png").write_bytes(b"broken")
    after = module()
    row = np.flatnonzero(after.table["path"] == path)
    assert torch.equal(after.images(row), expected)
    assert any(path in set(after.scans(role)["path"]) for role in ("train", "val", "test"))


def test_too_many_broken_scans_end_the_run_with_one_of_them_named(module, root):
    for n in range(3):
        (root / f"healthy/{n:02}.png").write_bytes(f"broken {n}".encode())
    with pytest.raises(MriadError, match=r"3 of 40 scans.*max_broken=0\.05") as error:
        module()
    assert ".png" in str(error.value)
    assert len(module(max_broken=0.1).split_table) == 37
    (root / "healthy/03.png").write_bytes(b"broken 3")
    with pytest.raises(MriadError, match="4 of 40"):
        module(max_broken=0)


def test_identical_files_count_once(module, root):
    (root / "healthy/copy.png").write_bytes((root / "healthy/05.png").read_bytes())
    once = set(module().table["path"])
    assert "healthy/05.png" in once
    assert "healthy/copy.png" not in once
    assert len(module(drop_identical=False).table) == 41


def test_a_file_under_both_labels_is_left_out(module, root):
    (root / "healthy/copy.png").write_bytes((root / "glioma/02.png").read_bytes())
    paths = set(module().table["path"])
    assert not paths & {"healthy/copy.png", "glioma/02.png"}


def test_a_set_that_only_contradicts_itself_is_told(module, tmp_path):
    for part in ("healthy", "glioma"):
        write_scan(tmp_path / f"odd/{part}/0.png", seed=1)
    with pytest.raises(MriadError, match="other label"):
        module(root=tmp_path / "odd")


@pytest.mark.parametrize(
    ("healthy", "anomalous", "role", "label", "words"),
    [
        (0, 6, "train", 0, "No healthy scan is left for train.*6 tumour"),
        (6, 0, "test", 1, "No anomalous scan is left for test.*6 healthy"),
        (6, 0, "labelled", None, "No scan is left for labelled"),
    ],
)
def test_require_says_what_is_missing_where(module, tmp_path, healthy, anomalous, role, label, words):
    def lopsided(*, root: Path, download: bool) -> Catalog:
        records = [{"path": f"{n}.png", "label": 0} for n in range(healthy)]
        records += [{"path": f"y{n}.png", "label": 1, "class": "tumour"} for n in range(anomalous)]
        for n, record in enumerate(records):
            write_scan(root / str(record["path"]), n)
        return Catalog.from_records(records, root=root)

    datamodule = module(root=tmp_path / "lopsided", layout=lopsided)
    with pytest.raises(MriadError, match=words) as error:
        datamodule.require(role, label=label)
    assert "\n" not in str(error.value)


def test_require_is_silent_where_scans_are(module):
    datamodule = module()
    for role, label in (("train", 0), ("val", 0), ("val", 1), ("test", None)):
        assert datamodule.require(role, label=label) is None


def test_all_test_leaves_nothing_for_the_other_roles(module):
    datamodule = module(split=AllTest())
    assert len(datamodule.rows("test")) == 40
    with pytest.raises(MriadError, match="train"):
        datamodule.require("train", label=0)


def test_two_sizes_that_differ_are_told(root, tmp_path):
    with pytest.raises(MriadError, match=r"data\.image_size=16.*=32"):
        MRIDataModule(
            name="test",
            layout=folder_layout,
            root=root,
            image_size=16,
            preprocess=Preprocess(image_size=32),
            split=GroupedSplit(),
            cache_dir=tmp_path,
        )


def test_a_cache_folder_may_start_at_home(module, tmp_path, monkeypatch):
    monkeypatch.setenv("HOME", str(tmp_path / "home"))
    assert len(module(cache_dir="~/slices").table) == 40
    assert (tmp_path / "home/slices/slices").is_dir()


SMALL = ["data.image_size=16"]
FILES = {  # a stand-in for each data set: folders, how many scans in each
    "folder": {"healthy": 12, "glioma": 6},
    "navoneel": {"no": 12, "yes": 6},
    "nickparvar": {"Training/notumor": 12, "Testing/notumor": 4, "Testing/glioma": 6, "Training/glioma": 3},
    "br35h": {"no": 12, "yes": 6},
}


def compose(data: str, split: str, *overrides: str) -> MRIDataModule:
    with hydra.initialize_config_dir(str(CONF), version_base="1.3"):
        cfg = hydra.compose("train", overrides=[f"data={data}", f"split={split}", *overrides])
    return instantiate(cfg.data)


def stand_in(root: Path, data: str) -> Path:
    seeds = itertools.count()
    for part, count in FILES[data].items():
        for n in range(count):
            write_scan(root / f"{part}/{n}.png", next(seeds))
        for file in (root / part).iterdir():
            file.rename(file.with_suffix(".jpg"))
    return root


@pytest.mark.parametrize(
    ("data", "split"),
    [(data, "grouped") for data in ("synthetic", *FILES)]
    + [("folder", split) for split in SPLITS if split not in ("grouped", "from_init")]  # the roles of another training
    + [(data, f"published_{data}") for data in ("synthetic", *FILES) if f"published_{data}" in SPLITS],
)
def test_every_data_set_and_every_split_compose(data, split, tmp_path):
    if data == "synthetic":
        datamodule = compose(data, split, f"data.cache_dir={tmp_path}")
        assert isinstance(datamodule, MRIDataModule)
        assert datamodule.name == "synthetic"
        return
    root = stand_in(tmp_path / "scans", data)
    datamodule = compose(data, split, f"data.root={root}", f"data.cache_dir={tmp_path}", "data.image_size=16")
    datamodule.setup()
    assert datamodule.name == data
    assert len(datamodule.table) == sum(FILES[data].values())
    assert datamodule.split.published == split.startswith("published_")
    healthy, anomalous = len(datamodule.rows("test", 0)), len(datamodule.rows("test", 1))
    if split == "grouped":
        datamodule.require("train", label=0)
        assert healthy >= 1
        assert anomalous >= 2
    if split == "all_test":
        assert healthy + anomalous == len(datamodule.table)
    if split == f"published_{data}":
        assert healthy > 0
        assert anomalous > 0


def br35h_like(root: Path) -> Path:
    """40 healthy scans, 40 tumours without an outline, 170 with one."""
    outlines = {}
    for n in range(40):
        write_scan(root / f"no/no{n}.png", n)
        write_scan(root / f"yes/y{n}.png", 1000 + n)
    for n in range(170):
        write_scan(root / f"Br35H-Mask-RCNN/TRAIN/t{n}.png", 2000 + n)
        circle = {"name": "circle", "cx": 16, "cy": 20, "r": 6}
        outlines[f"t{n}"] = {"filename": f"t{n}.png", "regions": [{"shape_attributes": circle}]}
    (root / "Br35H-Mask-RCNN/TRAIN/annotations_train.json").write_text(json.dumps(outlines))
    return root


def test_on_br35h_any_number_of_labels_is_tested_on_the_same_scans(tmp_path):
    root = br35h_like(tmp_path / "scans")

    def made(*options: str, split: str = "grouped") -> MRIDataModule:
        datamodule = compose("br35h", split, f"data.root={root}", f"data.cache_dir={tmp_path}", *SMALL, *options)
        datamodule.setup()
        return datamodule

    modules = {labels: made(f"data.labelled_train={labels}") for labels in (0, 5, 20, 100)}
    served = {labels: set(module.training_set.labelled_rows()) for labels, module in modules.items()}
    assert {labels: len(rows) for labels, rows in served.items()} == {n: n for n in modules}
    assert served[5] < served[20] < served[100]
    for module in modules.values():
        pd.testing.assert_frame_equal(module.split_as_csv(), modules[0].split_as_csv())
        assert not set(module.rows("test")) & served[100]
    assert len(made("data.split.labelled=7").rows("labelled")) == 7
    assert len(made("data.split.labelled=0").rows("test", 1)) == pytest.approx(0.8 * 210, abs=1)
    assert len(made(split="all_test").rows("test")) == 250


@pytest.mark.parametrize("data", [data for data in DATA if data != "br35h"])
def test_other_data_sets_set_no_scans_aside_unasked(data, tmp_path):
    assert compose(data, "grouped", f"data.root={tmp_path}", f"data.cache_dir={tmp_path}").split.labelled == 0


def test_hold_outs_of_the_command_line_reach_the_split(tmp_path):
    options = ["data.split.train_on={contrast:[T2,FLAIR]}", "data.split.test_on={plane:axial}"]
    options.append("data.split.published=true")
    split = compose("synthetic", "grouped", "data.split.group=none", f"data.cache_dir={tmp_path}", *options).split
    assert split.published is True
    table = pd.DataFrame({"path": list("abcdefghijkl"), "label": [0] * 8 + [1] * 4, "class": ["h"] * 8 + ["t"] * 4})
    table = table.assign(mask="", pool="")
    table["contrast"] = ["T1", "T2", "FLAIR"] * 4
    table["plane"] = ["axial", "coronal"] * 6
    found = split(table)
    assert set(table["contrast"][found["row"][found["role"] != "test"]]) == {"T2", "FLAIR"}
    assert set(table["plane"][found["row"][found["role"] == "test"]]) == {"axial"}


def test_each_layout_has_its_option_file():
    assert set(DATA) == set(layouts.__all__)


@pytest.mark.parametrize(
    ("override", "value"),
    [
        ("data.preprocess.low=2", 2),
        ("data.preprocess.high=90.5", 90.5),
        ("data.preprocess.crop=none", "none"),
        ("data.preprocess.shape=stretch", "stretch"),
        ("data.preprocess.over=all", "all"),
        ("data.image_size=40", 40),
    ],
)
def test_options_of_the_command_line_reach_preprocess(override, value, tmp_path):
    datamodule = compose("folder", "grouped", override, f"data.root={tmp_path}", f"data.cache_dir={tmp_path}")
    name = override.split("=")[0].split(".")[-1]
    assert getattr(datamodule.preprocess, name) == value


def test_the_documented_groupings_are_the_legal_ones():
    comment = (CONF / "split/grouped.yaml").read_text()
    for name in get_args(Grouping):
        assert f"{name}: " in comment


@pytest.mark.real
def test_the_real_navoneel_set_is_served_whole(data_root: Path, tmp_path):
    options = [f"data.root={data_root / 'navoneel'}", f"data.cache_dir={tmp_path}", "data.image_size=64"]
    datamodule = compose("navoneel", "grouped", *options)
    datamodule.setup()
    assert (datamodule.cache.facts["error"] == "").all()
    images = datamodule.images(datamodule.rows("test"))
    assert len(images) > 40
    assert (images.amax(dim=(1, 2, 3)) > 0.6).all()
    assert (images.mean(dim=(1, 2, 3)) > 0.1).all()


@pytest.mark.real
def test_real_outlines_become_masks_of_anomalous_test_scans(data_root: Path, tmp_path):
    parts = {"no": 30, "Br35H-Mask-RCNN/TRAIN": 60}
    for part, count in parts.items():
        (tmp_path / part).mkdir(parents=True)
        for file in sorted((data_root / "br35h" / part).glob("*.jpg"))[:count]:
            (tmp_path / part / file.name).symlink_to(file)
    annotations = "Br35H-Mask-RCNN/TRAIN/annotations_train.json"
    (tmp_path / annotations).symlink_to(data_root / "br35h" / annotations)
    datamodule = compose("br35h", "grouped", f"data.root={tmp_path}", f"data.cache_dir={tmp_path / 'cache'}")
    datamodule.setup()
    anomalous = datamodule.rows("test", 1)
    masked = anomalous[datamodule.cache.has_mask(anomalous)]
    assert len(masked) > 0.9 * len(anomalous)
    assert len(masked) > 20
    images, masks = datamodule.images(masked)[:, 0].numpy(), datamodule.cache.masks_of(masked)
    assert masks.any(axis=(1, 2)).all()
    # outlined tumours are mostly brighter than what lies around them: image and mask fit together
    brighter = [
        image[mask].mean() > image[~mask & (image > 0.1)].mean() for image, mask in zip(images, masks, strict=True)
    ]
    assert np.mean(brighter) > 0.8


def test_slices_on_the_device_are_the_same(module):
    kept, read = module(on_device=True), module()
    for role in ("fit", "val", "test"):
        pairs = zip(getattr(kept, f"{role}_dataloader")(), getattr(read, f"{role}_dataloader")(), strict=True)
        for one, other in pairs:
            assert one.keys() == other.keys()
            assert all(torch.equal(one[key].nan_to_num(), other[key].nan_to_num()) for key in one)


def test_slices_on_the_device_train_augmented_there(module):
    transforms = [A.RandomGamma(gamma_limit=(300, 300), p=1)]
    datamodule = module(on_device=True, augment=Augment(transforms=transforms))
    batches = list(datamodule.train_dataloader())
    rows = np.concatenate([batch["row"].numpy() for batch in batches])
    assert sorted(rows) == list(datamodule.rows("train"))
    assert torch.allclose(torch.cat([batch["image"] for batch in batches]), datamodule.images(rows) ** 3)
    assert all(set(batch) == {"image", "label", "row"} for batch in batches)


def test_slices_on_the_device_are_where_the_trainer_is(module):
    datamodule = module(on_device=True)
    datamodule.trainer = SimpleNamespace(
        strategy=SimpleNamespace(root_device=torch.device("meta")), global_rank=0, world_size=1
    )
    assert all(batch["image"].device.type == "meta" for batch in datamodule.train_dataloader())
    assert next(iter(datamodule.val_dataloader()))["image"].device.type == "meta"


@pytest.mark.parametrize("option", [{"anomalies": White()}, {"labelled_train": 2}, {"num_workers": 1}])
def test_what_is_made_on_the_cpu_is_not_kept_on_the_device(module, option):
    with pytest.raises(MriadError, match=rf"data.on_device=true and data.{next(iter(option))} exclude each other"):
        module(on_device=True, **option)
