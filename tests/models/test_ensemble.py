import math

import numpy as np
import pytest
import torch
from scipy import stats
from slices import of_unknown_size

from mriad.errors import MriadError
from mriad.models import Ensemble, FittedDetector, Intensity
from mriad.models.ensemble import HealthyRanks
from mriad.scoring import Score
from mriad.scoring.postprocess import SmallestComponent


class Scaled(FittedDetector):
    """The map is a monotone function of the scan."""

    def __init__(self, function, **score):
        super().__init__(score=Score(**score))
        self.function = function
        self.calls = 0

    def fit_healthy(self, loader):
        raise AssertionError("a member is not fitted again")

    def anomaly_map(self, x):
        self.calls += 1
        return self.function(x)


def random_scans(count, seed, *, size=32):
    return torch.rand(count, 1, size, size, generator=torch.Generator().manual_seed(seed))


def ranks_of(values):
    ranks = HealthyRanks()
    ranks.fit(torch.as_tensor(values, dtype=torch.float32).split(1000))
    return ranks


def fitted(*members, healthy=None, **score):
    ensemble = Ensemble(members=list(members), score=Score(**score))
    ensemble.fit_scale(
        [of_unknown_size(part) for part in (random_scans(20, 0) if healthy is None else healthy).split(6)]
    )
    return ensemble


def test_a_rank_is_the_share_of_smaller_healthy_values():
    values = torch.randn(200_000, generator=torch.Generator().manual_seed(0))
    points = torch.tensor([-2.0, -0.5, 0.0, 1.0, 2.0, 3.0])
    expected = [(values < point).double().mean().item() for point in points]
    np.testing.assert_allclose(ranks_of(values)(points), expected, atol=2e-4)
    top = values.sort().values[-20]  # one of ten thousand is larger
    assert 1 - ranks_of(values)(top[None]).item() == pytest.approx(1e-4, rel=0.1)


def test_equal_values_have_the_mean_of_the_shares_that_they_span():
    values = torch.cat([torch.zeros(6000), torch.linspace(1, 2, 3000), torch.full((1000,), 3.0)])
    found = ranks_of(values)(torch.tensor([0.0, 1.5, 3.0]))
    expected = [(stats.rankdata(values)[i] - 1) / 9999 for i in (0, 7500, 9999)]
    np.testing.assert_allclose(found, expected, atol=2e-3)


def test_the_order_of_values_is_kept_far_above_the_healthy_ones():
    ranks = ranks_of(torch.rand(5000, generator=torch.Generator().manual_seed(0)))
    values = torch.linspace(0.01, 30, 3000)
    found = ranks(values)
    assert (found.diff() > 0).all()
    assert found[values < 0.9].max() < 1 < found[values > 1.01].min()
    assert found.max() < 2


def test_one_standard_deviation_above_the_largest_is_halfway_to_the_end():
    values = torch.tensor([0.0, 1.0, 2.0, 3.0])
    assert ranks_of(values)(torch.tensor([3.0 + math.sqrt(1.25)])).item() == pytest.approx(1.5)


def test_what_is_calmer_than_any_healthy_value_has_its_rank():
    assert ranks_of(torch.linspace(1, 2, 100))(torch.tensor([-5.0, -torch.inf, 1.0])).tolist() == [0.0] * 3


def test_healthy_maps_that_never_change_leave_what_is_brighter_above_them():
    found = ranks_of(torch.zeros(50))(torch.tensor([-1.0, 0.0, 1e-3]))
    assert found.tolist() == [0.5, 0.5, 2.0]


def test_a_broken_value_stays_broken():
    found = ranks_of(torch.rand(50))(torch.tensor([torch.nan, torch.inf]))
    assert found[0].isnan() and found[1] == 2


@pytest.mark.parametrize(
    ("values", "sentence"),
    [([], "needs healthy scans in val"), ([0.5, float("nan")], "member whose healthy val maps are not finite")],
)
def test_what_cannot_be_ranked_is_told_in_a_sentence(values, sentence):
    with pytest.raises(MriadError, match=sentence):
        ranks_of(values)


def test_members_on_any_scale_have_an_equal_say():
    loud = Scaled(lambda x: 1000 * x**3 - 7)
    quiet = Scaled(lambda x: 1e-4 * (1 - x))
    x = random_scans(3, 1)
    found = fitted(loud, quiet).anomaly_map(x)
    np.testing.assert_allclose(found, torch.full_like(x, 0.5), atol=1e-3)  # the ranks of x and of 1 - x
    np.testing.assert_allclose(fitted(loud, Scaled(torch.exp)).anomaly_map(x), x, atol=0.03)


def test_ranks_do_not_depend_on_batch_mates():
    ensemble, x = fitted(Scaled(torch.exp), Scaled(torch.sqrt), pooling="max"), random_scans(5, 1)
    together = ensemble.scan(of_unknown_size(x))
    x[1:] *= 100
    assert torch.equal(ensemble.scan(of_unknown_size(x))[0][:1], together[0][:1])
    assert torch.equal(ensemble.scan(of_unknown_size(x[:1]))[1], together[1][:1])


def test_only_pixels_that_count_for_a_member_are_ranked():
    healthy = random_scans(8, 0)
    healthy[..., :16, :] = 0.0  # not of the foreground: not to be among the healthy values
    member = {"mask": "foreground", "foreground_level": 0.01}
    ensemble = fitted(Scaled(lambda x: x, **member), Scaled(lambda x: x, **member), healthy=healthy)
    x = torch.full((1, 1, 32, 32), 0.5)
    x[..., :16, :] = 0.0
    found = ensemble.anomaly_map(x)
    assert found[..., :16, :].max() == 0
    np.testing.assert_allclose(found[..., 16:, :], 0.5, atol=0.02)


def test_a_member_keeps_its_own_post_processing_and_the_ensemble_has_its_own_score():
    """The spot of 4 pixels is too small for one member where a pixel covers 1 mm2."""
    steps = [SmallestComponent(area=10.0, threshold=0.5)]
    ensemble = fitted(
        Scaled(lambda x: x, postprocess=steps), Scaled(lambda x: x), healthy=random_scans(8, 0) / 4, pooling="max"
    )
    x = torch.full((2, 1, 32, 32), 0.1)
    x[..., 8:10, 8:10] = 1.0
    maps, scores = ensemble.scan({"image": x, "pixel_area": torch.tensor([1.0, 100.0])})
    assert torch.equal(scores, maps.amax(dim=(1, 2, 3)))
    assert scores[0] < scores[1]
    assert torch.equal(maps[0, 0, 20:], maps[1, 0, 20:])


def test_the_strangest_pixel_is_found_though_all_members_are_beyond_what_they_know():
    ensemble = fitted(Scaled(lambda x: x), Scaled(torch.exp))
    x = torch.full((1, 1, 32, 32), 2.0)
    x[0, 0, 5, 7] = 2.5
    assert int(ensemble.scan(of_unknown_size(x))[0].argmax()) == 5 * 32 + 7


def test_an_atlas_of_the_ensemble_is_fitted_on_its_ranks():
    ensemble = fitted(Scaled(torch.exp), Scaled(torch.sqrt), atlas=True)
    assert ensemble.score.atlas.mean.mean().item() == pytest.approx(0.5, abs=0.01)
    maps, _ = ensemble.scan(of_unknown_size(random_scans(20, 0)))
    assert maps.mean().abs() < 0.05


def test_members_are_not_fitted_again_and_a_scan_asks_each_once():
    members = [Scaled(torch.exp), Scaled(torch.sqrt)]
    ensemble = fitted(*members)
    ensemble.fit_healthy(iter([]))
    before = [member.calls for member in members]
    ensemble.scan(of_unknown_size(random_scans(4, 1)))
    assert [member.calls for member in members] == [calls + 1 for calls in before]


def test_its_state_holds_all_that_it_needs():
    def members():
        return Intensity(score=Score()), Intensity(polarity="dark", score=Score(atlas=True))

    bright, dark = members()
    dark.fit_scale([of_unknown_size(random_scans(9, 3))])
    ensemble, x = fitted(bright, dark, pooling="max"), random_scans(4, 1)
    loaded = Ensemble(members=members(), score=Score(pooling="max"))
    loaded.load_state_dict(ensemble.state_dict())
    for found, expected in zip(loaded.scan(of_unknown_size(x)), ensemble.scan(of_unknown_size(x)), strict=True):
        assert torch.equal(found, expected)


@pytest.mark.parametrize("count", [0, 1])
def test_fewer_than_two_are_no_ensemble(count):
    with pytest.raises(MriadError, match=rf"two members or more, not {count}: .* model\.runs=\["):
        Ensemble(members=[Intensity(score=Score())] * count, score=Score())


def test_members_that_ask_for_the_same_pixels_share_their_mask(monkeypatch):
    found, mask = [], Score.mask
    monkeypatch.setattr(Score, "mask", lambda score, x: found.append(score) or mask(score, x))
    same = {"mask": "foreground", "foreground_level": 0.4}
    other = {"mask": "foreground", "foreground_level": 0.1}
    members = [Scaled(torch.exp, **options) for options in (same, same, other)]
    ensemble = fitted(*members)
    found.clear()
    maps = ensemble.scan(of_unknown_size(random_scans(2, 1)))[0]
    assert found == [ensemble.score, members[0].score, members[2].score]
    alone = [fitted(member, member).scan(of_unknown_size(random_scans(2, 1)))[0] for member in members]
    torch.testing.assert_close(maps, torch.stack(alone).mean(dim=0))


def test_ranks_are_always_learned_from_healthy_val_scans():
    assert Ensemble(members=[Scaled(torch.exp)] * 2, score=Score()).fits_scale
