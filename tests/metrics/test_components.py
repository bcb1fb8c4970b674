import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from mriad.metrics import scans
from mriad.metrics.components import LEVELS, ComponentCounts, sweep_levels


def flooded(pixels):
    """Components of one image as sets of pixels, by walking from neighbour to neighbour."""
    left, found = set(map(tuple, np.argwhere(pixels).tolist())), []
    while left:
        component, edge = set(), [left.pop()]
        while edge:
            y, x = edge.pop()
            component.add((y, x))
            near = {(y + dy, x + dx) for dy in (-1, 0, 1) for dx in (-1, 0, 1)} & left
            left -= near
            edge += near
        found.append(component)
    return found


def slowly(values, mask, level):
    """Hits, false components and lesions of one scan."""
    lesions, called = flooded(mask), flooded(values > level)
    every = set().union(*lesions)
    precise = [component for component in called if 10 * len(component & every) >= 3 * len(component)]
    hit = [lesion for lesion in lesions if 10 * len(lesion & set().union(*precise)) >= len(lesion)]
    true = [component for component in precise if any(component & lesion for lesion in hit)]
    return len(hit), len(called) - len(true), len(lesions)


def counted(maps, masks, *levels):
    maps, masks = np.array(maps, dtype=np.float32), np.array(masks, dtype=bool)
    return ComponentCounts.of(maps, masks, np.array(levels))


@settings(max_examples=60, deadline=None)
@given(seed=st.integers(0, 10**6), scans=st.integers(1, 5), density=st.floats(0.02, 0.5))
def test_counts_are_those_of_walking_over_each_scan(seed, scans, density):
    rng = np.random.default_rng(seed)
    maps = rng.integers(6, size=(scans, 13, 9)).astype(np.float32)
    masks = rng.random(maps.shape) < density
    levels = np.array([5.0, 4.0, 3.0, 1.0, 0.0, -1.0])
    counts = ComponentCounts.of(maps, masks, levels)
    for scan in range(scans):
        for column, level in enumerate(levels):
            found = counts.hits, counts.false
            found = *(number[scan, column] for number in found), counts.lesions[scan]
            assert found == slowly(maps[scan], masks[scan], level)


def test_scans_taken_up_in_parts_count_the_same(monkeypatch):
    rng = np.random.default_rng(0)
    maps, masks = rng.random((7, 12, 12), dtype=np.float32), rng.random((7, 12, 12)) < 0.2
    levels = np.array([0.9, 0.5])
    at_once = ComponentCounts.of(maps, masks, levels)
    monkeypatch.setattr(scans, "PIXELS_AT_ONCE", 3 * 144)
    in_parts = ComponentCounts.of(maps, masks, levels)
    for name in ("hits", "false", "lesions"):
        np.testing.assert_array_equal(getattr(in_parts, name), getattr(at_once, name))


def test_a_component_hits_no_lesion_of_less_than_three_tenths_of_it_and_is_false():
    for tenth in range(1, 30):  # 0.3 * 30 is less than 9 in floats
        mask, values = np.zeros((1, 1, 300)), np.zeros((1, 1, 300))
        mask[0, 0, : 3 * tenth], values[0, 0, : 10 * tenth] = 1, 1
        large = counted(values, mask, 0.5)
        assert (large.hits[0, 0], large.false[0, 0]) == (1, 0)
        small = counted(values[..., 1:], mask[..., 1:], 0.5)
        assert (small.hits[0, 0], small.false[0, 0]) == (0, 1)


def test_a_lesion_of_which_less_than_a_tenth_is_covered_is_not_hit_and_what_touches_it_is_false():
    for tenth in range(1, 30):  # 0.1 * 70 is more than 7 in floats
        mask, values = np.zeros((1, 1, 300)), np.zeros((1, 1, 300))
        mask[0, 0, : 10 * tenth], values[0, 0, :tenth] = 1, 1
        enough = counted(values, mask, 0.5)
        assert (enough.hits[0, 0], enough.false[0, 0]) == (1, 0)
        less = counted(values[..., 1:], mask[..., 1:], 0.5)
        assert (less.hits[0, 0], less.false[0, 0]) == (0, int(tenth > 1))


def test_a_lesion_found_in_pieces_is_found():
    mask, values = np.zeros((1, 5, 40)), np.zeros((1, 5, 40))
    mask[0, 1:4] = 1
    values[0, 2, ::2] = 1  # a pixel is a hundred-and-twentieth of the lesion, all are a sixth
    whole = counted(values, mask, 0.5)
    assert (whole.hits[0, 0], whole.false[0, 0]) == (1, 0)
    values[0, 2, 20:] = 0
    part = counted(values, mask, 0.5)
    assert (part.hits[0, 0], part.false[0, 0]) == (0, 10)


def test_a_component_that_touches_a_hit_lesion_by_its_rim_is_false_all_the_same():
    mask, values = np.zeros((1, 1, 30)), np.zeros((1, 1, 30))
    mask[0, 0, :10], values[0, 0, :4], values[0, 0, 8:20] = 1, 1, 1
    counts = counted(values, mask, 0.5)
    assert (counts.hits[0, 0], counts.false[0, 0]) == (1, 1)


def test_one_component_may_hit_several_lesions():
    mask, values = np.zeros((1, 1, 12)), np.zeros((1, 1, 12))
    mask[0, 0, [2, 3, 6, 7]], values[0, 0, 2:8] = 1, 1
    counts = counted(values, mask, 0.5)
    assert (counts.hits[0, 0], counts.lesions[0]) == (2, 2)


def test_diagonal_neighbours_are_one_component_and_scans_never_touch():
    values = np.zeros((2, 4, 4))
    values[0, [0, 1], [0, 1]], values[1, 1, 1] = 1, 1
    counts = counted(values, np.zeros_like(values), 0.5)
    assert counts.false.ravel().tolist() == [1, 1]


def test_a_pixel_at_the_level_is_not_called():
    assert counted([[[0.1, 0.0]]], [[[0, 0]]], 0.1).false[0, 0] == 0  # float32(0.1) lies above the double 0.1


def test_few_values_are_all_levels():
    maps = np.random.default_rng(0).integers(LEVELS, size=(3, 40, 40)).astype(np.float32)
    np.testing.assert_array_equal(sweep_levels(maps), np.arange(LEVELS)[::-1])


def test_levels_call_growing_shares_of_the_pixels():
    maps = np.random.default_rng(0).permutation(10**6).reshape(100, 100, 100).astype(np.float32)
    levels = sweep_levels(maps)
    called = np.array([np.count_nonzero(maps > level) for level in levels])
    assert called[0] == 0
    assert called[1] == 10 and called[-1] == 200_000  # a 100,000th, and a fifth
    assert len(levels) == LEVELS + 1
    assert (called[11:] / called[10:-1]).max() == pytest.approx(20_000 ** (1 / (LEVELS - 1)), rel=0.05)


def test_levels_of_tied_values_stand_once():
    maps = np.random.default_rng(0).normal(size=(4, 50, 50)).clip(0.5).astype(np.float32)
    levels = sweep_levels(maps)
    assert (np.diff(levels) < 0).all() and levels[0] == maps.max()
