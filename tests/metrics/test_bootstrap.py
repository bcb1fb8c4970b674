import numpy as np
import pytest
from scipy.stats import poisson
from sklearn.metrics import average_precision_score, roc_auc_score

from mriad.metrics import bootstrap as module
from mriad.metrics.bootstrap import GroupBootstrap, auroc, average_precision, count_interval, interval, ratio, totals

RANKINGS = [(auroc, roc_auc_score), (average_precision, average_precision_score)]


def tied_scans(seed, count=60, values=9):
    rng = np.random.default_rng(seed)
    labels = rng.permutation(np.arange(count) % 3 == 0).astype(int)
    scores = rng.integers(values, size=count) / 8 + 0.25 * labels
    return labels, scores, rng.integers(count // 3, size=count)


def clusters(rng, count, size, *, between):
    """``count`` groups of ``size`` scans whose scores share a group effect with the variance ``between``."""
    groups = np.repeat(np.arange(count), size)
    scores = rng.normal(size=count)[groups] * between**0.5 + rng.normal(size=count * size) * (1 - between) ** 0.5
    return scores, groups


@pytest.mark.parametrize(("measure", "reference"), RANKINGS)
@pytest.mark.parametrize("seed", range(6))
@pytest.mark.parametrize("values", [2, 9, 10**6])
def test_weights_of_one_give_what_scikit_learn_gives(measure, reference, seed, values):
    labels, scores, _ = tied_scans(seed, values=values)
    (value,) = measure(labels, scores, np.ones((1, len(labels)), dtype=np.uint16))
    assert value == pytest.approx(reference(labels, scores), abs=1e-14)


@pytest.mark.parametrize(("measure", "reference"), RANKINGS)
def test_each_resample_is_measured_as_if_it_had_been_built(measure, reference):
    labels, scores, groups = tied_scans(1)
    weights = GroupBootstrap.draw(groups=groups, labels=labels, resamples=30).weights
    built = [np.repeat(np.arange(len(labels)), row) for row in weights]
    expected = [reference(labels[rows], scores[rows]) for rows in built]
    np.testing.assert_allclose(measure(labels, scores, weights), expected, rtol=0, atol=1e-12)


@pytest.mark.parametrize("measure", [auroc, average_precision])
def test_chunks_do_not_change_what_is_measured(measure, monkeypatch):
    labels, scores, groups = tied_scans(2)
    weights = GroupBootstrap.draw(groups=groups, labels=labels, resamples=50).weights
    at_once = measure(labels, scores, weights)
    monkeypatch.setattr(module, "CHUNK", 7 * len(labels))
    np.testing.assert_array_equal(measure(labels, scores, weights), at_once)


def test_a_resample_without_a_label_is_not_a_number():
    labels, scores = np.array([0, 0, 1, 1]), np.array([1.0, 2.0, 3.0, 4.0])
    weights = np.array([[1, 1, 1, 1], [1, 1, 0, 0], [0, 0, 1, 2]], dtype=np.uint16)
    np.testing.assert_array_equal(auroc(labels, scores, weights), [1, np.nan, np.nan])
    np.testing.assert_array_equal(average_precision(labels, scores, weights), [1, np.nan, 1])


def test_groups_are_drawn_whole():
    labels, _, groups = tied_scans(3)
    weights = GroupBootstrap.draw(groups=groups, labels=labels).weights
    for group in np.unique(groups):
        members = weights[:, groups == group]
        assert (members == members[:, :1]).all()
    assert weights.shape == (2000, 60)
    assert weights.min() == 0 and weights.max() > 1


def test_as_many_groups_with_and_without_an_anomaly_are_drawn_as_there_are():
    groups = np.array([*"aabccddefg"])
    labels = np.array([0, 1, 1, 0, 0, 1, 0, 0, 0, 0])
    weights = GroupBootstrap.draw(groups=groups, labels=labels, resamples=300).weights
    _, first = np.unique(groups, return_index=True)
    diseased = np.isin(groups[first], [*"abd"])
    assert set(weights[:, first[diseased]].sum(axis=1)) == {3}
    assert set(weights[:, first[~diseased]].sum(axis=1)) == {4}


def test_each_group_is_drawn_once_in_the_mean():
    labels = np.repeat([0, 1], 10)
    weights = GroupBootstrap.draw(groups=np.arange(20), labels=labels, resamples=4000).weights
    np.testing.assert_allclose(weights.mean(axis=0), 1, atol=0.08)
    # of a multinomial draw of 10 from 10
    np.testing.assert_allclose(weights.var(axis=0), 0.9, atol=0.15)


def test_the_resamples_are_the_same_each_time_and_in_any_order_of_scans():
    labels, _, groups = tied_scans(4)
    once, again = (GroupBootstrap.draw(groups=groups, labels=labels).weights for _ in range(2))
    order = np.random.default_rng(0).permutation(60)
    other = GroupBootstrap.draw(groups=groups[order], labels=labels[order]).weights
    np.testing.assert_array_equal(once, again)
    np.testing.assert_array_equal(once[:, order], other)
    assert (GroupBootstrap.draw(groups=groups, labels=labels, seed=1).weights != once).any()


def test_some_of_the_scans_keep_their_resamples():
    labels, _, groups = tied_scans(5)
    whole = GroupBootstrap.draw(groups=groups, labels=labels)
    part = whole.of(labels == 1)
    np.testing.assert_array_equal(part.weights, whole.weights[:, labels == 1])
    assert part.n_groups == len(np.unique(groups[labels == 1])) < whole.n_groups == len(np.unique(groups))


def test_totals_add_up_the_scans_of_a_resample():
    weights = np.array([[1, 1, 1], [0, 3, 0]], dtype=np.uint16)
    values = np.array([[1.0, 0.5], [10.0, 0.0], [100.0, 0.25]])
    np.testing.assert_array_equal(totals(values, weights), [[111, 0.75], [30, 0]])
    np.testing.assert_array_equal(ratio(np.array([1.0, 0.0]), np.array([2.0, 0.0])), [0.5, np.nan])


def test_an_interval_holds_the_middle_95_percent_and_leaves_nan_out():
    draws = np.r_[np.linspace(0.2, 0.4, 201), np.full(50, np.nan)]
    assert interval(draws, 10) == pytest.approx((0.205, 0.395))


@pytest.mark.parametrize("n_groups", [2, 5, 30])
def test_an_interval_without_width_at_an_end_gets_the_exact_binomial_bound(n_groups):
    low, high = interval(np.ones(100), n_groups)
    # a share of ``low`` is all ones in n trials with probability 2.5 %
    assert low**n_groups == pytest.approx(0.025, rel=1e-6) and high == 1
    assert interval(np.zeros(100), n_groups) == pytest.approx((0, 1 - low))


def test_the_interval_of_a_count_may_reach_above_one_and_leaves_nan_out():
    draws = np.append(np.linspace(0, 8, 1001), np.nan)
    assert count_interval(draws, 5) == pytest.approx((0.2, 7.8))


def test_a_count_of_zero_has_the_exact_poisson_bound():
    low, high = count_interval(np.zeros(100), 7)
    assert low == 0
    assert poisson.cdf(0, 7 * high) == pytest.approx(0.025)


def test_a_count_of_one_group_has_no_interval():
    assert count_interval(np.full(100, 3.0), 1) is None
    assert count_interval(np.full(100, np.nan), 5) is None


def test_one_group_tells_nothing():
    assert interval(np.full(100, 0.7), 1) == (0, 1)
    assert interval(np.full(100, np.nan), 4) == (0, 1)


def coverage(count, size, *, between, by_group, tests=100):
    """How often the interval of an AUROC holds the true one, 0.760 for a shift of one standard deviation."""
    rng, held = np.random.default_rng(0), 0
    for _ in range(tests):
        (healthy, a), (anomalous, b) = (clusters(rng, count, size, between=between) for _ in range(2))
        scores, labels = np.r_[healthy, anomalous + 1], np.repeat([0, 1], count * size)
        groups = np.r_[a, b + count] if by_group else np.arange(len(labels))
        drawn = GroupBootstrap.draw(groups=groups, labels=labels, resamples=300)
        low, high = interval(auroc(labels, scores, drawn.weights), count)
        held += low <= 0.7602 <= high
    return held / tests


def test_intervals_cover_the_truth_for_independent_scans():
    assert coverage(40, 1, between=0.0, by_group=True) > 0.9


def test_intervals_cover_the_truth_for_clustered_scans_and_would_not_without_groups():
    assert coverage(25, 5, between=0.8, by_group=True) > 0.89
    assert coverage(25, 5, between=0.8, by_group=False) < 0.75
