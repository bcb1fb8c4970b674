from functools import partial
from pathlib import Path

import numpy as np
import pandas as pd
import pytest
import torch
from PIL import Image
from textured_scans import White, folder_layout, rows_of

from mriad.data.catalog import Catalog
from mriad.data.roles.recorded import RecordedSplit
from mriad.data.roles.splits import GroupedSplit
from mriad.errors import MriadError


def test_pictures_have_no_neighbours(module):
    assert module(slices={"neighbours": 0})
    with pytest.raises(MriadError, match=r"data\.slices\.neighbours=1 .* pictures, which have none; drop it"):
        module(slices={"neighbours": 1})


class Spot:
    """An anomaly that is easy to see: a black pixel in the middle."""

    def __call__(self, images: np.ndarray, brains: np.ndarray) -> tuple[np.ndarray, np.ndarray]:
        assert brains.shape == images.shape and brains.dtype == bool
        masks = np.zeros(images.shape, dtype=bool)
        masks[:, 8, 8] = True
        return np.where(masks, np.uint8(0), images), masks

    def examples(self, images: np.ndarray, brains: np.ndarray) -> dict[str, tuple[np.ndarray, np.ndarray]]:
        return {"spot": self(images, brains)}


def test_only_train_gets_anomalies(module):
    datamodule = module(augment=White(), anomalies=Spot())
    for batch in datamodule.train_dataloader():
        assert batch["mask"].sum() == len(batch["row"])
        assert (batch["image"][batch["mask"] == 1] == 0).all()
        assert (batch["image"][batch["mask"] == 0] == 1).all()
        assert (batch["label"] == 0).all()
    for loader in (datamodule.fit_dataloader(), datamodule.val_dataloader(), datamodule.test_dataloader()):
        for batch in loader:
            assert "mask" not in batch
            assert torch.equal(batch["image"], datamodule.images(batch["row"].numpy()))


def test_without_anomalies_train_has_no_mask(module):
    assert all("mask" not in batch for batch in module().train_dataloader())


@pytest.mark.parametrize(("count", "shown"), [(3, 3), (1, 1), (10_000, None)])
def test_examples_of_anomalies_stand_below_the_healthy_train_scans_themselves(module, count, shown):
    datamodule = module(augment=White(), anomalies=Spot())
    examples = datamodule.training_set.anomaly_examples(count)
    assert list(examples) == ["healthy", "spot"]
    (healthy, none), (altered, masks) = examples.values()
    train = datamodule.images(datamodule.rows("train"))[:, 0].numpy()
    assert len(healthy) == (shown or len(train))
    assert {scan.tobytes() for scan in healthy} <= {scan.tobytes() for scan in train}
    assert not none.any()
    assert (altered[masks] == 0).all() and masks.sum() == len(healthy)
    np.testing.assert_array_equal(altered[~masks], healthy[~masks])


def test_without_anomalies_there_is_no_example(module):
    assert module().training_set.anomaly_examples() == {}


@pytest.fixture
def labelled(module, root):
    """A data module with 6 scans in its labelled pool, of the 8 tumours that have a mask: its top half."""
    top = np.repeat([255, 0], 20)[:, None].repeat(32, axis=1).astype(np.uint8)
    (root / "masks/glioma").mkdir(parents=True)
    for scan in (root / "glioma").iterdir():
        Image.fromarray(top).save(root / "masks/glioma" / scan.name)
    return partial(module, split=GroupedSplit(labelled=6), max_lesion=1)


def test_labelled_scans_train_with_their_masks_in_their_share(labelled):
    datamodule = labelled(labelled_train=2, labelled_share=0.4)
    rows, masked = [], []
    for batch in datamodule.train_dataloader():
        np.testing.assert_array_equal(batch["label"], datamodule.table["label"].to_numpy()[batch["row"]])
        masked += batch["mask"].mean(dim=(1, 2, 3)).tolist()
        rows += batch["row"].tolist()
    chosen = datamodule.training_set.labelled_rows()
    assert len(chosen) == 2
    assert set(chosen) <= set(datamodule.rows("labelled"))
    assert set(rows) == set(chosen) | set(datamodule.rows("train"))
    is_labelled = np.isin(rows, chosen)
    assert is_labelled.mean() == pytest.approx(0.4, abs=0.05)
    assert (np.array(masked)[is_labelled] > 0.3).all()
    assert (np.array(masked)[~is_labelled] == 0).all()


@pytest.mark.parametrize("on_device", [False, True])
def test_an_epoch_has_as_many_scans_as_are_asked_for(module, on_device):
    datamodule = module(epoch_scans=50, on_device=on_device)
    rows = torch.cat([batch["row"] for batch in datamodule.train_dataloader()])
    assert len(rows) == 50 and set(rows.tolist()) == set(datamodule.rows("train"))


def test_labelled_scans_get_no_anomalies(labelled):
    datamodule = labelled(labelled_train=3, anomalies=Spot())
    for batch in datamodule.train_dataloader():
        healthy = batch["label"] == 0
        assert (batch["mask"][healthy].sum(dim=(1, 2, 3)) == 1).all()
        assert (batch["mask"][~healthy].sum(dim=(1, 2, 3)) > 50).all()
        assert torch.equal(batch["image"][~healthy], datamodule.images(batch["row"][~healthy].numpy()))


def test_labelled_scans_change_no_role_and_are_never_fitted_as_healthy(labelled):
    datamodule = labelled(labelled_train=4)
    pd.testing.assert_frame_equal(datamodule.split_as_csv(), labelled().split_as_csv())
    assert (datamodule.table["label"].to_numpy()[datamodule.rows("train")] == 0).all()
    assert rows_of(datamodule.fit_dataloader()) == list(datamodule.rows("train"))


def test_fewer_labelled_scans_are_among_more_whatever_the_seed(labelled):
    more = set(labelled(labelled_train=6).training_set.labelled_rows())
    for seed in range(3):
        torch.manual_seed(seed)
        fewer = set(labelled(labelled_train=3).training_set.labelled_rows())
        assert len(fewer) == 3
        assert set(labelled(labelled_train=1).training_set.labelled_rows()) < fewer < more


def test_a_training_goes_on_with_the_same_labelled_scans(labelled):
    first = labelled(labelled_train=3)
    again = labelled(labelled_train=3, split=RecordedSplit(scans=first.split_as_csv()))
    np.testing.assert_array_equal(again.training_set.labelled_rows(), first.training_set.labelled_rows())


def test_more_labelled_scans_than_there_are_masks_is_told(labelled):
    datamodule = labelled(labelled_train=7)
    words = r"6 scans with a lesion in their mask, fewer than data\.labelled_train=7: raise data\.split\.labelled or"
    for step in (datamodule.train_dataloader, lambda: datamodule.require("train", label=0)):
        with pytest.raises(MriadError, match=words):
            step()
    assert datamodule.require("test") is None
    assert len(list(datamodule.test_dataloader())) > 0


def test_a_mask_without_a_lesion_is_none_to_learn_from(labelled, root):
    before = labelled(labelled_train=6)
    emptied = before.table["path"].iat[before.training_set.labelled_rows()[0]]
    Image.new("L", (32, 40)).save(root / "masks" / emptied)
    assert emptied not in set(before.table["path"].iloc[labelled(labelled_train=5).training_set.labelled_rows()])
    with pytest.raises(MriadError, match="has 5 scans with a lesion in their mask"):
        labelled(labelled_train=6).training_set.labelled_rows()


def test_a_pool_that_train_on_has_emptied_is_told(labelled):
    def with_contrasts(*, root: Path, download: bool) -> Catalog:
        records = folder_layout(root=root, download=download).table.to_dict("records")
        for record in records:
            record["contrast"] = "T1" if record["label"] else "T2"
        return Catalog.from_records(records, root=root)

    split = GroupedSplit(labelled=6, train_on={"contrast": ["T2"]})
    datamodule = labelled(layout=with_contrasts, split=split, labelled_train=2)
    with pytest.raises(
        MriadError, match=r"has 0 scans .*: widen data\.split\.train_on=\{'contrast': \['T2'\]\}, which"
    ):
        datamodule.training_set.labelled_rows()


@pytest.mark.parametrize(
    ("options", "words"),
    [
        ({"labelled_train": -1}, "labelled_train=-1 is no number of scans"),
        ({"labelled_train": 1.5}, r"labelled_train=1\.5 is no number of scans"),
        ({"labelled_share": 0}, "labelled_share=0 is no share"),
        ({"labelled_share": 1}, "labelled_share=1 is no share"),
        ({"epoch_scans": 0}, "epoch_scans=0 is no number of scans"),
        ({"epoch_scans": 0.5}, r"epoch_scans=0\.5 is no number of scans"),
    ],
)
def test_bad_numbers_of_labels_are_told(module, options, words):
    with pytest.raises(MriadError, match=words):
        module(**options)
