import math

import numpy as np
import pytest
import torch

from mriad.scoring.pooling import POOLINGS, maximum, mean, top_fraction


def image(values):
    return torch.tensor(values, dtype=torch.float32).view(1, 1, 1, -1)


def mask(values):
    return torch.tensor(values, dtype=torch.bool).view(1, 1, 1, -1)


def test_mean_is_over_the_mask_and_not_over_the_image():
    assert mean(image([1, 2, 6, 100]), mask([1, 1, 1, 0]), 0.02).tolist() == [3.0]


def test_maximum_looks_inside_the_mask_only():
    assert maximum(image([1, 2, 6, 100]), mask([1, 1, 0, 0]), 0.02).tolist() == [2.0]


def test_the_largest_of_negative_values_is_negative():
    assert maximum(image([-3, -2]), mask([1, 1]), 0.02).tolist() == [-2.0]
    assert top_fraction(image([-3, -2, 5]), mask([1, 1, 0]), 0.5).tolist() == [-2.0]


@pytest.mark.parametrize("name", POOLINGS)
def test_a_scan_without_foreground_scores_0(name):
    scores = POOLINGS[name](torch.rand(2, 1, 4, 4), torch.zeros(2, 1, 4, 4, dtype=torch.bool), 0.02)
    assert scores.tolist() == [0.0, 0.0]


def test_a_tiny_fraction_takes_the_one_strangest_pixel():
    assert top_fraction(image([3, 9, 1, 50]), mask([1, 1, 1, 0]), 1e-6).tolist() == [9.0]


def test_the_whole_fraction_is_the_mean():
    anomaly_map = torch.rand(3, 1, 6, 6, generator=torch.Generator().manual_seed(0))
    inside = torch.rand(3, 1, 6, 6, generator=torch.Generator().manual_seed(1)) > 0.4
    torch.testing.assert_close(top_fraction(anomaly_map, inside, 1.0), mean(anomaly_map, inside, 1.0))


def test_a_fraction_is_of_the_mask_and_not_of_the_image():
    assert top_fraction(image(range(100)), mask([1] * 10 + [0] * 90), 0.2).tolist() == [8.5]


def test_tied_pixels_count_no_more_than_their_number():
    assert top_fraction(image([5, 5, 5, 5, 0, 0, 0, 0]), mask([1] * 8), 0.25).tolist() == [5.0]
    assert top_fraction(image([9, 5, 5, 5, 5, 0, 0, 0]), mask([1] * 8), 0.25).tolist() == [7.0]


@pytest.mark.parametrize("fraction", [0.01, 0.0625, 0.3, 0.75])
def test_top_fraction_is_the_mean_of_a_plain_sort(fraction):
    rng = np.random.default_rng(0)
    maps = rng.integers(0, 5, size=(20, 1, 8, 8)).astype(np.float32) / 4
    masks = rng.random((20, 1, 8, 8)) < rng.random((20, 1, 1, 1))
    found = top_fraction(torch.from_numpy(maps), torch.from_numpy(masks), fraction).tolist()
    for one_map, one_mask, score in zip(maps, masks, found, strict=True):
        values = np.sort(one_map[one_mask])[::-1]
        count = max(1, math.ceil(fraction * len(values)))
        assert score == pytest.approx(values[:count].mean() if len(values) else 0.0, abs=1e-6)


@pytest.mark.parametrize("name", POOLINGS)
def test_a_score_does_not_depend_on_batch_mates(name):
    generator = torch.Generator().manual_seed(2)
    maps = torch.rand(4, 1, 8, 8, generator=generator)
    masks = torch.rand(4, 1, 8, 8, generator=generator) > 0.5
    masks[2] = False
    together = POOLINGS[name](maps, masks, 0.1)
    alone = [POOLINGS[name](maps[i : i + 1], masks[i : i + 1], 0.1) for i in range(4)]
    torch.testing.assert_close(torch.cat(alone), together)


@pytest.mark.parametrize("name", POOLINGS)
@pytest.mark.parametrize("broken", [math.nan, math.inf])
def test_a_broken_map_gives_no_innocent_score(name, broken):
    maps = torch.full((2, 1, 4, 4), 0.5)
    maps[0, 0, 1, 2] = broken
    scores = POOLINGS[name](maps, torch.ones_like(maps, dtype=torch.bool), 0.02)
    assert scores.isfinite().tolist() == [False, True]
