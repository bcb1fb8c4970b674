import itertools

import pytest
import torch

from mriad.errors import MriadError
from mriad.scoring import Score
from mriad.scoring.pooling import POOLINGS
from mriad.scoring.postprocess import MASKS
from mriad.scoring.residuals import RESIDUALS, absolute_error


@pytest.mark.parametrize(("option", "legal"), [("residual", RESIDUALS), ("mask", MASKS), ("pooling", POOLINGS)])
def test_an_unknown_name_is_told_with_the_legal_ones(option, legal):
    with pytest.raises(MriadError) as error:
        Score(**{option: "nonsense"})
    assert str(error.value) == f"score.{option}=nonsense is unknown; choose one of {', '.join(legal)}."


@pytest.mark.parametrize("fraction", [0, -0.1, 1.01, float("nan")])
def test_a_fraction_must_be_a_share(fraction):
    with pytest.raises(MriadError, match=r"score\.fraction"):
        Score(fraction=fraction)


@pytest.mark.parametrize("smooth", [0, -3, 2, 4])
def test_a_smoothing_window_must_be_odd(smooth):
    with pytest.raises(MriadError, match=r"score\.smooth"):
        Score(smooth=smooth)


def test_the_residual_is_the_named_one():
    assert Score(residual="l1").residual is absolute_error


def test_without_smoothing_and_mask_the_map_stays_as_it_is():
    x = torch.rand(2, 1, 6, 6)
    raw = torch.rand(2, 1, 6, 6)
    assert torch.equal(Score().postprocess(raw, x), raw)


@pytest.mark.parametrize("smooth", [3, 5, 15])
def test_smoothing_keeps_a_constant_map_constant_up_to_the_border(smooth):
    raw = torch.full((1, 1, 9, 7), 0.3)
    torch.testing.assert_close(Score(smooth=smooth).postprocess(raw, torch.ones_like(raw)), raw)


def test_smoothing_is_the_mean_of_a_window():
    raw = torch.zeros(1, 1, 9, 9)
    raw[0, 0, 4, 4] = 9.0
    smoothed = Score(smooth=3).postprocess(raw, raw)[0, 0]
    expected = torch.zeros(9, 9)
    expected[3:6, 3:6] = 1.0
    torch.testing.assert_close(smoothed, expected)


def test_outside_the_mask_the_map_is_0_after_smoothing_too():
    x = torch.zeros(1, 1, 6, 6)
    x[..., :3] = 0.5
    strange = Score(smooth=3, mask="foreground").postprocess(torch.ones(1, 1, 6, 6), x)
    assert torch.equal(strange, (x > 0.05).float())


def test_the_foreground_level_moves_the_mask():
    x = torch.tensor([0.1, 0.3, 0.6]).view(1, 1, 1, 3)
    raw = torch.tensor([9.0, 4.0, 2.0]).view(1, 1, 1, 3)
    scores = [
        Score(mask="foreground", pooling="mean", foreground_level=level).pool(raw, x).item()
        for level in (0.05, 0.2, 0.5, 0.9)
    ]
    assert scores == [5.0, 3.0, 2.0, 0.0]


@pytest.mark.parametrize(("mask", "pooling"), itertools.product(MASKS, POOLINGS))
def test_maps_and_scores_do_not_depend_on_batch_mates(mask, pooling):
    score = Score(smooth=3, mask=mask, pooling=pooling, fraction=0.1)
    generator = torch.Generator().manual_seed(0)
    x, raw = torch.rand(3, 1, 8, 8, generator=generator), torch.rand(3, 1, 8, 8, generator=generator)
    x[1] = 0.0
    maps = score.postprocess(raw, x)
    scores = score.pool(maps, x)
    for index in range(3):
        one = slice(index, index + 1)
        alone = score.postprocess(raw[one], x[one])
        torch.testing.assert_close(alone, maps[one])
        torch.testing.assert_close(score.pool(alone, x[one]), scores[one])
