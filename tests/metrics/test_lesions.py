import numpy as np
import pytest
from scipy.ndimage import gaussian_filter

from mriad.metrics import lesions as module
from mriad.metrics import scans as parts
from mriad.metrics.bootstrap import GroupBootstrap
from mriad.metrics.components import ComponentCounts, sweep_levels
from mriad.metrics.lesions import HealthyComponents, LesionCounts, lesion_intervals, lesion_metrics

THRESHOLD = 0.6


def scans(seed, count=9, size=24):
    """Smooth maps with lesions of several sizes that are brighter or not, and healthy ones."""
    rng = np.random.default_rng(seed)
    maps = np.stack([3 * gaussian_filter(rng.normal(size=(size, size)), 1.5) for _ in range(2 * count)])
    rows, columns = np.mgrid[:size, :size]
    masks = np.zeros((count, size, size), dtype=bool)
    for mask in masks:
        for _ in range(rng.integers(1, 4)):
            y, x = rng.integers(2, size - 2, size=2)
            mask |= (rows - y) ** 2 + (columns - x) ** 2 < rng.integers(2, 20)
    maps[:count] += masks * rng.normal(0.5, 0.5, size=(count, 1, 1))
    return maps[:count].astype(np.float32), masks, maps[count:].astype(np.float32)


def point_by_hand(maps, masks, healthy=None, some=slice(None), levels=None):
    """Lesions hit in some scans where most are hit in all, one threshold after the other."""
    healthy = maps[:0] if healthy is None else healthy
    most, found = -1, 0.0
    for level in sweep_levels(maps) if levels is None else levels:
        counts = ComponentCounts.of(maps, masks, np.array([level]))
        beside = ComponentCounts.of(healthy, healthy > np.inf, np.array([level]))
        if counts.false.sum() + beside.false.sum() <= len(maps) + len(healthy) and counts.hits.sum() > most:
            most, found = counts.hits.sum(), counts.hits[some].sum() / counts.lesions[some].sum()
    return found


@pytest.mark.parametrize("seed", range(6))
def test_the_point_has_most_hits_at_no_more_than_one_false_component_per_scan(seed):
    maps, masks, healthy = scans(seed)
    thirds = {"small": np.array([0, 4, 5]), "large": np.array([1, 2, 7])}
    metrics = lesion_metrics(LesionCounts.of(maps, masks, threshold=THRESHOLD, healthy_maps=healthy), thirds)
    assert 0 < metrics["lesion_sensitivity_oracle"] < 1
    assert metrics["lesion_sensitivity_oracle"] == pytest.approx(point_by_hand(maps, masks))
    assert metrics["lesion_sensitivity_oracle_all"] == pytest.approx(point_by_hand(maps, masks, healthy))
    for name, rows in thirds.items():
        assert metrics[f"lesion_sensitivity_oracle_{name}"] == pytest.approx(point_by_hand(maps, masks, some=rows))


@pytest.mark.parametrize("seed", range(3))
def test_recall_and_false_components_are_those_of_the_pixel_threshold(seed):
    maps, masks, healthy = scans(seed)
    third = np.array([0, 4, 5])
    found = LesionCounts.of(maps, masks, threshold=THRESHOLD, healthy_maps=healthy)
    metrics = lesion_metrics(found, {"small": third})
    counts = ComponentCounts.of(maps, masks, np.array([THRESHOLD]))
    beside = ComponentCounts.of(healthy, healthy > np.inf, np.array([THRESHOLD])).false.sum()
    assert metrics["lesion_recall"] == pytest.approx(counts.hits.sum() / counts.lesions.sum())
    assert metrics["false_components"] == pytest.approx(counts.false.mean())
    assert metrics["false_components_all"] == pytest.approx((counts.false.sum() + beside) / 18)
    assert metrics["lesion_recall_small"] == pytest.approx(counts.hits[third].sum() / counts.lesions[third].sum())
    assert metrics["false_components_small"] == pytest.approx(counts.false[third].mean())


@pytest.mark.parametrize("seed", range(3))
def test_what_is_found_at_the_level_of_val_stands_beside_its_false_components(seed):
    maps, masks, healthy = scans(seed)
    third, level = np.array([0, 4, 5]), 0.9
    metrics = lesion_metrics(
        LesionCounts.of(maps, masks, threshold=THRESHOLD, level=level, healthy_maps=healthy), {"small": third}
    )
    counts = ComponentCounts.of(maps, masks, np.array([level]))
    beside = ComponentCounts.of(healthy, healthy > np.inf, np.array([level])).false.sum()
    assert metrics["lesion_sensitivity"] == pytest.approx(counts.hits.sum() / counts.lesions.sum())
    assert metrics["lesion_false_positives"] == pytest.approx(counts.false.mean())
    assert metrics["lesion_false_positives_all"] == pytest.approx((counts.false.sum() + beside) / 18)
    assert metrics["lesion_sensitivity_small"] == pytest.approx(counts.hits[third].sum() / counts.lesions[third].sum())
    assert metrics["lesion_false_positives_small"] == pytest.approx(counts.false[third].mean())
    without = lesion_metrics(LesionCounts.of(maps, masks, threshold=THRESHOLD, healthy_maps=healthy), {"small": third})
    assert without.items() == {name: metrics[name] for name in without}.items()
    assert {name for name in metrics if name not in without} == {
        f"lesion_{name}" for name in ("sensitivity", "sensitivity_small", "false_positives", "false_positives_small")
    } | {"lesion_false_positives_all"}


def spots(*values, size=20):
    """A healthy scan with a spot of each of these values, every one of them a component of its own."""
    image = np.zeros((size, size), dtype=np.float32)
    image[1 : 2 * len(values) : 2, 5] = values
    return image


def test_the_level_of_val_is_the_last_before_healthy_scans_have_more_than_one_component():
    maps = np.stack([spots(9, 7, 5), spots(8, 6, 4), spots(99, 99, 99)])
    assert HealthyComponents.of(maps, scans=np.array([0, 1])).level == 7  # above it lie 9 and 8, above 6 three spots
    assert HealthyComponents.of(maps, scans=np.array([1])).level == 6
    assert HealthyComponents.of(maps, scans=np.array([2])).level == 99


def test_components_that_have_grown_together_again_set_no_level():
    flooded = spots(9, 8, 7)
    flooded[:10, 5] = np.maximum(flooded[:10, 5], 1)  # above 0 all three are one
    assert HealthyComponents.of(flooded[None], scans=np.array([0])).level == 8


def test_scans_that_never_have_more_than_one_component_set_the_lowest_level():
    assert HealthyComponents.of(np.stack([spots(9), spots(3)]), scans=np.arange(2)).level == 0
    assert HealthyComponents.of(np.ones((2, 4, 4), dtype=np.float32), scans=np.arange(2)).level == 1


def test_levels_of_some_scans_are_counted_on_all(monkeypatch):
    monkeypatch.setattr(module, "LEVEL_SCANS", 2)
    monkeypatch.setattr(parts, "PIXELS_AT_ONCE", 2 * spots(1).size)
    maps = np.stack([spots(9, 2), *[spots(20, 19, 18)] * 3, spots(8, 3)])
    assert HealthyComponents.of(maps, scans=np.arange(5)).level == 20


def test_the_level_of_volumes_is_that_of_their_components():
    volumes = np.zeros((3, 4, 30, 30), dtype=np.float32)
    for place, value in enumerate([9, 8, 7, 6]):
        volumes[0, place % 2, 0, 4 * place] = value
    volumes[1, 1, 5, 5], volumes[1, 2, 6, 6] = 9.5, 9.5  # one component, across slices
    # a component in each of three scans on average: at 7 three of them and the one of the second, of which 3 are few
    assert HealthyComponents.of(volumes, scans=np.arange(3)).level == 7
    assert HealthyComponents.of(volumes, scans=np.array([0])).level == 8
    assert HealthyComponents.of(volumes, scans=np.array([1, 2])).level == 0


def test_a_lesion_outside_the_crop_counts_as_missed():
    maps, masks, _ = scans(0)
    missed = np.zeros(len(maps), dtype=np.int64)
    missed[[0, 3]] = 2, 1
    third = {"small": np.array([0, 4])}
    whole, lost = (
        lesion_metrics(LesionCounts.of(maps, masks, threshold=THRESHOLD, level=0.9, missed=some), third)
        for some in (None, missed)
    )
    lesions = ComponentCounts.of(maps, masks, np.array([0.0])).lesions
    for name in ("lesion_recall", "lesion_sensitivity", "lesion_sensitivity_oracle"):
        assert lost[name] == pytest.approx(whole[name] * lesions.sum() / (lesions.sum() + 3)), name
        small = lesions[[0, 4]].sum()
        assert lost[f"{name}_small"] == pytest.approx(whole[f"{name}_small"] * small / (small + 2)), name
    assert lost["false_components"] == whole["false_components"]


def test_the_pixel_threshold_does_not_take_part_in_the_sweep():
    maps, masks, _ = scans(0)
    sensitivities = {
        lesion_metrics(LesionCounts.of(maps, masks, threshold=threshold))["lesion_sensitivity_oracle"]
        for threshold in (-100, 0.3, THRESHOLD, 100)
    }
    assert len(sensitivities) == 1


def test_a_map_equal_to_its_mask_finds_all_at_no_false_alarm():
    _, masks, _ = scans(0)
    metrics = lesion_metrics(LesionCounts.of(masks.astype(np.float32), masks, threshold=0.5))
    assert metrics == {"lesion_sensitivity_oracle": 1.0, "lesion_recall": 1.0, "false_components": 0.0}


def test_a_constant_map_finds_nothing():
    _, masks, _ = scans(0)
    metrics = lesion_metrics(LesionCounts.of(np.ones(masks.shape), masks, threshold=1))
    assert metrics == {"lesion_sensitivity_oracle": 0.0, "lesion_recall": 0.0, "false_components": 0.0}


@pytest.mark.parametrize("whole", [False, True])
def test_the_brain_or_the_whole_image_as_map_finds_no_lesion_below_a_quarter_of_it(whole):
    rows, columns = np.mgrid[:64, :64]
    brain = (rows - 32) ** 2 + (columns - 32) ** 2 < 27**2
    called = np.ones_like(brain) if whole else brain
    widths = np.arange(2, 24)  # the largest is 23 % of the brain
    masks = np.stack([(abs(rows - 30) < w / 2) & (abs(columns - 36) < w / 2) for w in widths])
    assert 0.2 < masks.sum(axis=(1, 2)).max() / brain.sum() < 0.25
    # a constant map calls nothing above its maximum, so leave one scan in the dark
    maps = np.where(np.arange(len(masks))[:, None, None] > 0, called, 0.0)
    metrics = lesion_metrics(LesionCounts.of(maps, masks, threshold=0.5))
    assert metrics["lesion_sensitivity_oracle"] == metrics["lesion_recall"] == 0
    assert metrics["false_components"] == pytest.approx((len(masks) - 1) / len(masks))


def test_components_that_have_grown_together_do_not_set_the_threshold():
    # one component hits the lesion and another is false; below 1 both are a single one, which is allowed too
    counts = LesionCounts.of(*strip(0, 0, 0, 1, 1, 1, 5, 1, 1, 9, 1, 1, 1, 0, lesion=[9]), threshold=0)
    assert counts.diseased.false[0, :-2].tolist() == [0, 0, 1, 1]
    assert counts.diseased.hits[0, :-2].tolist() == [0, 1, 1, 0]
    assert lesion_metrics(counts)["lesion_sensitivity_oracle"] == 1


def test_smooth_maps_that_never_call_too_many_components_keep_their_point():
    """Lower thresholds flood these maps with a few large false components, which takes nothing from what was hit."""
    rows, columns = np.mgrid[:64, :64]
    masks = np.stack([np.hypot(rows - 20 - i, columns - 30) < 6 for i in range(8)])
    maps = np.stack(
        [gaussian_filter(mask.astype(float), 3) + 0.05 * np.exp(-np.hypot(rows, columns) / 60) for mask in masks]
    )
    assert lesion_metrics(LesionCounts.of(maps, masks, threshold=0.5))["lesion_sensitivity_oracle"] == 1


def strip(*values, lesion):
    mask = np.zeros((1, 1, len(values)), dtype=bool)
    mask[0, 0, lesion] = True
    return np.array(values, dtype=np.float32).reshape(1, 1, -1), mask


def test_one_false_component_is_allowed_and_two_are_not():
    one = strip(0, 9, 0, 5, 0, 3, 0, lesion=[3])
    two = strip(0, 9, 0, 5, 0, 8, 0, lesion=[3])
    sensitivity = [
        lesion_metrics(LesionCounts.of(*scan, threshold=0))["lesion_sensitivity_oracle"] for scan in (one, two)
    ]
    assert sensitivity == [1, 0]


def drawn(maps, healthy, *, groups=5, resamples=60):
    labels = np.repeat([1, 0], [len(maps), len(healthy)])
    names = [f"{label}, {row % groups}" for row, label in enumerate(labels)]
    whole = GroupBootstrap.draw(groups=names, labels=labels, resamples=resamples)
    return whole.of(labels == 1), whole.of(labels == 0)


def test_intervals_are_percentiles_of_the_metrics_of_each_resample():
    maps, masks, healthy = scans(2)
    third = np.array([0, 1, 2, 3, 6])
    counts = LesionCounts.of(maps, masks, threshold=THRESHOLD, healthy_maps=healthy)
    bootstrap, beside = drawn(maps, healthy)
    found = lesion_intervals(counts, bootstrap=bootstrap, healthy_bootstrap=beside, thirds={"small": third})
    resampled = []
    levels = sweep_levels(maps)  # those of the test set itself
    for weights, healthy_weights in zip(bootstrap.weights, beside.weights, strict=True):
        rows, others = (np.repeat(np.arange(len(w)), w) for w in (weights, healthy_weights))
        given = maps[rows], masks[rows]
        metrics = lesion_metrics(LesionCounts.of(*given, threshold=THRESHOLD, healthy_maps=healthy[others]))
        metrics["lesion_sensitivity_oracle"] = point_by_hand(*given, levels=levels)
        metrics["lesion_sensitivity_oracle_all"] = point_by_hand(*given, healthy[others], levels=levels)
        small = np.flatnonzero(np.isin(rows, third))
        here = ComponentCounts.of(given[0][small], given[1][small], np.array([THRESHOLD]))
        metrics["lesion_recall_small"] = here.hits.sum() / here.lesions.sum() if len(small) else np.nan
        metrics["false_components_small"] = here.false.mean() if len(small) else np.nan
        metrics["lesion_sensitivity_oracle_small"] = point_by_hand(*given, some=np.isin(rows, third), levels=levels)
        resampled.append(metrics)
    assert set(found) == set(resampled[0])
    for name, bounds in found.items():
        expected = np.nanquantile([metrics[name] for metrics in resampled], [0.025, 0.975])
        assert bounds == pytest.approx(tuple(expected)), name
        assert bounds[0] < bounds[1], name


def test_a_perfect_map_is_not_certain():
    _, masks, healthy = scans(0)
    dark = np.zeros_like(healthy[:4])
    bootstrap, beside = drawn(masks, dark, groups=5)
    counts = LesionCounts.of(masks.astype(np.float32), masks, threshold=0.5, healthy_maps=dark)
    found = lesion_intervals(
        counts, bootstrap=bootstrap, healthy_bootstrap=beside, thirds={"small": np.array([0, 1, 5])}
    )
    assert found["lesion_sensitivity_oracle"] == pytest.approx((0.025 ** (1 / 5), 1))
    assert found["lesion_sensitivity_oracle_all"] == pytest.approx((0.025 ** (1 / 4), 1))
    assert found["lesion_sensitivity_oracle_small"] == pytest.approx(
        (0.025 ** (1 / 2), 1)
    )  # rows 0 and 5 are of one group
    assert found["false_components"] == pytest.approx((0, -np.log(0.025) / 5))
    assert found["lesion_recall_small"] == pytest.approx((0.025 ** (1 / 2), 1))
    assert found["false_components_small"] == pytest.approx((0, -np.log(0.025) / 2))


def test_false_components_of_one_group_have_no_interval():
    maps, masks, healthy = scans(0)
    bootstrap, _ = drawn(maps, healthy[:0], groups=1)
    found = lesion_intervals(LesionCounts.of(maps, masks, threshold=THRESHOLD), bootstrap=bootstrap)
    assert found == {"lesion_sensitivity_oracle": (0, 1), "lesion_recall": (0, 1)}


def test_without_healthy_scans_nothing_counts_them():
    maps, masks, healthy = scans(0)
    counts = LesionCounts.of(maps, masks, threshold=THRESHOLD, healthy_maps=healthy[:0])
    bootstrap, beside = drawn(maps, healthy[:0])
    bounds = lesion_intervals(counts, bootstrap=bootstrap, healthy_bootstrap=beside)
    assert (
        set(bounds) == set(lesion_metrics(counts)) == {"lesion_sensitivity_oracle", "lesion_recall", "false_components"}
    )
