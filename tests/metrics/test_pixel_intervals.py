import numpy as np
import pytest
from scipy.ndimage import gaussian_filter

from mriad.metrics import pixel_intervals as module
from mriad.metrics.bootstrap import GroupBootstrap
from mriad.metrics.pixel import pixel_metrics
from mriad.metrics.pixel_intervals import pixel_intervals


def scans(seed, count=12, size=20, *, step=None):
    """Smooth maps with brighter disks as lesions, in steps so that values tie, and healthy ones."""
    rng = np.random.default_rng(seed)
    maps = np.stack([3 * gaussian_filter(rng.normal(size=(size, size)), 1) for _ in range(2 * count)])
    rows, columns = np.mgrid[:size, :size]
    masks = np.zeros((count, size, size), dtype=bool)
    for mask in masks:
        for _ in range(2):
            y, x = rng.integers(2, size - 2, size=2)
            mask |= (rows - y) ** 2 + (columns - x) ** 2 < rng.integers(2, 12)
    maps[:count] += masks * rng.normal(1.0, 0.5, size=(count, 1, 1))
    if step:
        maps = np.round(maps / step) * step
    return maps[:count].astype(np.float32), masks, maps[count:].astype(np.float32)


def drawn(maps, healthy, *, groups=6, resamples=2000):
    """Resamples of scans with a lesion, and of healthy ones; scans of a group follow each other round."""
    labels = np.repeat([1, 0], [len(maps), len(healthy)])
    names = [f"{label}, {row % groups}" for row, label in enumerate(labels)]
    whole = GroupBootstrap.draw(groups=names, labels=labels, resamples=resamples)
    return whole.of(labels == 1), whole.of(labels == 0)


def measured(maps, masks, healthy, bootstrap, healthy_bootstrap, *, threshold=0.8):
    metrics = pixel_metrics(maps, masks, threshold=threshold, healthy_maps=healthy)
    found = pixel_intervals(
        metrics,
        maps,
        masks,
        threshold=threshold,
        bootstrap=bootstrap,
        healthy_maps=healthy,
        healthy_bootstrap=healthy_bootstrap,
    )
    return metrics, found


def percentiles_of_built_resamples(maps, masks, healthy, bootstrap, healthy_bootstrap, *, threshold=0.8):
    resampled = []
    for weights, healthy_weights in zip(bootstrap.weights, healthy_bootstrap.weights, strict=True):
        rows, others = (np.repeat(np.arange(len(w)), w) for w in (weights, healthy_weights))
        resampled.append(pixel_metrics(maps[rows], masks[rows], threshold=threshold, healthy_maps=healthy[others]))
    return {name: np.quantile([m[name] for m in resampled], [0.025, 0.975]) for name in resampled[0]}


def test_intervals_are_percentiles_of_the_exact_metrics_of_each_resample():
    maps, masks, healthy = scans(0, step=0.25)  # few lesion values: a bin each, and hardly a pixel between two
    brighter, brightest = np.zeros(maps.shape, dtype=bool), maps.max()
    brighter[::4, :2] = True
    maps[brighter & ~masks] = brightest + 1
    resamples = drawn(maps, healthy, resamples=40)
    metrics, found = measured(maps, masks, healthy, *resamples)
    expected = percentiles_of_built_resamples(maps, masks, healthy, *resamples)
    assert set(found) == set(metrics) == set(expected)
    for name, bounds in found.items():
        assert bounds == pytest.approx(tuple(expected[name]), abs=1e-4), name


def test_binning_moves_an_interval_by_little(monkeypatch):
    monkeypatch.setattr(module, "BINS", 100)
    maps, masks, healthy = scans(1)
    assert len(np.unique(maps[masks])) > 300
    resamples = drawn(maps, healthy, resamples=40)
    _, found = measured(maps, masks, healthy, *resamples)
    expected = percentiles_of_built_resamples(maps, masks, healthy, *resamples)
    for name, bounds in found.items():
        assert bounds == pytest.approx(tuple(expected[name]), abs=0.004), name


def test_a_coarse_binning_is_put_right_by_the_exact_metric(monkeypatch):
    maps, masks, healthy = scans(2)
    resamples = drawn(maps, healthy)
    metrics, fine = measured(maps, masks, healthy, *resamples)
    monkeypatch.setattr(module, "BINS", 25)
    _, coarse = measured(maps, masks, healthy, *resamples)
    for name, value in metrics.items():
        assert coarse[name][0] < value < coarse[name][1], name
        assert coarse[name] == pytest.approx(fine[name], abs=0.02), name


def test_parts_of_the_resamples_are_put_together(monkeypatch):
    maps, masks, healthy = scans(3)
    resamples = drawn(maps, healthy, resamples=100)
    _, at_once = measured(maps, masks, healthy, *resamples)
    monkeypatch.setattr(module, "RESAMPLES_AT_ONCE", 7)
    _, in_parts = measured(maps, masks, healthy, *resamples)
    for name, bounds in in_parts.items():
        assert bounds == pytest.approx(at_once[name]), name


def test_scans_of_one_group_make_the_interval_wider():
    maps, masks, healthy = scans(4, count=6)
    copies = [np.concatenate([part] * 5) for part in (maps, masks, healthy)]
    _, by_group = measured(*copies, *drawn(copies[0], copies[2], groups=6))
    _, by_scan = measured(*copies, *drawn(copies[0], copies[2], groups=30))
    for name in ("pixel_ap", "dice", "pixel_aupro"):
        widths = [high - low for low, high in (by_group[name], by_scan[name])]
        assert widths[0] > 1.6 * widths[1], name


def test_without_healthy_scans_there_are_no_intervals_that_count_them():
    maps, masks, healthy = scans(5)
    bootstrap, none = drawn(maps, healthy[:0])
    metrics, found = measured(maps, masks, healthy[:0], bootstrap, none)
    assert set(found) == set(metrics)
    assert not [name for name in found if name.endswith("_all")]


def test_a_perfect_map_is_not_certain():
    _, masks, healthy = scans(6)
    maps = masks.astype(np.float32)
    dark = np.zeros_like(healthy[:4])
    metrics, found = measured(maps, masks, dark, *drawn(maps, dark, groups=6), threshold=0.5)
    assert metrics == pytest.approx(dict.fromkeys(metrics, 1.0))
    for name, bounds in found.items():
        groups = 4 if name.endswith("_all") else 6
        assert bounds == pytest.approx((0.025 ** (1 / groups), 1)), name


def test_resamples_without_a_lesion_are_left_out():
    maps, masks, _ = scans(7, count=3)
    # three of thirty anomalous scans have a mask, so that one resample in twenty-five has none
    bootstrap = GroupBootstrap.draw(groups=np.arange(30), labels=np.ones(30)).of(np.arange(3))
    assert (bootstrap.weights.sum(axis=1) == 0).any()
    metrics = pixel_metrics(maps, masks, threshold=0.8)
    found = pixel_intervals(metrics, maps, masks, threshold=0.8, bootstrap=bootstrap)
    assert np.isfinite(list(found.values())).all()
    assert all(low <= metrics[name] <= high for name, (low, high) in found.items())


def test_no_background_leaves_rates_out():
    maps, _, healthy = scans(8)
    masks = np.ones(maps.shape, dtype=bool)
    metrics, found = measured(maps, masks, healthy, *drawn(maps, healthy))
    assert set(found) == set(metrics) and "pixel_auroc" not in found


def test_no_scans_have_no_intervals():
    nothing = np.zeros((0, 8, 8), dtype=np.float32)
    bootstrap, _ = drawn(nothing, nothing)
    assert pixel_intervals({}, nothing, nothing > 0, threshold=0, bootstrap=bootstrap) == {}
