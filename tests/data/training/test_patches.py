import logging

import numpy as np
import pandas as pd
import pytest
import torch

from mriad.data.preparing.cache import ScanCache
from mriad.data.training.datasets import SeededIndices
from mriad.data.training.loading import loader
from mriad.data.training.patches import PatchChoice, PatchDataset
from mriad.errors import MriadError

DEPTH, SIDE, SIZE = 10, 12, 4
LABELS = np.zeros(3, dtype=np.int64)


@pytest.fixture
def cache() -> ScanCache:
    """3 volumes in which no two cubes are alike: a full one, one that shows a corner alone, a blank one."""
    images = np.random.default_rng(0).integers(50, 255, (3, DEPTH, SIDE, SIDE)).astype(np.uint8)
    images[1, 5:], images[1, :, 5:], images[1, :, :, 5:] = 0, 0, 0
    images[2] = 0
    facts = pd.DataFrame({"mask_index": [-1, -1, -1]})
    nothing = np.zeros((0, DEPTH, SIDE, SIDE), dtype=np.uint8)
    return ScanCache(images=images, masks=nothing, thumbnails=np.zeros((3, 16, 16), dtype=np.uint8), facts=facts)


def dataset(cache, rows=(0, 0, 1, 1), **options):
    choice = PatchChoice(size=SIZE, **options)
    return PatchDataset(scans=cache, labels=LABELS, rows=np.array(rows), choice=choice)


def corners(volume, cubes):
    """The first voxel of each cube (n, 1, S, S, S) in a volume, by its content."""
    windows = np.lib.stride_tricks.sliding_window_view(volume, (SIZE,) * 3)
    return [tuple(np.argwhere((windows == cube).all(axis=(3, 4, 5)))[0].tolist()) for cube in as_levels(cubes)]


def as_levels(cubes):
    return (cubes[:, 0] * 255).round().numpy().astype(np.uint8)


def test_a_batch_holds_cubes_of_its_rows(cache):
    torch.manual_seed(0)
    batch = dataset(cache).__getitems__([0, 2, 3])
    assert set(batch) == {"image", "label", "row"}
    assert batch["row"].tolist() == [0, 1, 1] and batch["label"].tolist() == [0, 0, 0]
    assert batch["image"].shape == (3, 1, SIZE, SIZE, SIZE) and batch["image"].dtype == torch.float32
    assert len(corners(cache.images[0], batch["image"][:1])) == 1
    assert len(corners(cache.images[1], batch["image"][1:])) == 2


def test_every_place_with_enough_tissue_is_drawn_and_no_other(cache):
    torch.manual_seed(0)
    cubes = torch.cat([dataset(cache, least_brain=0.5).__getitems__([2])["image"] for _ in range(300)])
    windows = np.lib.stride_tricks.sliding_window_view(cache.images[1] > 0, (SIZE,) * 3)
    enough = windows.mean(axis=(3, 4, 5)) >= 0.5
    assert set(corners(cache.images[1], cubes)) == set(map(tuple, np.argwhere(enough).tolist()))


@pytest.mark.parametrize("least", [0, 0.01, 0.3, 1])
def test_the_least_tissue_is_kept(cache, least):
    torch.manual_seed(0)
    shares = (dataset(cache, rows=[1], least_brain=least).__getitems__([0] * 200)["image"] > 0.05).float()
    assert shares.flatten(1).mean(dim=1).amin() >= max(least, 1 / SIZE**3) - 1e-6


def test_places_are_drawn_anew_in_each_epoch_and_alike_from_one_seed(cache):
    def epochs(seed):
        torch.manual_seed(seed)
        train = loader(dataset(cache, rows=[0] * 6), batch_size=2, num_workers=0, shuffle=True)
        return [torch.cat([batch["image"] for batch in train]) for _ in range(2)]

    first, again, other = epochs(0), epochs(0), epochs(1)
    assert all(torch.equal(*pair) for pair in zip(first, again, strict=True))
    places = [set(corners(cache.images[0], cubes)) for cubes in (*first, *other)]
    assert all(one != two for number, one in enumerate(places) for two in places[:number])


def test_the_seed_of_a_batch_says_what_is_drawn_for_it(cache):
    found = []
    for state in (0, 1):
        torch.manual_seed(state)
        indices = SeededIndices([0, 1, 2])
        indices.seed = 5
        found.append(dataset(cache).__getitems__(indices)["image"])
    assert torch.equal(*found)


@pytest.mark.parametrize("seed", [0, 1])
def test_processes_draw_the_same_however_many_they_are(cache, seed):
    found = []
    for workers in (1, 2):
        torch.manual_seed(seed)
        train = loader(dataset(cache, rows=[0] * 6), batch_size=2, num_workers=workers, shuffle=True)
        found.append(torch.cat([batch["image"] for batch in train]))
    assert torch.equal(*found)


def test_volumes_without_such_a_place_are_left_out_and_counted(cache, caplog):
    with caplog.at_level(logging.WARNING):
        left = dataset(cache, rows=[0, 2, 2, 1])
    assert len(left) == 2
    assert left.__getitems__([0, 1])["row"].tolist() == [0, 1]
    assert "1 of 3 healthy train scans have no cube with enough tissue" in caplog.text


def test_no_such_place_at_all_is_told(cache):
    with pytest.raises(MriadError, match=r"^No cube of data\.patches\.size=4 .*least_brain=0\.1 .*; lower one"):
        dataset(cache, rows=[2])


def test_cubes_are_augmented(cache):
    choice = PatchChoice(size=SIZE)
    darker = PatchDataset(scans=cache, labels=LABELS, rows=np.array([0]), choice=choice, augment=lambda x: x // 2)
    torch.manual_seed(0)
    half = darker.__getitems__([0])["image"]
    torch.manual_seed(0)
    assert (as_levels(half) == as_levels(dataset(cache).__getitems__([0])["image"]) // 2).all()


def test_a_cube_may_be_as_large_as_its_volume():
    volume = np.full((1, 4, 4, 4), 100, dtype=np.uint8)
    nothing, facts = np.zeros((0, 4, 4, 4), dtype=np.uint8), pd.DataFrame({"mask_index": [-1]})
    cache = ScanCache(images=volume, masks=nothing, thumbnails=np.zeros((1, 16, 16), dtype=np.uint8), facts=facts)
    assert (dataset(cache, rows=[0]).__getitems__([0])["image"] * 255 == 100).all()


def test_whole_volumes_have_no_choice():
    assert PatchChoice.of(None, (8, 8)) is None
    assert PatchChoice.of({"size": None, "per_scan": 8}, (8, 8)) is None
    assert PatchChoice.of({"size": 4, "per_scan": 2}, (8, 8, 8)) == PatchChoice(size=4, per_scan=2)


@pytest.mark.parametrize(
    ("options", "shape", "match"),
    [
        ({"size": 4}, (8, 8), r"^data\.patches\.size=4 cuts volumes into cubes, and these data are pictures; drop it"),
        ({"size": 9}, (8, 16, 16), r"^Cubes of data\.patches\.size=9 do not fit into volumes of \(8, 16, 16\) voxels"),
        ({"size": 4, "per_scan": 0}, (8, 8, 8), r"^data\.patches\.per_scan=0 is no number of cubes"),
        ({"size": 4, "per_scan": 1.5}, (8, 8, 8), r"^data\.patches\.per_scan=1\.5 is no number of cubes"),
        ({"size": 4, "least_brain": 2}, (8, 8, 8), r"^data\.patches\.least_brain=2 is no share of a cube"),
    ],
)
def test_a_choice_that_cannot_be_is_refused(options, shape, match):
    with pytest.raises(MriadError, match=match):
        PatchChoice.of(options, shape)
