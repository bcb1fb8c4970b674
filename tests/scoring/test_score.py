import itertools

import pytest
import torch

from mriad.errors import MriadError
from mriad.scoring import Score
from mriad.scoring.masks import MASKS, brain, everywhere, foreground
from mriad.scoring.pooling import POOLINGS
from mriad.scoring.postprocess import Median, SmallestComponent
from mriad.scoring.residuals import RESIDUALS, absolute_error, equalize, gaussian_blur


@pytest.mark.parametrize(("option", "legal"), [("residual", RESIDUALS), ("mask", MASKS), ("pooling", POOLINGS)])
def test_an_unknown_name_is_told_with_the_legal_ones(option, legal):
    with pytest.raises(MriadError) as error:
        Score(**{option: "xyzzy"})
    *names, last = legal
    assert str(error.value) == f"score.{option}=xyzzy is unknown; choose {', '.join(names)} or {last}."


@pytest.mark.parametrize("fraction", [0, -0.1, 1.01, float("nan")])
def test_a_fraction_must_be_a_share(fraction):
    with pytest.raises(MriadError, match=r"score\.fraction"):
        Score(fraction=fraction)


UNKNOWN = torch.tensor([torch.nan])  # area of a pixel, of any scan


def test_a_blur_must_not_be_negative():
    with pytest.raises(MriadError, match=r"score\.blur"):
        Score(blur=-0.5)


@pytest.mark.parametrize("erosion", [-1, 1.5])
def test_an_erosion_is_a_number_of_pixels(erosion):
    with pytest.raises(MriadError, match=rf"score\.erosion={erosion} is no number of pixels"):
        Score(erosion=erosion)


@pytest.mark.parametrize("steps", ["median", ["median"], [Median(), 5], None, 5, {"size": 5}])
def test_a_step_that_is_none_is_told(steps):
    words = r"^score\.postprocess=(median|5|None|\{'size': 5\}) is no step; give a list .*, or \[\] for none\."
    with pytest.raises(MriadError, match=words):
        Score(postprocess=steps)


def test_the_residual_is_the_named_one():
    x, reconstruction = torch.rand(2, 1, 6, 6), torch.rand(2, 1, 6, 6)
    assert torch.equal(Score(residual="l1").residual(x, reconstruction), absolute_error(x, reconstruction))


def test_a_blurred_residual_compares_blurred_images():
    x, reconstruction = torch.rand(2, 1, 12, 12), torch.rand(2, 1, 12, 12)
    expected = absolute_error(gaussian_blur(x, 2.0), gaussian_blur(reconstruction, 2.0))
    torch.testing.assert_close(Score(residual="l1", blur=2.0).residual(x, reconstruction), expected)


def test_an_equalised_residual_compares_equalised_images_by_the_histogram_of_the_scan():
    x, reconstruction = torch.rand(2, 1, 12, 12), torch.rand(2, 1, 12, 12)
    expected = absolute_error(equalize(x, x, 0.3), equalize(reconstruction, x, 0.3))
    score = Score(residual="l1", equalize=True, foreground_level=0.3)
    assert torch.equal(score.residual(x, reconstruction), expected)


def test_images_are_equalised_before_they_are_blurred():
    x, reconstruction = torch.rand(2, 1, 12, 12), torch.rand(2, 1, 12, 12)
    expected = Score(residual="l1", blur=2.0).residual(equalize(x, x, 0.05), equalize(reconstruction, x, 0.05))
    torch.testing.assert_close(Score(residual="l1", equalize=True, blur=2.0).residual(x, reconstruction), expected)


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
    assert torch.equal(score.postprocess(raw, score.mask(x), UNKNOWN), raw)


def test_outside_the_mask_the_map_is_0():
    x = torch.zeros(1, 1, 6, 6)
    x[..., :3] = 0.5
    score = Score(mask="foreground")
    assert torch.equal(score.postprocess(torch.ones(1, 1, 6, 6), score.mask(x), UNKNOWN), (x > 0.05).float())


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
    maps = score.postprocess(raw, mask_of_all, UNKNOWN)
    scores = score.pool(maps, mask_of_all)
    for index in range(3):
        one = slice(index, index + 1)
        mask_of_one = score.mask(x[one])
        assert torch.equal(mask_of_one, mask_of_all[one])
        alone = score.postprocess(raw[one], mask_of_one, UNKNOWN)
        torch.testing.assert_close(alone, maps[one])
        torch.testing.assert_close(score.pool(alone, mask_of_one), scores[one])


def lesion_and_specks():
    """A scan with a bright head; a raw map with a lesion of 36 pixels, a speck of 1, and a spot across its edge."""
    x = torch.zeros(1, 1, 32, 32)
    x[..., 4:28, 4:28] = 0.5
    raw = torch.zeros(1, 1, 32, 32)
    raw[..., 8:14, 8:14] = 1.0
    raw[..., 20, 20] = 1.0
    raw[..., 12:20, 26:32] = 1.0
    return x, raw


def test_steps_are_taken_one_after_the_other_inside_the_mask():
    x, raw = lesion_and_specks()
    score = Score(mask="foreground", postprocess=[Median(size=3), SmallestComponent(area=20, threshold=0.5)])
    found = score.postprocess(raw, score.mask(x), UNKNOWN)
    assert found[..., 9:13, 9:13].min() == 1
    assert found[..., 20, 20] == 0  # the median
    assert found[..., 13:19, 26].unique().tolist() == [0.5]  # two columns are inside: less than 20 pixels
    assert found[..., 28:].max() == 0


def test_what_a_step_does_outside_the_mask_is_dropped():
    x, raw = lesion_and_specks()
    score = Score(mask="foreground", postprocess=[lambda maps, masks, pixel_area: maps + 1])
    assert torch.equal(score.postprocess(raw, score.mask(x), UNKNOWN) > 0, x > 0.05)


def test_steps_know_the_area_of_a_pixel():
    x, raw = lesion_and_specks()
    score = Score(mask="foreground", postprocess=[SmallestComponent(area=30, threshold=0.5)])
    areas = (torch.tensor([torch.nan]), torch.tensor([0.5]), torch.tensor([30.0]))
    kept = [int((score.postprocess(raw, score.mask(x), area) > 0.5).sum()) for area in areas]
    assert kept == [36, 0, 36 + 1 + 16]


def test_erosion_takes_the_edge_off_map_and_score():
    x, raw = lesion_and_specks()
    score = Score(mask="foreground", erosion=2, pooling="mean")
    mask = score.mask(x)
    assert mask.sum() == 20 * 20
    found = score.postprocess(raw, mask, UNKNOWN)
    assert found[..., 26:].max() == 0
    assert score.pool(found, mask).item() == pytest.approx(37 / 400)


def test_an_atlas_that_is_not_fitted_changes_nothing():
    x, raw = lesion_and_specks()
    plain, score = Score(mask="foreground"), Score(mask="foreground", atlas=True)
    assert torch.equal(score.postprocess(raw, score.mask(x), UNKNOWN), plain.postprocess(raw, plain.mask(x), UNKNOWN))


def test_a_fitted_atlas_gives_standard_deviations_inside_the_mask_after_all_steps():
    x, raw = lesion_and_specks()
    score = Score(mask="foreground", postprocess=[Median(size=3)], atlas=True)
    mask = score.mask(x)
    healthy = 0.2 + 0.1 * torch.randn(50, 1, 32, 32, generator=torch.Generator().manual_seed(0))
    score.atlas.fit([(healthy, torch.ones_like(healthy, dtype=torch.bool))])
    found = score.postprocess(raw, mask, UNKNOWN)
    plain = Score(mask="foreground", postprocess=[Median(size=3)]).postprocess(raw, mask, UNKNOWN)
    assert torch.equal(found[mask], score.atlas(plain)[mask])
    assert found[..., 9:13, 9:13].mean().item() == pytest.approx(8, rel=0.1)
    assert found[..., 20, 20].item() == pytest.approx(-2, rel=0.3)


def test_with_an_atlas_the_air_is_never_stranger_than_a_calm_brain():
    score = Score(mask="foreground", atlas=True)
    healthy = 0.2 + 0.1 * torch.randn(50, 1, 8, 8, generator=torch.Generator().manual_seed(0))
    score.atlas.fit([(healthy, torch.ones_like(healthy, dtype=torch.bool))])
    x = torch.ones(3, 1, 8, 8)
    x[:, :, :4] = 0.0
    x[2] = 0.0  # nothing counts
    raw = torch.stack([torch.full((1, 8, 8), value) for value in (0.2, -5.0, 0.2)])
    mask = score.mask(x)
    found = score.postprocess(raw, mask, UNKNOWN)
    outside = [scan[~inside].unique() for scan, inside in zip(found, mask, strict=True)]
    assert [len(values) for values in outside] == [1, 1, 1]
    assert outside[0] == outside[2] < found[0][mask[0]].min() < 0  # as in other scans
    assert outside[1] == found[1][mask[1]].min() < outside[0]
    assert torch.equal(score.postprocess(raw[:1], mask[:1], UNKNOWN), found[:1])


def test_only_a_score_with_an_atlas_has_something_to_save():
    assert list(Score(postprocess=[Median()]).state_dict()) == []
    assert list(Score(atlas=True).state_dict()) == ["atlas.mean", "atlas.spread"]
