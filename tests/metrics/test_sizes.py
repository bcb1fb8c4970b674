import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st

from mriad.metrics.bootstrap import GroupBootstrap
from mriad.metrics.pixel import pixel_metrics
from mriad.metrics.sizes import intervals_by_size, metrics_by_size, size_thirds

NAMES = {"pixel_ap", "pixel_aupro", "dice", "dice_oracle", "dice_per_scan", "pointing", "recall", "lesion_share"}


def masks_of(areas, size=10):
    masks = np.zeros((len(areas), size * size), dtype=bool)
    for mask, area in zip(masks, areas, strict=True):
        mask[:area] = True
    return masks.reshape(-1, size, size)


def scans(seed, areas):
    rng = np.random.default_rng(seed)
    masks = masks_of(areas)
    maps = rng.random(masks.shape) + 0.5 * masks * rng.random((len(areas), 1, 1))
    return maps.astype(np.float32), masks, rng.integers(2, size=len(areas))


def test_scans_are_divided_by_lesion_area():
    thirds = size_thirds(masks_of([50, 3, 20, 9, 99, 1, 30]))
    assert [third.name for third in thirds] == ["small", "medium", "large"]
    assert [third.rows.tolist() for third in thirds] == [[1, 3, 5], [2, 6], [0, 4]]
    assert [(third.least, third.most) for third in thirds] == [(1, 9), (20, 30), (50, 99)]


def test_volumes_are_divided_by_ml_where_their_voxels_are_known_and_else_by_voxels():
    masks = masks_of([50, 3, 20, 9, 99, 1])[:, None]
    by_voxels = size_thirds(masks)
    assert [third.rows.tolist() for third in by_voxels] == [[3 - 2, 5], [2, 3], [0, 4]]
    assert {third.unit for third in by_voxels} == {"voxels"} and by_voxels[2].span == ("50", "99")
    fine = size_thirds(masks, voxel_volume=np.array([1, 100, 1, 1, 1, 1000]))  # mm3
    assert [third.rows.tolist() for third in fine] == [[2, 3], [0, 4], [1, 5]]
    assert [third.unit for third in fine] == ["ml"] * 3
    assert (fine[2].least, fine[2].most) == pytest.approx((0.3, 1.0)) and fine[2].span == ("0.300", "1.00")
    assert {third.unit for third in size_thirds(masks[:, 0])} == {"pixels"}


@given(areas=st.lists(st.integers(1, 12), min_size=6, max_size=30), seed=st.integers(0, 99))
def test_thirds_hold_every_scan_once_and_do_not_depend_on_their_order(areas, seed):
    thirds = size_thirds(masks_of(areas))
    order = np.random.default_rng(seed).permutation(len(areas))
    shuffled = size_thirds(masks_of(np.array(areas)[order]))
    assert [sorted(order[third.rows].tolist()) for third in shuffled] == [third.rows.tolist() for third in thirds]
    if thirds:
        assert sorted(np.concatenate([third.rows for third in thirds]).tolist()) == list(range(len(areas)))
        assert thirds[0].most < thirds[1].least and thirds[1].most < thirds[2].least
        assert len(thirds[0].rows) >= len(areas) / 3 >= len(thirds[2].rows)


@pytest.mark.parametrize("count", [6, 7, 8, 9, 100])
def test_thirds_of_distinct_areas_are_alike_in_number(count):
    sizes = [len(third.rows) for third in size_thirds(masks_of(range(1, count + 1)))]
    assert sum(sizes) == count and max(sizes) - min(sizes) <= 1


@pytest.mark.parametrize("areas", [[], [1, 2, 3, 4, 5], [7] * 20, [1] * 10 + [2] * 10, [1] * 15 + [2, 3, 4]])
def test_too_few_scans_or_sizes_too_much_alike_have_no_thirds(areas):
    assert size_thirds(masks_of(areas)) == []


def test_each_third_is_measured_by_itself():
    maps, masks, decisions = scans(0, [1, 40, 5, 20, 3, 60, 30])
    thirds = size_thirds(masks)
    metrics = metrics_by_size(thirds, maps, masks, decisions, threshold=0.8)
    assert set(metrics) == {f"{name}_{third.name}" for name in NAMES for third in thirds}
    for third in thirds:
        alone = pixel_metrics(maps[third.rows], masks[third.rows], threshold=0.8)
        for name in NAMES - {"recall", "lesion_share"}:
            assert metrics[f"{name}_{third.name}"] == alone[name]
        assert metrics[f"recall_{third.name}"] == decisions[third.rows].mean()
    assert metrics["lesion_share_small"] == pytest.approx((1 + 3 + 5) / 300)


def test_the_share_of_the_lesion_is_the_average_precision_of_a_constant_map():
    _, masks, decisions = scans(0, [1, 40, 5, 20, 3, 60, 30])
    metrics = metrics_by_size(size_thirds(masks), np.ones(masks.shape), masks, decisions, threshold=0.8)
    shares = [metrics[f"lesion_share_{name}"] for name in ("small", "medium", "large")]
    assert shares == pytest.approx([metrics[f"pixel_ap_{name}"] for name in ("small", "medium", "large")])
    assert shares[0] < shares[1] < shares[2]


def test_intervals_are_percentiles_over_the_resamples_of_the_third():
    maps, masks, decisions = scans(1, list(range(2, 80, 4)))
    decisions[:10] = [0, 1] * 5
    thirds = size_thirds(masks)
    bootstrap = GroupBootstrap.draw(groups=np.arange(20) % 10, labels=np.ones(20), resamples=50)
    found = intervals_by_size(thirds, maps, masks, decisions, threshold=0.8, bootstrap=bootstrap)
    assert set(found) == set(metrics_by_size(thirds, maps, masks, decisions, threshold=0.8))
    resampled = []
    for weights in bootstrap.weights[:, thirds[0].rows]:
        rows = np.repeat(thirds[0].rows, weights)
        if len(rows):
            metrics = pixel_metrics(maps[rows], masks[rows], threshold=0.8)
            resampled.append(metrics | {"recall": decisions[rows].mean(), "lesion_share": masks[rows].mean()})
    for name in NAMES:
        expected = np.quantile([metrics[name] for metrics in resampled], [0.025, 0.975])
        assert found[f"{name}_small"] == pytest.approx(tuple(expected), abs=0.004), name  # binned


def test_a_third_of_one_group_has_an_interval_that_tells_nothing():
    maps, masks, decisions = scans(2, [1, 2, 3, 10, 11, 12, 50, 51, 52])
    thirds = size_thirds(masks)
    bootstrap = GroupBootstrap.draw(groups=list("aaabcdefg"), labels=np.ones(9), resamples=50)
    found = intervals_by_size(thirds, maps, masks, decisions, threshold=0.8, bootstrap=bootstrap)
    assert {found[f"{name}_small"] for name in NAMES} == {(0, 1)}
    assert found["recall_large"] != (0, 1) and found["dice_large"] != (0, 1)
