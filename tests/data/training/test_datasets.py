import numpy as np
import pandas as pd
import pytest
import torch

from mriad.data.preparing.cache import ScanCache
from mriad.data.training.datasets import ScanDataset, TrainDataset
from mriad.data.training.loading import loader
from mriad.data.training.samples import Samples, mixed

LABELS = np.array([0, 0, 0, 0, 1, 1])
SIDE = 8


@pytest.fixture
def slices() -> ScanCache:
    """Slice n is grey n+1; the two anomalous ones have a lesion in their top left and top right pixel."""
    masks = np.zeros((2, SIDE, SIDE), dtype=np.uint8)
    masks[0, 0, 0] = masks[1, 0, -1] = 1
    facts = pd.DataFrame(
        {
            "mask_index": [-1, -1, -1, -1, 0, 1],
            "frame_height": 16,
            "frame_width": 24,
            "image_size": SIDE,
            "spacing": pd.Series([None, None, None, (0.5, 2.0), None, (1.0, 1.5)], dtype=object),
        }
    )
    images = np.repeat(np.arange(1, 7, dtype=np.uint8), SIDE * SIDE).reshape(6, SIDE, SIDE)
    images.setflags(write=False)
    return ScanCache(images=images, masks=masks, thumbnails=images, facts=facts)


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


def greys(batch: dict[str, torch.Tensor]) -> list[int]:
    return (batch["image"][:, 0, 4, 4] * 255).round().int().tolist()


def masked_pixels(batch: dict[str, torch.Tensor]) -> list[list[list[int]]]:
    """(row, column) of the masked pixels of each scan."""
    return [mask[0].nonzero().tolist() for mask in batch["mask"]]


def test_scans_as_they_are_have_no_mask_but_the_area_of_a_pixel(slices):
    batch = ScanDataset(scans=slices, labels=LABELS, rows=np.array([5, 3, 0])).__getitems__([0, 1, 2])
    assert set(batch) == {"image", "label", "row", "pixel_area"}
    assert greys(batch) == [6, 4, 1]
    assert batch["label"].tolist() == [1, 0, 0]
    assert batch["row"].tolist() == [5, 3, 0]
    assert batch["pixel_area"].dtype == torch.float32
    scan_pixels = 16 * 24 / SIDE**2  # in a pixel of the slice
    assert batch["pixel_area"][:2].tolist() == pytest.approx([1.5 * scan_pixels, 1.0 * scan_pixels])
    assert batch["pixel_area"][2].isnan()


def test_areas_go_with_the_scans_that_are_fetched(slices):
    dataset = ScanDataset(scans=slices, labels=LABELS, rows=np.array([0, 3, 5]))
    backwards = dataset.__getitems__([2, 1])
    assert backwards["row"].tolist() == [5, 3]
    assert backwards["pixel_area"].tolist() == [9.0, 6.0]


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


@pytest.mark.parametrize(("healthy", "labelled", "share"), [(80, 5, 0.2), (100, 7, 0.5), (997, 100, 0.2), (30, 1, 0.1)])
def test_labelled_scans_make_up_their_share_in_turn(healthy, labelled, share):
    rows = mixed(np.arange(healthy), 1000 + np.arange(labelled), share=share)
    assert (rows >= 1000).mean() == pytest.approx(share, abs=0.01)
    assert sorted(rows[rows < 1000]) == list(range(healthy))
    times = np.unique(rows[rows >= 1000], return_counts=True)[1]
    assert len(times) == labelled
    assert times.max() - times.min() <= 1


def test_more_labelled_scans_than_their_share_are_all_served_once():
    rows = mixed(np.arange(10), 1000 + np.arange(50), share=0.2)
    assert sorted(rows) == [*range(10), *range(1000, 1050)]


def test_without_labelled_scans_an_epoch_is_the_healthy_ones():
    healthy = np.arange(10)
    np.testing.assert_array_equal(mixed(healthy, healthy[:0], share=0.2), healthy)


@pytest.mark.parametrize(("least", "times"), [(25, {2, 3}), (10, {1}), (5, {1})])
def test_few_healthy_scans_are_repeated_until_an_epoch_has_enough(least, times):
    rows = mixed(np.arange(10), 1000 + np.arange(3), share=0.2, least=least)
    healthy = rows[rows < 1000]
    assert len(healthy) == max(least, 10)
    assert set(np.unique(healthy, return_counts=True)[1]) == times
    assert (rows >= 1000).mean() == pytest.approx(0.2, abs=0.04)


def test_no_healthy_scan_is_not_repeated():
    assert len(mixed(np.arange(0), np.arange(0), share=0.2, least=25)) == 0


def test_examples_show_a_repeated_slice_once(slices):
    examples = train(slices, [0, 1, 0, 1], anomalies=Corner()).examples(4)
    assert [len(images) for images, _ in examples.values()] == [2, 2]


def test_ranks_have_each_scan_once_between_them(slices):
    dataset = ScanDataset(scans=slices, labels=LABELS, rows=np.arange(3))
    shares = [list(loader(dataset, batch_size=1, num_workers=0, rank=rank, ranks=2)) for rank in (0, 1)]
    assert [[batch["row"].tolist() for batch in share] for share in shares] == [[[0], [2]], [[1]]]


def test_a_last_batch_of_one_scan_is_left_out_of_what_a_rank_trains_on(slices):
    dataset = train(slices, [0, 1, 2, 3, 0, 1])
    assert loader(dataset, batch_size=2, num_workers=0, shuffle=True, ranks=2).drop_last
    assert not loader(dataset, batch_size=2, num_workers=0, shuffle=True).drop_last


@pytest.mark.parametrize(("shuffle", "served"), [(True, 4), (False, 5)])
def test_only_training_leaves_out_a_last_batch_of_one_scan(slices, shuffle, served):
    dataset = train(slices, [0, 1, 2, 3, 0])
    batches = list(loader(dataset, batch_size=2, num_workers=0, shuffle=shuffle))
    assert sum(len(batch["row"]) for batch in batches) == served


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
