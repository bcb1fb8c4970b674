import numpy as np
import pytest
from scipy.stats import norm

from mriad.errors import MriadError
from mriad.thresholds import Conformal
from mriad.thresholds.conformal import rate_interval


def fitted(scores, groups=None, *, alpha=0.05):
    return Conformal(alpha=alpha).fit(scores, np.zeros(len(scores), dtype=int), groups).threshold_


def related_scans(rng, count):
    """Scores of unequal groups, standard normal over groups, which explain 90 % of the variance."""
    sizes = np.where(rng.random(count) < 0.1, 40, 2)
    groups = np.repeat(np.arange(count), sizes)
    return rng.normal(size=count)[groups] * 0.9**0.5 + rng.normal(size=len(groups)) * 0.1**0.5, groups


def mean_rate(simulations, draw, *, alpha):
    """Chance that a new scan, of a new group, lies above the threshold, averaged over val sets."""
    rng = np.random.default_rng(0)
    rates = [norm.sf(fitted(*draw(rng), alpha=alpha)) for _ in range(simulations)]
    return np.mean(rates), 3 * np.std(rates) / simulations**0.5


@pytest.mark.parametrize(("alpha", "count", "rank"), [(0.05, 19, 19), (0.05, 39, 38), (0.05, 100, 96), (0.1, 100, 91)])
def test_single_scans_are_cut_at_the_rank_of_split_conformal(alpha, count, rank):
    scores = np.random.default_rng(0).permutation(np.arange(1.0, count + 1))
    assert rank == np.ceil(round((count + 1) * (1 - alpha), 9))
    assert fitted(scores, alpha=alpha) == rank


@pytest.mark.parametrize("alpha", [0.01, 0.02, 0.05, 0.07, 0.1, 0.2, 0.3, 1 / 3, 0.5, 0.9])
def test_the_needed_number_is_named_and_suffices(alpha):
    needed = next(n for n in range(200) if (n + 1) * (1 - alpha) <= n + 1e-9)
    assert fitted(np.arange(float(max(needed, 1))), alpha=alpha) == max(needed, 1) - 1 or alpha > 0.5
    if needed > 1:
        with pytest.raises(MriadError, match=rf"alpha={alpha} needs {needed} independent .* holds {needed - 1};"):
            fitted(np.arange(needed - 1.0), alpha=alpha)


def test_the_alpha_that_is_offered_instead_works():
    with pytest.raises(MriadError, match=r"raise threshold\.alpha to 0\.1 or more"):
        fitted(np.arange(9.0), alpha=0.05)
    assert fitted(np.arange(9.0), alpha=0.1) == 8


def test_groups_count_once():
    scores, groups = np.arange(40.0), np.arange(40) // 4
    with pytest.raises(MriadError, match=r"needs 19 .* val holds 10"):
        fitted(scores, groups)
    Conformal(alpha=0.1).require(np.zeros(40, dtype=int), groups)
    with pytest.raises(MriadError, match="val holds 10"):
        Conformal(alpha=0.05).require(np.zeros(40, dtype=int), groups)


def test_a_weighted_quantile_by_hand():
    # Three groups and infinity weigh 1/4 each: 10 has 1/4, each of 1, 2, 3, 4 has 1/16, and 0 has 1/4.
    scores, groups = np.array([10.0, 1, 2, 3, 4, 0]), np.array([*"abbbbc"])
    cuts = {alpha: fitted(scores, groups, alpha=alpha) for alpha in (0.25, 0.49, 0.5, 0.56, 0.57, 0.74)}
    assert cuts == {0.25: 10, 0.49: 10, 0.5: 4, 0.56: 4, 0.57: 3, 0.74: 1}


def test_anomalous_scans_and_their_groups_are_not_seen():
    rng = np.random.default_rng(0)
    scores, groups = rng.random(40), np.arange(40)
    beside = Conformal(alpha=0.1).fit(
        np.r_[scores, 9.0, -9.0], np.r_[np.zeros(40, dtype=int), 1, 1], np.r_[groups, 3, 77]
    )
    assert beside.threshold_ == fitted(scores, groups, alpha=0.1)


@pytest.mark.parametrize("count", [19, 30, 100])
def test_the_promised_rate_is_kept_and_not_undercut_for_independent_scans(count):
    rate, error = mean_rate(3000, lambda rng: (rng.normal(size=count), None), alpha=0.05)
    assert rate <= 0.05 + error
    assert rate >= 0.05 - 1 / (count + 1) - error


@pytest.mark.parametrize("count", [19, 25, 60])
def test_the_promised_rate_is_kept_for_a_scan_of_a_new_group(count):
    rate, error = mean_rate(1000, lambda rng: related_scans(rng, count), alpha=0.05)
    assert 0.02 < rate <= 0.05 + error


def test_without_their_groups_related_scans_break_the_promise():
    rate, error = mean_rate(500, lambda rng: (related_scans(rng, 25)[0], None), alpha=0.05)
    assert rate > 0.08 + error


def test_the_promise_is_alpha():
    assert Conformal(alpha=0.07).promised_fpr == 0.07


@pytest.mark.parametrize("alpha", [0, 1, -0.1, 5, float("nan")])
def test_alpha_is_a_rate(alpha):
    with pytest.raises(MriadError, match=r"threshold\.alpha"):
        Conformal(alpha=alpha)


def test_val_without_healthy_scans_is_told():
    with pytest.raises(MriadError, match="needs healthy scans in val"):
        Conformal().fit(np.ones(3), np.ones(3, dtype=int))


@pytest.mark.parametrize(("scans", "alpha"), [(5, 1 / 6), (10, 1 / 11), (20, 0.05), (50, 0.05), (50, 0.2)])
def test_the_rate_of_one_threshold_lies_in_its_interval_as_often_as_it_says(scans, alpha):
    rng = np.random.default_rng(0)
    rates = norm.sf([fitted(rng.normal(size=scans), alpha=alpha) for _ in range(4000)])
    low, high = rate_interval(alpha, scans)
    assert np.mean(rates) <= alpha + 3 * np.std(rates) / 4000**0.5
    assert np.mean(rates < low) == pytest.approx(0.025, abs=0.01)
    assert np.mean(rates > high) == pytest.approx(0.025, abs=0.01)


def test_the_smallest_rate_of_twenty_scans_by_hand():
    low, high = rate_interval(0.05, 20)  # Beta(1, 20): 1 - (1 - x)^20
    assert (low, high) == pytest.approx((1 - 0.975 ** (1 / 20), 1 - 0.025 ** (1 / 20)))


@pytest.mark.parametrize("found", [1, 2, 5, 6, 11, 12, 18, 37])
def test_the_alpha_that_is_offered_works_for_any_number(found):
    with pytest.raises(MriadError) as error:
        fitted(np.arange(float(found)), alpha=0.01)
    offered = float(str(error.value).split("raise threshold.alpha to ")[1].split(" ")[0])
    assert fitted(np.arange(float(found)), alpha=offered) == found - 1


def test_tied_scores_are_called_no_more_often_than_promised():
    rng = np.random.default_rng(1)
    rates = []
    for _ in range(2000):
        scores = rng.integers(0, 4, 20).astype(float)
        rates.append((3 - fitted(scores, alpha=0.2)) / 4)  # of 0, 1, 2, 3 those above
    assert 0 < np.mean(rates) <= 0.2


def test_errors_speak_of_the_scans_that_a_rule_is_fitted_on():
    rule = Conformal().told_of("the calibration", "raise calibrate_scans=5")
    with pytest.raises(MriadError, match=r"needs 19 .* in the calibration .* holds 5; .* or raise calibrate_scans=5\."):
        rule.require(np.zeros(5, dtype=int))
