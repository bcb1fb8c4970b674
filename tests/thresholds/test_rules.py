import numpy as np
import pytest
from sklearn.metrics import f1_score

from mriad.errors import MriadError
from mriad.thresholds import Fixed, MaxF1, MeanStd, Quantile, Sensitivity, Youden
from mriad.thresholds.rules import count_groups, group_shares

RULES = [Youden(), MaxF1(), Sensitivity(target=0.8), MeanStd(k=1.0), Quantile(q=0.9)]
LABELLED = [rule for rule in RULES if rule.needs_labels]
BLIND = [rule for rule in RULES if not rule.needs_labels]


def name(rule):
    return rule.name


def called(rule, scores):
    return (scores > rule.threshold_).astype(int).tolist()


def tied_scores(seed):
    rng = np.random.default_rng(seed)
    labels = rng.permutation(np.r_[0, 1, rng.integers(0, 2, size=rng.integers(1, 30))])
    return rng.integers(0, 7, size=len(labels)) / 8 + 0.25 * labels * rng.integers(0, 2), labels


def every_cut(scores):
    """A threshold for each set of scans that some threshold can call anomalous."""
    return [scores.min() - 1, *np.unique(scores)]


def youden(labels, called):
    return called[labels == 1].mean() - called[labels == 0].mean()


def f1(labels, called):
    return f1_score(labels, called, zero_division=0)


@pytest.mark.parametrize(("rule", "quality"), [(Youden(), youden), (MaxF1(), f1)], ids=["youden", "max_f1"])
@pytest.mark.parametrize("seed", range(40))
def test_no_cut_does_better_than_the_fitted_one(rule, quality, seed):
    scores, labels = tied_scores(seed)
    rule.fit(scores, labels)
    best = max(quality(labels, scores > cut) for cut in every_cut(scores))
    assert quality(labels, scores > rule.threshold_) == pytest.approx(best, abs=1e-12)


@pytest.mark.parametrize("target", [0.05, 0.5, 0.8, 0.95, 1.0])
@pytest.mark.parametrize("seed", range(15))
def test_sensitivity_is_the_highest_threshold_that_reaches_its_target(target, seed):
    scores, labels = tied_scores(seed)
    found = scores > Sensitivity(target=target).fit(scores, labels).threshold_
    reaching = [scores > cut for cut in every_cut(scores) if (scores > cut)[labels == 1].mean() >= target - 1e-9]
    assert found[labels == 1].mean() >= target - 1e-9
    assert found.sum() == min(other.sum() for other in reaching)


@pytest.mark.parametrize(("target", "needed"), [(0.95, 19), (0.55, 11), (0.951, 20)])
def test_a_share_of_20_scans_is_a_whole_number_of_them(target, needed):
    # in floating point 0.55 * 20 is 11.000000000000002
    scores, labels = np.arange(21.0), np.r_[0, np.ones(20, dtype=int)]
    assert (scores > Sensitivity(target=target).fit(scores, labels).threshold_).sum() == needed


def test_the_threshold_lies_midway_between_two_scores():
    scores, labels = np.array([1.0, 2.0, 4.0, 5.0]), np.array([0, 0, 1, 1])
    for rule in (Youden(), MaxF1(), Sensitivity(target=1.0)):
        assert rule.fit(scores, labels).threshold_ == 3.0


def test_neighbouring_floats_are_told_apart():
    scores = np.array([1.0, np.nextafter(1.0, 2.0)])
    for rule in (Youden(), MaxF1(), Sensitivity()):
        assert called(rule.fit(scores, np.array([0, 1])), scores) == [0, 1]


def test_youden_calls_nothing_where_anomalies_score_lower():
    scores, labels = np.array([5.0, 6.0, 1.0, 2.0]), np.array([0, 0, 1, 1])
    assert called(Youden().fit(scores, labels), scores) == [0, 0, 0, 0]


def test_mean_std_and_quantile_by_hand():
    scores, labels = np.array([1.0, 3.0, 5.0, 90.0]), np.array([0, 0, 0, 1])
    assert MeanStd(k=2.0).fit(scores, labels).threshold_ == pytest.approx(3 + 2 * np.sqrt(8 / 3))
    assert Quantile(q=0.75).fit(scores, labels).threshold_ == pytest.approx(4.0)


@pytest.mark.parametrize("rule", BLIND, ids=name)
def test_a_rule_without_labels_ignores_anomalous_scores(rule):
    healthy = np.random.default_rng(0).random(20)
    alone = rule.fit(healthy, np.zeros(20, dtype=int)).threshold_
    beside = rule.fit(np.r_[1e9, healthy, -1e9], np.r_[1, np.zeros(20, dtype=int), 1]).threshold_
    assert beside == alone


@pytest.mark.parametrize("rule", LABELLED, ids=name)
def test_a_rule_with_labels_says_so_where_val_has_no_anomaly(rule):
    with pytest.raises(MriadError) as error:
        rule.fit(np.array([0.1, 0.2]), np.array([0, 0]))
    sentence = str(error.value)
    assert sentence.startswith(f"Threshold '{rule.name}' needs anomalous scans in val, but val holds none;")
    assert "threshold=quantile" in sentence


@pytest.mark.parametrize("rule", RULES, ids=name)
@pytest.mark.parametrize("labels", [[], [1, 1]], ids=["empty", "all anomalous"])
def test_a_rule_needs_healthy_scans(rule, labels):
    with pytest.raises(MriadError, match="needs healthy scans in val"):
        rule.fit(np.arange(len(labels), dtype=float), np.array(labels, dtype=int))


@pytest.mark.parametrize("rule", RULES, ids=name)
@pytest.mark.parametrize("broken", [np.nan, np.inf, -np.inf])
def test_scores_that_are_not_finite_are_refused(rule, broken):
    with pytest.raises(MriadError, match="1 of 3 val scores are not finite"):
        rule.fit(np.array([0.1, broken, 0.3]), np.array([0, 0, 1]))


@pytest.mark.parametrize("rule", RULES, ids=name)
def test_where_all_scores_are_equal_all_scans_are_called_alike(rule):
    scores = np.full(6, 0.5)
    rule.fit(scores, np.array([0, 0, 0, 1, 1, 1]))
    assert np.isfinite(rule.threshold_)
    assert set(called(rule, scores)) == ({1} if rule.name in ("max_f1", "sensitivity") else {0})


@pytest.mark.parametrize("rule", BLIND, ids=name)
def test_a_single_healthy_scan_is_not_called(rule):
    rule.fit(np.array([0.7]), np.array([0]))
    assert rule.threshold_ == pytest.approx(0.7)
    assert called(rule, np.array([0.7])) == [0]


def test_a_fixed_threshold_needs_no_val_and_ignores_what_is_there():
    assert Fixed(value=2).fit(np.array([]), np.array([])).threshold_ == 2.0
    assert Fixed(value=2).fit(np.array([np.nan, 1.0]), np.array([1, 1])).threshold_ == 2.0


@pytest.mark.parametrize("rule", [*RULES, Fixed(value=np.float32(0.25))], ids=name)
def test_what_is_learned_is_a_plain_float(rule):
    rule.fit(np.array([0.1, 0.2, 0.3], dtype=np.float32), np.array([0, 0, 1]))
    assert type(rule.threshold_) is float


@pytest.mark.parametrize("target", [0, -0.5, 1.2, float("nan")])
def test_sensitivity_takes_a_share(target):
    with pytest.raises(MriadError, match=r"threshold\.target"):
        Sensitivity(target=target)


@pytest.mark.parametrize("q", [0, 1, 95, float("nan")])
def test_quantile_takes_a_quantile(q):
    with pytest.raises(MriadError, match=r"threshold\.q"):
        Quantile(q=q)


def test_a_quantile_promises_what_it_leaves_above_and_most_rules_promise_nothing():
    assert Quantile(q=0.9).promised_fpr == pytest.approx(0.1)
    assert [rule.promised_fpr for rule in (Youden(), MaxF1(), Sensitivity(), MeanStd(), Fixed(value=1))] == [None] * 5


@pytest.mark.parametrize("rule", RULES, ids=name)
def test_groups_move_none_of_the_rules_that_count_scans(rule):
    scores, labels = tied_scores(3)
    alone = rule.fit(scores, labels).threshold_
    assert rule.fit(scores, labels, np.arange(len(labels)) // 4).threshold_ == alone


def test_groups_with_a_healthy_scan_are_counted():
    labels, groups = np.array([0, 0, 1, 0, 1]), np.array(["a", "a", "a", "b", "c"])
    assert count_groups(labels, groups) == 2
    assert count_groups(labels, None) == 3


def test_groups_share_alike():
    shares = group_shares(np.array(["b", "a", "b", "c", "b", "b"]))
    np.testing.assert_allclose(shares, np.array([1 / 4, 1, 1 / 4, 1, 1 / 4, 1 / 4]) / 3)
