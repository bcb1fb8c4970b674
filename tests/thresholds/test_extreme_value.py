import numpy as np
import pytest
from scipy import stats

from mriad.errors import MriadError
from mriad.thresholds import ExtremeValue
from mriad.thresholds.extreme_value import _l_moments


def fitted(scores, groups=None, **options):
    return ExtremeValue(**options).fit(scores, np.zeros(len(scores), dtype=int), groups).threshold_


def mean_rate(draw, tail_of, *, simulations=150, alpha=0.01):
    """Chance that a new scan lies above the threshold, averaged over val sets, and three standard errors of it."""
    rng = np.random.default_rng(0)
    rates = [tail_of(fitted(*draw(rng), alpha=alpha)) for _ in range(simulations)]
    return np.mean(rates), 3 * np.std(rates) / simulations**0.5


def related_scans(rng, count):
    """Scores of unequal groups, standard normal over groups, which explain 90 % of the variance."""
    sizes = np.where(rng.random(count) < 0.1, 40, 2)
    groups = np.repeat(np.arange(count), sizes)
    return rng.normal(size=count)[groups] * 0.9**0.5 + rng.normal(size=len(groups)) * 0.1**0.5, groups


DISTRIBUTIONS = [stats.norm(), stats.lognorm(1), stats.gamma(3), stats.t(3), stats.beta(2, 5)]


@pytest.mark.parametrize("scores", DISTRIBUTIONS, ids=lambda d: d.dist.name)
def test_a_rate_of_one_percent_holds_within_a_fifth_for_independent_scans(scores):
    rate, error = mean_rate(lambda rng: (scores.rvs(200, random_state=rng), None), scores.sf)
    assert rate == pytest.approx(0.01, abs=0.002 + error)
    assert error < 0.002


def test_a_rate_of_one_percent_holds_for_a_scan_of_a_new_group_and_breaks_without_groups():
    rate, error = mean_rate(lambda rng: related_scans(rng, 100), stats.norm.sf)
    assert rate == pytest.approx(0.01, abs=0.002 + error)
    naive, naive_error = mean_rate(lambda rng: (related_scans(rng, 100)[0], None), stats.norm.sf)
    assert naive - naive_error > 0.0135


def test_the_empirical_quantile_breaks_where_the_tail_holds():
    rng = np.random.default_rng(0)
    rate = np.mean([stats.norm.sf(np.quantile(rng.normal(size=100), 0.99)) for _ in range(500)])
    assert rate > 0.017
    ours, error = mean_rate(lambda r: (r.normal(size=100), None), stats.norm.sf)
    assert ours == pytest.approx(0.01, abs=0.002 + error)


@pytest.mark.parametrize("shape", [-0.3, 0.0, 0.25])
def test_the_tail_of_many_scans_is_that_of_its_distribution(shape):
    scores = stats.genpareto(shape).ppf((np.arange(5000) + 0.5) / 5000)
    assert fitted(scores, alpha=0.01) == pytest.approx(stats.genpareto(shape).isf(0.01), rel=0.02)


def test_single_scans_have_the_unbiased_l_moments():
    excesses = np.sort(np.random.default_rng(0).gamma(1.5, size=20))
    shape, scale = _l_moments(excesses, np.full(20, 1 / 20), np.arange(20))
    first, second = stats.lmoment(excesses, order=[1, 2])
    assert shape == pytest.approx(2 - first / second)
    assert scale / (1 - shape) == pytest.approx(first)


def test_the_fewer_scans_the_higher_the_threshold():
    tail = stats.expon()
    beyond = [fitted(tail.ppf((np.arange(n) + 0.5) / n)) / tail.isf(0.01) for n in (100, 200, 1000)]
    assert beyond == sorted(beyond, reverse=True)
    assert beyond[0] > 1.05


def test_it_reaches_beyond_the_highest_score_where_alpha_is_less_than_one_in_n():
    scores = stats.expon.ppf((np.arange(200) + 0.5) / 200)
    assert fitted(scores, alpha=0.0005) > scores.max() > fitted(scores, alpha=0.05)


def test_scale_and_place_of_the_scores_do_not_matter():
    scores = np.random.default_rng(0).normal(size=300)
    assert fitted(1e-6 * scores - 4) == pytest.approx(1e-6 * fitted(scores) - 4, rel=1e-9)


def test_the_threshold_rises_as_alpha_falls_and_is_the_same_each_time():
    scores = np.random.default_rng(1).gamma(2, size=150)
    cuts = [fitted(scores, alpha=alpha) for alpha in (0.1, 0.05, 0.01, 0.001)]
    assert cuts == sorted(cuts)
    assert cuts == [fitted(scores, alpha=alpha) for alpha in (0.1, 0.05, 0.01, 0.001)]


def test_copies_of_a_scan_in_its_group_change_nothing():
    scores = np.random.default_rng(2).normal(size=120)
    copied = np.repeat(np.arange(120), np.where(np.arange(120) % 3 == 0, 7, 1))
    assert fitted(scores[copied], copied) == pytest.approx(fitted(scores), rel=1e-6)


@pytest.mark.parametrize("scores", [np.full(100, 0.5), np.r_[np.zeros(70), np.ones(30)]], ids=["all", "the highest"])
def test_where_the_highest_scores_tie_nothing_is_above(scores):
    assert fitted(scores) == scores.max()


def test_anomalous_scans_are_not_seen():
    scores = np.random.default_rng(3).normal(size=120)
    beside = ExtremeValue().fit(np.r_[scores, 99, -99], np.r_[np.zeros(120, dtype=int), 1, 1])
    assert beside.threshold_ == fitted(scores)


@pytest.mark.parametrize(("tail", "needed"), [(0.2, 100), (0.1, 200), (0.4, 50), (0.3, 67)])
def test_too_few_groups_are_told_with_the_number_that_is_needed(tail, needed):
    rule, labels = ExtremeValue(tail=tail), np.zeros(needed, dtype=int)
    rule.require(labels)
    with pytest.raises(MriadError, match=rf"tail={tail} needs {needed} independent .* val holds {needed - 1};"):
        rule.require(labels[1:])
    with pytest.raises(MriadError, match=f"val holds {needed // 2}"):
        rule.require(np.zeros(needed // 2 * 2, dtype=int), np.arange(needed // 2 * 2) // 2)


def test_alpha_lies_in_the_tail():
    assert ExtremeValue(alpha=0.02).promised_fpr == 0.02
    for alpha, tail in ((0.2, 0.2), (0.3, 0.2)):
        with pytest.raises(MriadError, match=rf"threshold\.alpha={alpha} .* below threshold\.tail={tail}"):
            ExtremeValue(alpha=alpha, tail=tail)
    for options in ({"alpha": 0}, {"tail": 1}, {"alpha": float("nan")}):
        with pytest.raises(MriadError, match=r"is no rate"):
            ExtremeValue(**options)
