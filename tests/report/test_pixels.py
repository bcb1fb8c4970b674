import json
import tracemalloc
from pathlib import Path

import numpy as np
import pandas as pd
import pytest

from mriad.metrics import components, pixel_levels, scans
from mriad.metrics.bootstrap import GroupBootstrap
from mriad.metrics.lesions import HealthyComponents
from mriad.metrics.pixel import best_dice_threshold, pixel_metrics, upper_quantile
from mriad.report import pixels as module
from mriad.report.pixels import PixelFindings, measure_pixels


@pytest.fixture(name="scans")
def some_scans():
    """Healthy scans between anomalous ones, of which the second has no mask and the third an empty one."""
    rng = np.random.default_rng(0)
    label = np.array([1, 0, 1, 1, 0] + [1] * 6)
    masks = [None] * len(label)
    for row, area in zip([0, *range(5, 11)], [1, 2, 3, 4, 5, 6, 7], strict=True):
        masks[row] = np.arange(64).reshape(8, 8) < area
    masks[3] = np.zeros((8, 8), dtype=bool)
    table = pd.DataFrame({"label": label, "decision": label * (np.arange(len(label)) != 5)})
    return table, rng.random((len(label), 8, 8), dtype=np.float32), masks


def measured(table, maps, masks):
    bootstrap = GroupBootstrap.draw(groups=np.arange(len(table)), labels=table["label"], resamples=50)
    return measure_pixels(table, maps, masks, threshold=0.5, bootstrap=bootstrap)


def test_scans_with_a_lesion_are_measured_beside_the_healthy_ones(scans):
    _, maps, masks = scans
    rows = [0, *range(5, 11)]
    alone = pixel_metrics(maps[rows], np.stack([masks[row] for row in rows]), threshold=0.5, healthy_maps=maps[[1, 4]])
    found = measured(*scans)
    assert alone.items() <= found.metrics.items()
    assert set(found.intervals) == set(found.metrics)


def test_the_same_scans_are_drawn(scans, monkeypatch):
    given = {}
    for name in ("pixel_intervals", "lesion_intervals", "intervals_by_size"):
        original = getattr(module, name)
        monkeypatch.setattr(
            module, name, lambda *a, _name=name, _original=original, **b: given.update({_name: b}) or _original(*a, **b)
        )
    measured(*scans)
    # groups are numbered by their names as texts: 0, 1, 10, 2, 3 ...
    diseased, healthy = [0, 6, 7, 8, 9, 10, 2], [1, 5]
    assert [drawn["bootstrap"].group.tolist() for drawn in given.values()] == [diseased] * 3
    for name in ("pixel_intervals", "lesion_intervals"):
        assert given[name]["healthy_bootstrap"].group.tolist() == healthy


def test_thirds_are_rows_of_the_table_and_their_recall_that_of_its_decisions(scans):
    found = measured(*scans)
    assert [third.rows.tolist() for third in found.thirds] == [[0, 5, 6], [7, 8], [9, 10]]
    assert found.metrics["recall_small"] == pytest.approx(2 / 3)
    assert found.metrics["recall_medium"] == found.metrics["recall_large"] == 1


def test_no_lesion_no_findings(scans):
    table, maps, masks = scans
    assert measured(table, maps, [None] * len(masks)) == PixelFindings()
    assert measured(table[3:5], maps[3:5], masks[3:5]) == PixelFindings()


def pictures():
    """150 pictures of 24 x 24, half of them with lesions, of which one has no mask, one an empty one, two lost ones."""
    rng = np.random.default_rng(3)
    size, count = 24, 150
    maps = rng.normal(size=(count, size + 2, size + 2))
    maps = 3 * np.mean([maps[:, y : y + size, x : x + size] for y in range(3) for x in range(3)], axis=0)
    label, outside, masks = np.arange(count) % 2, np.zeros(count, dtype=np.int64), [None] * count
    y, x = np.mgrid[:size, :size]
    for scan in range(1, count, 2):
        mask = np.zeros((size, size), dtype=bool)
        for _ in range(2):
            row, column = rng.integers(2, size - 2, size=2)
            mask |= (y - row) ** 2 + (x - column) ** 2 < rng.integers(2, 60)
        masks[scan] = mask if scan != 5 else np.zeros_like(mask)
        maps[scan] += mask * rng.normal(1, 0.5)
    masks[3] = None
    outside[[5, 7]] = 1
    table = pd.DataFrame({"label": label, "decision": rng.integers(2, size=count)})
    return table, np.round(maps, 3).astype(np.float32), masks, outside


def numbers(table, maps, masks, outside):
    """All that is measured of them."""
    label = table["label"].to_numpy()
    bootstrap = GroupBootstrap.draw(groups=np.arange(len(label)) // 3, labels=label, resamples=200)
    found = measure_pixels(table, maps, masks, threshold=0.8, bootstrap=bootstrap, level=1.1, outside=outside)
    healthy = np.flatnonzero(label == 0)
    masked = [scan for scan, mask in enumerate(masks) if mask is not None]
    return {
        "metrics": found.metrics,
        "intervals": found.intervals,
        "thirds": {third.name: [len(third.rows), third.least, third.most] for third in found.thirds},
        "healthy_level": HealthyComponents.of(maps, scans=healthy).level,
        "upper_quantile": upper_quantile(maps, 0.995, scans=healthy),
        "best_dice_threshold": best_dice_threshold(maps[masked], np.stack([masks[scan] for scan in masked])),
    }


def test_the_numbers_of_pictures_are_those_from_before_there_were_volumes():
    expected = json.loads((Path(__file__).parent / "pictures.json").read_text())
    found = numbers(*pictures())
    assert found["metrics"] == pytest.approx(expected["metrics"], rel=1e-12, abs=0)
    assert {name: list(third) for name, third in found["thirds"].items()} == expected["thirds"]
    for name in ("healthy_level", "upper_quantile", "best_dice_threshold"):
        assert found[name] == expected[name]
    assert found["intervals"].keys() == expected["intervals"].keys()
    for name, bounds in found["intervals"].items():  # sums over scans in float32 differ between processors
        assert bounds == pytest.approx(expected["intervals"][name], rel=1e-6), name


def volumes(count, folder):
    """Maps in a file, and masks that are made when they are asked for."""
    rng = np.random.default_rng(0)
    np.save(folder / f"{count}.npy", rng.random((count, 16, 32, 32), dtype=np.float32))
    mask = np.zeros((16, 32, 32), dtype=bool)
    mask[5:9, 10:20, 12:20] = True
    table = pd.DataFrame({"label": np.arange(count) % 2, "decision": 1, "lesion_ml": 1.0, "called_ml": 2.0})
    return table, np.load(folder / f"{count}.npy", mmap_mode="r"), [mask if row % 2 else None for row in range(count)]


def test_ten_times_as_many_volumes_take_no_more_memory(tmp_path, monkeypatch):
    monkeypatch.setattr(scans, "PIXELS_AT_ONCE", 2**14)  # a volume
    monkeypatch.setattr(components, "SAMPLE", 2**15)
    monkeypatch.setattr(pixel_levels, "SAMPLE", 2**11)
    monkeypatch.setattr(pixel_levels, "GRID", 2**9)
    peaks = []
    for count in (12, 120):  # maps of 0.8 and 7.9 MB
        table, maps, masks = volumes(count, tmp_path)
        bootstrap = GroupBootstrap.draw(groups=np.arange(count), labels=table["label"], resamples=20)
        tracemalloc.start()
        found = measure_pixels(
            table, maps, masks, threshold=0.9, bootstrap=bootstrap, level=0.9, voxel_volume=np.ones(count)
        )
        peaks.append(tracemalloc.get_traced_memory()[1])
        tracemalloc.stop()
        assert found.metrics["lesion_volume_bias"] == 1
    assert peaks[1] - peaks[0] < 1.5 * 2**20  # histograms of 1,000 bins, 12 kB a scan
