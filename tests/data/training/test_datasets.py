import numpy as np
import pandas as pd
import pytest
import torch
from grey_slices import LABELS, SIDE, greys, sized_slices

from mriad.data.preparing.cache import ScanCache
from mriad.data.training.datasets import TrainDataset
from mriad.data.training.samples import Samples


@pytest.fixture
def slices() -> ScanCache:
    return sized_slices()


class Flip:
    """Left to right, and 100 greys brighter."""

    def __call__(self, images, masks=None):
        images = images[..., ::-1] + np.uint8(100)
        return images if masks is None else (images, masks[..., ::-1].copy())


class Corner:
    """Blackens the bottom left pixel."""

    def __init__(self) -> None:
        self.seen: list[int] = []
        self.brains: list[np.ndarray] = []

    def __call__(self, images, brains):
        self.seen += images[:, 4, 4].tolist()
        self.brains += list(brains)
        masks = np.zeros(images.shape, dtype=bool)
        images, masks[:, -1, 0] = images.copy(), True
        images[masks] = 0
        return images, masks

    def examples(self, images, brains):
        return {"corner": self(images, brains)}


def train(slices: ScanCache, rows: list[int], **options: object) -> TrainDataset:
    samples = Samples(cache=slices, rows=np.arange(len(LABELS)))
    return TrainDataset(samples=samples, labels=LABELS, order=np.array(rows), **options)


def masked_pixels(batch: dict[str, torch.Tensor]) -> list[list[list[int]]]:
    """(row, column) of the masked pixels of each scan."""
    return [mask[0].nonzero().tolist() for mask in batch["mask"]]


@pytest.mark.parametrize("augment", [None, Flip()])
def test_healthy_scans_alone_train_without_a_mask(slices, augment):
    batch = train(slices, [0, 1, 2], augment=augment).__getitems__([2, 0])
    assert set(batch) == {"image", "label", "row"}
    assert greys(batch) == ([3, 1] if augment is None else [103, 101])


def test_anomalies_are_pasted_after_augmentation_and_masked(slices):
    batch = train(slices, [0, 1, 2], augment=Flip(), anomalies=Corner()).__getitems__([0, 1])
    assert batch["mask"].shape == (2, 1, SIDE, SIDE)
    assert batch["mask"].dtype == torch.float32
    assert masked_pixels(batch) == [[[SIDE - 1, 0]]] * 2
    assert (batch["image"][:, 0, -1, 0] == 0).all()
    assert greys(batch) == [101, 102]
    assert batch["label"].tolist() == [0, 0]


def test_labelled_scans_keep_their_own_masks_and_get_no_anomalies(slices):
    anomalies = Corner()
    batch = train(slices, [4, 0, 5, 1], anomalies=anomalies).__getitems__([0, 1, 2, 3])
    assert anomalies.seen == [1, 2]
    assert masked_pixels(batch) == [[[0, 0]], [[SIDE - 1, 0]], [[0, SIDE - 1]], [[SIDE - 1, 0]]]
    assert (batch["image"][[0, 2], 0, -1, 0] > 0).all()
    assert batch["label"].tolist() == [1, 0, 1, 0]


def test_masks_move_with_the_augmented_scans(slices):
    batch = train(slices, [4, 0, 5], augment=Flip()).__getitems__([0, 1, 2])
    assert masked_pixels(batch) == [[[0, SIDE - 1]], [], [[0, 0]]]
    assert greys(batch) == [105, 101, 106]


@pytest.mark.parametrize("anomalies", [None, Corner()])
@pytest.mark.parametrize("indices", [[0, 1], [2, 3], [1, 2]])
def test_every_batch_of_an_epoch_has_masks_or_none_has(slices, anomalies, indices):
    dataset = train(slices, [0, 1, 4, 5], augment=Flip(), anomalies=anomalies)
    assert dataset.__getitems__(indices)["mask"].shape == (2, 1, SIDE, SIDE)


def test_brains_move_with_the_augmented_scans_before_anomalies_go_into_them(slices, monkeypatch):
    """The brain of a scan is its top left quarter here, and found once in all epochs."""
    looked_at = []

    def quarter(image):
        looked_at.append(round(255 * float(image[4, 4])))
        brain = np.zeros((SIDE, SIDE), dtype=bool)
        brain[:4, :4] = True
        return brain

    monkeypatch.setattr("mriad.data.training.datasets.brain_mask", quarter)
    anomalies = Corner()
    dataset = train(slices, [0, 4, 1], augment=Flip(), anomalies=anomalies)
    for _ in range(2):
        dataset.__getitems__([0, 1, 2])
    assert looked_at == [1, 2]
    assert len(anomalies.brains) == 4
    for brain in anomalies.brains:
        assert brain[:4, 4:].all() and brain.sum() == 16


def test_a_batch_of_labelled_scans_alone_asks_for_no_anomaly(slices):
    anomalies = Corner()
    batch = train(slices, [0, 4, 5], anomalies=anomalies).__getitems__([1, 2])
    assert anomalies.seen == []
    assert masked_pixels(batch) == [[[0, 0]], [[0, SIDE - 1]]]


def test_what_trains_leaves_the_cache_as_it_was(slices):
    before = slices.images.copy()
    train(slices, [0, 4], anomalies=Corner()).__getitems__([0, 1])
    np.testing.assert_array_equal(slices.images, before)


def test_examples_show_a_repeated_slice_once(slices):
    examples = train(slices, [0, 1, 0, 1], anomalies=Corner()).examples(4)
    assert [len(images) for images, _ in examples.values()] == [2, 2]


class Dark:
    """Blackens the last column of all slices of a slab, and masks it in the middle one."""

    def __call__(self, images, brains):
        assert brains.shape == (len(images), SIDE, SIDE)
        images, masks = images.copy(), np.zeros(brains.shape, dtype=bool)
        images[..., -1], masks[..., -1] = 0, True
        return images, masks

    def examples(self, images, brains):
        return {"dark": self(images, brains)}


@pytest.fixture
def slabs() -> Samples:
    """Of two volumes of 5 slices, slice n of grey 10 n + 10, the second diseased; its lesion is in slice 2."""
    images = np.repeat(np.arange(10, 60, 10, dtype=np.uint8), SIDE * SIDE).reshape(1, 5, SIDE, SIDE)
    masks = np.zeros((1, 5, SIDE, SIDE), dtype=np.uint8)
    masks[0, 2, 1, 1] = 1
    volumes = np.concatenate([images, images])
    cache = ScanCache(images=volumes, masks=masks, thumbnails=volumes, facts=pd.DataFrame({"mask_index": [-1, 0]}))
    return Samples(cache=cache, rows=np.array([0, 1]), planes=["axial"], neighbours=1, labelled=[1])


def test_slabs_train_with_a_channel_for_each_slice_and_the_mask_of_the_middle_one(slabs):
    dataset = TrainDataset(samples=slabs, labels=LABELS[[0, 4]], augment=Flip(), anomalies=Dark())
    assert slabs.rows.tolist() == [0, 0, 0, 0, 1]
    batch = dataset.__getitems__([0, 1, 4])
    assert batch["image"].shape == (3, 3, SIDE, SIDE) and batch["mask"].shape == (3, 1, SIDE, SIDE)
    shown = (batch["image"][:, :, 4, 4] * 255).round().int() - 100
    assert shown.tolist() == [[10, 20, 30], [20, 30, 40], [20, 30, 40]]
    assert (batch["image"][:2, :, :, -1] == 0).all() and (batch["image"][2] > 0).all()
    assert masked_pixels(batch)[2] == [[1, SIDE - 2]]
    assert (batch["mask"][:2, 0, :, -1] == 1).all()


def test_slabs_without_masks_train_too(slabs):
    dataset = TrainDataset(samples=slabs, labels=LABELS[[0, 4]], order=np.array([0, 1]), augment=Flip())
    batch = dataset.__getitems__([1])
    assert set(batch) == {"image", "label", "row"} and batch["image"].shape == (1, 3, SIDE, SIDE)


def test_examples_of_anomalies_in_slabs_are_their_middle_slices(slabs):
    dataset = TrainDataset(samples=slabs, labels=LABELS[[0, 4]], anomalies=Dark())
    examples = dataset.examples(2)
    for images, masks in examples.values():
        assert images.shape == masks.shape == (2, SIDE, SIDE)
    assert (examples["healthy"][0][0] * 255).round().min() == 20
