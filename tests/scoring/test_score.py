import itertools

import pytest
import torch

from mriad.errors import MriadError
from mriad.scoring import Score
from mriad.scoring.pooling import POOLINGS
from mriad.scoring.postprocess import MASKS, brain, everywhere, foreground
from mriad.scoring.residuals import RESIDUALS, absolute_error, gaussian_blur


@pytest.mark.parametrize(("option", "legal"), [("residual", RESIDUALS), ("mask", MASKS), ("pooling", POOLINGS)])
def test_an_unknown_name_is_told_with_the_legal_ones(option, legal):
    with pytest.raises(MriadError) as error:
        Score(**{option: "nonsense"})
    assert str(error.value) == f"score.{option}=nonsense is unknown; choose one of {', '.join(legal)}."


@pytest.mark.parametrize("fraction", [0, -0.1, 1.01, float("nan")])
def test_a_fraction_must_be_a_share(fraction):
    with pytest.raises(MriadError, match=r"score\.fraction"):
        Score(fraction=fraction)


def test_a_blur_must_not_be_negative():
    with pytest.raises(MriadError, match=r"score\.blur"):
        Score(blur=-0.5)


def test_the_residual_is_the_named_one():
    x, reconstruction = torch.rand(2, 1, 6, 6), torch.rand(2, 1, 6, 6)
    assert torch.equal(Score(residual="l1").residual(x, reconstruction), absolute_error(x, reconstruction))


def test_a_blurred_residual_compares_blurred_images():
    x, reconstruction = torch.rand(2, 1, 12, 12), torch.rand(2, 1, 12, 12)
    expected = absolute_error(gaussian_blur(x, 2.0), gaussian_blur(reconstruction, 2.0))
    torch.testing.assert_close(Score(residual="l1", blur=2.0).residual(x, reconstruction), expected)


def test_a_blur_forgives_a_displaced_fold_and_keeps_a_lesion():
    x, displaced, lesion = torch.zeros(1, 1, 32, 32), torch.zeros(1, 1, 32, 32), torch.zeros(1, 1, 32, 32)
    x[..., 16], displaced[..., 18] = 1.0, 1.0
    lesion[..., 16] = 1.0
    lesion[..., 4:14, 4:14] = 1.0
    score = Score(residual="l1", blur=4.0)
    assert score.residual(x, displaced).max() < 0.1
    assert score.residual(x, lesion).max() > 0.5


def test_without_a_mask_the_map_stays_as_it_is():
    x = torch.rand(2, 1, 6, 6)
    raw = torch.rand(2, 1, 6, 6)
    score = Score(blur=3.0)
    assert torch.equal(score.postprocess(raw, score.mask(x)), raw)


def test_outside_the_mask_the_map_is_0():
    x = torch.zeros(1, 1, 6, 6)
    x[..., :3] = 0.5
    score = Score(mask="foreground")
    assert torch.equal(score.postprocess(torch.ones(1, 1, 6, 6), score.mask(x)), (x > 0.05).float())


@pytest.mark.parametrize("mask", MASKS)
def test_the_mask_is_the_named_one(mask):
    x = torch.zeros(1, 1, 32, 32)
    x[..., 2:30, 2:30] = 0.9
    x[..., 5:27, 5:27] = 0.01
    x[..., 7:25, 7:25] = 0.5
    known = {"none": everywhere, "foreground": foreground, "brain": brain}
    assert torch.equal(Score(mask=mask).mask(x), known[mask](x, 0.05))


def test_the_foreground_level_moves_the_mask():
    x = torch.tensor([0.1, 0.3, 0.6]).view(1, 1, 1, 3)
    raw = torch.tensor([9.0, 4.0, 2.0]).view(1, 1, 1, 3)
    choices = [Score(mask="foreground", pooling="mean", foreground_level=level) for level in (0.05, 0.2, 0.5, 0.9)]
    scores = [score.pool(raw, score.mask(x)).item() for score in choices]
    assert scores == [5.0, 3.0, 2.0, 0.0]


@pytest.mark.parametrize(("mask", "pooling"), itertools.product(MASKS, POOLINGS))
def test_maps_and_scores_do_not_depend_on_batch_mates(mask, pooling):
    score = Score(mask=mask, pooling=pooling, fraction=0.1)
    generator = torch.Generator().manual_seed(0)
    x, raw = torch.rand(3, 1, 8, 8, generator=generator), torch.rand(3, 1, 8, 8, generator=generator)
    x[1] = 0.0
    mask_of_all = score.mask(x)
    maps = score.postprocess(raw, mask_of_all)
    scores = score.pool(maps, mask_of_all)
    for index in range(3):
        one = slice(index, index + 1)
        mask_of_one = score.mask(x[one])
        assert torch.equal(mask_of_one, mask_of_all[one])
        alone = score.postprocess(raw[one], mask_of_one)
        torch.testing.assert_close(alone, maps[one])
        torch.testing.assert_close(score.pool(alone, mask_of_one), scores[one])
