from math import log

import numpy as np
import pytest

from mriad.metrics import pixel_levels as module
from mriad.metrics.pixel import best_dice_threshold, pixel_metrics
from mriad.metrics.pixel_levels import PixelLevels, region_shares


def volumes(seed, *, count=6, tied=False):
    """Maps of volumes with cubes as lesions, 0 outside a brain, and healthy ones."""
    rng = np.random.default_rng(seed)
    maps = rng.normal(size=(2 * count, 12, 14, 16)).astype(np.float32)
    masks = np.zeros((count, 12, 14, 16), dtype=bool)
    for mask in masks:
        z, y, x = rng.integers(1, 8, size=3)
        mask[z : z + 3, y : y + 5, x : x + 4] = True
    maps[:count] += 1.5 * masks
    maps[:, :, :4] = 0  # in the mask too
    if tied:
        maps = np.round(maps, 1)
    return maps[:count], masks, maps[count:]


def as_pictures(scans):
    return scans.reshape(len(scans), -1, scans.shape[-1])


@pytest.mark.parametrize("tied", [False, True])
@pytest.mark.parametrize("seed", range(3))
def test_volumes_of_few_lesion_values_are_counted_exactly(seed, tied):
    maps, masks, healthy = volumes(seed, tied=tied)
    found = pixel_metrics(maps, masks, threshold=1, healthy_maps=healthy)
    expected = pixel_metrics(as_pictures(maps), as_pictures(masks), threshold=1, healthy_maps=as_pictures(healthy))
    regions = "pixel_aupro"  # a cube that is laid flat falls apart
    assert {name: found[name] for name in expected if name != regions} == pytest.approx(
        {name: expected[name] for name in expected if name != regions}, abs=1e-12
    )


@pytest.mark.parametrize("seed", range(5))
def test_volumes_of_many_lesion_values_are_as_close_as_is_promised(seed, monkeypatch):
    maps, masks, healthy = volumes(seed, count=8)
    exact = pixel_metrics(maps, masks, threshold=1, healthy_maps=healthy)
    monkeypatch.setattr(module, "GRID", 32)
    levels = PixelLevels(maps, masks)
    reached, values = levels.lesion.reached, levels.values
    # a level that holds one value is exact; between others lies at most a 32nd of the lesion, up to rounding
    single = np.append(False, np.nextafter(values[1:], np.float32(np.inf)) == values[:-1])
    q = (np.diff(reached, prepend=0)[~single] / reached[-1]).max()
    assert 1 / 40 < q < 1 / 25
    found = pixel_metrics(maps, masks, threshold=1, healthy_maps=healthy)
    for suffix, background in (("", (~masks).sum()), ("_all", (~masks).sum() + healthy.size)):
        assert abs(found[f"pixel_auroc{suffix}"] - exact[f"pixel_auroc{suffix}"]) <= q / 2
        bound = q * (2 + (log(32) + log(background)) / 4)
        assert abs(found[f"pixel_ap{suffix}"] - exact[f"pixel_ap{suffix}"]) <= bound
        assert 0 <= exact[f"dice_oracle{suffix}"] - found[f"dice_oracle{suffix}"] <= 2 * q
    assert abs(found["pixel_aupro"] - exact["pixel_aupro"]) <= np.diff(levels.lesion.overlap, prepend=0)[~single].max()
    for name in ("dice", "dice_per_scan", "pointing", "dice_all"):
        assert found[name] == exact[name]
    assert found != exact


def test_the_grid_moves_numbers_by_much_less_than_is_promised(monkeypatch):
    monkeypatch.setattr(module, "GRID", 2**12)  # for a million voxels; the promise is 0.0015
    rng = np.random.default_rng(0)
    masks = rng.random((4, 64, 64, 64)) < 0.05
    maps = (rng.normal(size=masks.shape) + 2 * masks).astype(np.float32)
    found = pixel_metrics(maps, masks, threshold=1)
    exact = pixel_metrics(as_pictures(maps), as_pictures(masks), threshold=1)
    for name in ("pixel_ap", "pixel_auroc", "dice_oracle"):
        assert found[name] == pytest.approx(exact[name], abs=2e-4)


def test_levels_from_a_sample_hold_all_of_the_lesion(monkeypatch):
    maps, masks, _ = volumes(0)
    maps[5][masks[5]] = np.linspace(-9, 9, masks[5].sum())  # its ends are not in the sample
    monkeypatch.setattr(module, "SAMPLE", 100)
    levels = PixelLevels(maps, masks)
    assert levels.lesion.total == masks.sum()
    background = levels.background(maps, masks)
    assert background.total == (~masks).sum() and (background.reached <= background.total).all()
    exact = pixel_metrics(as_pictures(maps), as_pictures(masks), threshold=1)
    assert pixel_metrics(maps, masks, threshold=1)["pixel_auroc"] == pytest.approx(exact["pixel_auroc"], abs=0.02)


def test_the_background_above_all_lesions_is_not_tied_with_them():
    maps, masks = np.zeros((1, 2, 2, 2), dtype=np.float32), np.zeros((1, 2, 2, 2), dtype=bool)
    maps[0].flat = [9, 5, 4, 0, 0, 0, 0, 0]
    masks[0].flat[1] = True
    assert pixel_metrics(maps, masks, threshold=1)["pixel_auroc"] == pytest.approx(6 / 7)


def test_the_best_threshold_of_volumes_gives_the_oracle_dice(monkeypatch):
    maps, masks, _ = volumes(1)
    for grid in (2**16, 32):
        monkeypatch.setattr(module, "GRID", grid)
        found = pixel_metrics(maps, masks, threshold=best_dice_threshold(maps, masks))
        assert found["dice"] == pytest.approx(found["dice_oracle"])


def test_regions_of_a_volume_touch_by_corners_and_across_slices():
    mask = np.zeros((3, 4, 4), dtype=bool)
    mask[0, 0, 0] = mask[1, 1, 1] = mask[2, 3, 3] = True
    assert region_shares(mask).tolist() == [0.5, 0.5, 1]
    assert region_shares(mask[1]).tolist() == [1]


@pytest.mark.parametrize("shape", [(2, 5, 5), (2, 5, 5, 5)])
def test_maps_and_masks_in_a_file_are_left_as_they_are(shape, tmp_path):
    rng = np.random.default_rng(0)
    np.save(tmp_path / "maps.npy", rng.random(shape, dtype=np.float32))
    maps = np.load(tmp_path / "maps.npy", mmap_mode="r")  # writing to it would raise
    masks = np.zeros(shape, dtype=np.uint8)
    masks[:, 2:4] = 1
    assert pixel_metrics(maps, masks, threshold=0.5) == pixel_metrics(np.array(maps), masks > 0, threshold=0.5)
