import numpy as np
import pytest
from skimage.measure import label as connected_regions
from sklearn.metrics import average_precision_score, roc_auc_score

from mriad.errors import MriadError
from mriad.metrics.pixel import best_dice_threshold, pixel_metrics, upper_quantile
from mriad.metrics.pixel_curves import AUPRO_MAX_FPR

CASES = [(seed, values) for seed in range(4) for values in (2, 5, 1000)]


def random_case(seed, values):
    """Maps with ``values`` distinct values, hence ties, in which lesions are a little stranger."""
    rng = np.random.default_rng(seed)
    masks = rng.random((4, 9, 11)) < 0.15
    masks[:, 4, 5] = True
    maps = rng.integers(values, size=masks.shape) + np.where(masks, values // 3, 0)
    healthy = rng.integers(values, size=(3, 9, 11))
    return maps.astype(np.float32), masks, healthy.astype(np.float32)


def dice(called, masks):
    return 2 * (called & masks).sum() / (called.sum() + masks.sum())


def brute_force_dice_oracle(maps, masks):
    return max(dice(maps >= level, masks) for level in np.unique(maps))


def brute_force_aupro(maps, masks):
    regions = []
    for number, mask in enumerate(masks):
        labelled = connected_regions(mask, connectivity=2)
        regions += [(number, labelled == region) for region in range(1, labelled.max() + 1)]
    rate, overlap = [0.0], [0.0]
    for level in np.unique(maps)[::-1]:
        called = maps >= level
        rate.append((called & ~masks).sum() / (~masks).sum())
        overlap.append(np.mean([called[number][region].mean() for number, region in regions]))
    rate, overlap = np.array(rate), np.array(overlap)
    inside = rate < AUPRO_MAX_FPR
    after = int(inside.sum())
    slope = (overlap[after] - overlap[after - 1]) / (rate[after] - rate[after - 1])
    at_limit = overlap[after - 1] + slope * (AUPRO_MAX_FPR - rate[after - 1])
    x, y = np.append(rate[inside], AUPRO_MAX_FPR), np.append(overlap[inside], at_limit)
    return sum((x[1:] - x[:-1]) * (y[1:] + y[:-1]) / 2) / AUPRO_MAX_FPR


@pytest.mark.parametrize(("seed", "values"), CASES)
def test_pooled_metrics_match_scikit_learn_and_brute_force(seed, values):
    maps, masks, _ = random_case(seed, values)
    metrics = pixel_metrics(maps, masks, threshold=values / 2)
    assert metrics["pixel_ap"] == pytest.approx(average_precision_score(masks.ravel(), maps.ravel()))
    assert metrics["pixel_auroc"] == pytest.approx(roc_auc_score(masks.ravel(), maps.ravel()))
    assert metrics["pixel_aupro"] == pytest.approx(brute_force_aupro(maps, masks))
    assert metrics["dice"] == pytest.approx(dice(maps > values / 2, masks))
    assert metrics["dice_oracle"] == pytest.approx(brute_force_dice_oracle(maps, masks))


@pytest.mark.parametrize(("seed", "values"), CASES)
def test_metrics_ending_in_all_count_healthy_scans_as_empty_masks(seed, values):
    maps, masks, healthy = random_case(seed, values)
    metrics = pixel_metrics(maps, masks, threshold=values / 2, healthy_maps=healthy)
    all_maps, all_masks = np.concatenate([maps, healthy]), np.concatenate([masks, healthy < 0])
    assert metrics["pixel_ap_all"] == pytest.approx(average_precision_score(all_masks.ravel(), all_maps.ravel()))
    assert metrics["pixel_auroc_all"] == pytest.approx(roc_auc_score(all_masks.ravel(), all_maps.ravel()))
    assert metrics["dice_all"] == pytest.approx(dice(all_maps > values / 2, all_masks))
    assert metrics["dice_oracle_all"] == pytest.approx(brute_force_dice_oracle(all_maps, all_masks))
    assert {k: v for k, v in metrics.items() if not k.endswith("_all")} == pixel_metrics(
        maps, masks, threshold=values / 2
    )


def test_arguments_are_not_changed():
    maps, masks, healthy = random_case(0, 1000)
    before = maps.copy(), masks.copy(), healthy.copy()
    pixel_metrics(maps, masks, threshold=1, healthy_maps=healthy)
    for now, then in zip((maps, masks, healthy), before, strict=True):
        np.testing.assert_array_equal(now, then)


def test_map_equal_to_its_mask_is_perfect():
    _, masks, healthy = random_case(1, 5)
    metrics = pixel_metrics(masks.astype(np.float32), masks, threshold=0.5, healthy_maps=np.zeros_like(healthy))
    assert metrics == pytest.approx(dict.fromkeys(metrics, 1.0))
    assert len(metrics) == 11


def test_constant_map_is_chance():
    maps, masks, _ = random_case(2, 5)
    metrics = pixel_metrics(np.ones_like(maps), masks, threshold=1)
    share = masks.mean()
    assert metrics["pixel_auroc"] == pytest.approx(0.5)
    assert metrics["pixel_ap"] == pytest.approx(share)
    # The curve is the diagonal, whose mean height up to the limit is half the limit.
    assert metrics["pixel_aupro"] == pytest.approx(AUPRO_MAX_FPR / 2)
    assert metrics["dice"] == 0 and metrics["dice_per_scan"] == 0
    assert metrics["pointing"] == pytest.approx(np.mean(masks.mean(axis=(1, 2))))


def test_aupro_of_a_curve_drawn_by_hand():
    # A region of one pixel above all ten background pixels, and one of two pixels at 8 (tied) and at -1.
    maps = np.array([[[20, 9, 8, -1, 8, 7, 6, 5, 4, 3, 2, 1, 0]]], dtype=np.float32)
    masks = np.zeros(maps.shape, dtype=bool)
    masks[0, 0, [0, 2, 3]] = True
    # Overlap is 1/2 up to rate 0.1, rises to 3/4 at 0.2 and stays there.
    area = 0.1 * 0.5 + 0.1 * (0.5 + 0.75) / 2 + 0.1 * 0.75
    assert pixel_metrics(maps, masks, threshold=5)["pixel_aupro"] == pytest.approx(area / AUPRO_MAX_FPR)


def test_aupro_jumps_at_the_limit_without_counting_the_jump():
    # Three of ten background pixels lie above the second region: its rate is exactly the limit.
    maps = np.array([[[20, 9, 5.5, 8, 7, 5, 4, 3, 2, 1, 0, -1]]], dtype=np.float32)
    masks = np.zeros(maps.shape, dtype=bool)
    masks[0, 0, [0, 2]] = True
    assert pixel_metrics(maps, masks, threshold=5)["pixel_aupro"] == pytest.approx(0.5)


def test_aupro_is_zero_where_lesions_rank_last():
    maps = np.array([[[0, 1, 2, 3]]], dtype=np.float32)
    masks = maps == 0
    metrics = pixel_metrics(maps, masks, threshold=2)
    assert metrics["pixel_aupro"] == 0 and metrics["pixel_auroc"] == 0


def test_diagonal_neighbours_are_one_region_and_scans_never_touch():
    maps = np.zeros((2, 4, 4), dtype=np.float32)
    masks = np.zeros((2, 4, 4), dtype=bool)
    masks[0, [0, 1], [0, 1]] = True
    masks[1, 0, 0] = True
    maps[0, 0, 0] = 1
    # Regions overlap by 1/2 and 0 at rate 0, and by 1 at rate 1 along a straight line.
    expected = 0.25 + 0.75 * AUPRO_MAX_FPR / 2
    assert pixel_metrics(maps, masks, threshold=0)["pixel_aupro"] == pytest.approx(expected)


@pytest.mark.parametrize(("seed", "values"), CASES)
def test_the_best_threshold_gives_the_oracle_dice(seed, values):
    maps, masks, _ = random_case(seed, values)
    threshold = best_dice_threshold(maps, masks)
    found = pixel_metrics(maps, masks, threshold=threshold)
    assert found["dice"] == pytest.approx(found["dice_oracle"]) == brute_force_dice_oracle(maps, masks)


def test_the_best_threshold_counts_scans_whose_lesion_is_lost():
    maps, masks, _ = random_case(0, 1000)
    masks[1] = False
    found = best_dice_threshold(maps, masks)
    assert dice(maps > found, masks) == pytest.approx(brute_force_dice_oracle(maps, masks))


def test_dice_per_scan_weighs_scans_alike():
    maps = np.zeros((2, 4, 4), dtype=np.float32)
    masks = np.zeros((2, 4, 4), dtype=bool)
    masks[0], masks[1, 0, 0] = True, True
    maps[0] = 1
    metrics = pixel_metrics(maps, masks, threshold=0.5)
    assert metrics["dice_per_scan"] == 0.5
    assert metrics["dice"] == pytest.approx(32 / 33)


def test_pixel_at_the_threshold_is_not_called():
    maps = np.array([[[0.1, 0.0]]], dtype=np.float32)
    masks = np.array([[[True, False]]])
    # float32(0.1) lies above the double 0.1; the threshold is compared in the precision of the map.
    for threshold in (0.1, np.float64(0.1), np.float32(0.1)):
        assert pixel_metrics(maps, masks, threshold=threshold)["dice"] == 0
    assert pixel_metrics(maps, masks, threshold=0.09)["dice"] == 1


def test_pointing_counts_the_share_of_tied_maxima_inside():
    maps = np.zeros((2, 1, 4), dtype=np.float32)
    maps[0, 0, :3], maps[1, 0, 3] = 1, 1
    masks = np.zeros((2, 1, 4), dtype=bool)
    masks[:, 0, 0] = True
    assert pixel_metrics(maps, masks, threshold=0)["pointing"] == pytest.approx((1 / 3 + 0) / 2)


def test_metrics_without_any_background_leave_rates_out():
    maps = np.arange(4, dtype=np.float32).reshape(1, 2, 2)
    masks = np.ones((1, 2, 2), dtype=bool)
    alone = pixel_metrics(maps, masks, threshold=1)
    assert "pixel_auroc" not in alone and "pixel_aupro" not in alone
    assert alone["pixel_ap"] == 1
    beside = pixel_metrics(maps, masks, threshold=1, healthy_maps=maps)
    assert beside["pixel_auroc_all"] == 0.5


def test_no_masks_give_no_metrics():
    nothing = np.zeros((0, 8, 8), dtype=np.float32)
    healthy = np.zeros((2, 8, 8), dtype=np.float32)
    assert pixel_metrics(nothing, nothing.astype(bool), threshold=0, healthy_maps=healthy) == {}


def test_empty_masks_are_refused():
    maps, masks, _ = random_case(0, 5)
    masks[2] = False
    with pytest.raises(MriadError, match="1 of 4 lesion masks have no pixel"):
        pixel_metrics(maps, masks, threshold=0)


def test_maps_that_are_not_finite_are_refused():
    maps, masks, healthy = random_case(0, 5)
    healthy[0, 0, 0] = np.inf
    with pytest.raises(MriadError, match="1 of 297 anomaly map values are not finite"):
        pixel_metrics(maps, masks, threshold=0, healthy_maps=healthy)
    maps[0, 0, :2] = np.nan
    with pytest.raises(MriadError, match="2 of 396"):
        pixel_metrics(maps, masks, threshold=0)


def test_shapes_must_agree():
    with pytest.raises(ValueError, match="differ in shape"):
        pixel_metrics(np.zeros((1, 4, 4)), np.ones((1, 4, 5), dtype=bool), threshold=0)


@pytest.mark.parametrize("q", [0.0, 0.3, 0.995, 1.0])
@pytest.mark.parametrize("count", [1, 150])
def test_the_quantile_of_some_maps_is_that_of_numpy(q, count):
    maps = np.random.default_rng(0).gamma(1.0, size=(200, 7, 9)).astype(np.float32)
    scans = np.random.default_rng(1).permutation(200)[:count]
    assert upper_quantile(maps, q, scans=scans) == pytest.approx(np.quantile(maps[scans], q), rel=1e-6)
