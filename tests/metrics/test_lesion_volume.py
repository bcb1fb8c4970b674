import numpy as np
import pytest

from mriad.metrics.bootstrap import GroupBootstrap
from mriad.metrics.lesion_volume import lesion_volume_intervals, lesion_volume_metrics

BIAS, LOWER, UPPER, CCC = (f"lesion_volume_{name}" for name in ("bias", "loa_lower", "loa_upper", "ccc"))


def test_numbers_by_hand():
    true, called = [1.0, 2.0, 6.0], [2.0, 2.0, 5.0]  # differences 1, 0, -1, whose deviation is 1
    found = lesion_volume_metrics(true, called)
    assert found[BIAS] == pytest.approx(0, abs=1e-12)
    assert (found[LOWER], found[UPPER]) == pytest.approx((-1.96, 1.96))
    # moments over three scans: variances 14 / 3 and 2, covariance 3
    assert found[CCC] == pytest.approx(2 * 3 / (14 / 3 + 2))


def test_right_volumes_agree_and_volumes_twice_too_large_do_not_though_they_correlate():
    true = np.array([1.0, 3.0, 10.0, 80.0])
    assert lesion_volume_metrics(true, true) == pytest.approx({BIAS: 0, LOWER: 0, UPPER: 0, CCC: 1}, abs=1e-9)
    double = lesion_volume_metrics(true, 2 * true)
    assert np.corrcoef(true, 2 * true)[0, 1] == pytest.approx(1) and double[CCC] < 0.75
    assert double[BIAS] == pytest.approx(true.mean())


def test_one_scan_has_a_bias_alone_and_no_scans_nothing():
    assert lesion_volume_metrics([2.0], [3.5]) == {BIAS: 1.5, CCC: 0.0}
    assert lesion_volume_metrics([2.0], [2.0]) == {BIAS: 0.0}
    assert lesion_volume_metrics([], []) == {}


def test_intervals_are_percentiles_over_the_resamples():
    rng = np.random.default_rng(0)
    true = rng.gamma(2, 10, size=20)
    called = true + rng.normal(3, 5, size=20)
    bootstrap = GroupBootstrap.draw(groups=np.arange(20) // 2, labels=np.ones(20), resamples=60)
    found = lesion_volume_intervals(true, called, bootstrap=bootstrap)
    resampled = [
        lesion_volume_metrics(np.repeat(true, weights), np.repeat(called, weights)) for weights in bootstrap.weights
    ]
    assert set(found) == {BIAS, LOWER, UPPER, CCC}
    for name, bounds in found.items():
        expected = np.quantile([metrics[name] for metrics in resampled], [0.025, 0.975])
        assert bounds == pytest.approx(tuple(expected)), name


def test_volumes_of_one_group_have_no_interval():
    bootstrap = GroupBootstrap.draw(groups=[0, 0, 0], labels=np.ones(3), resamples=20)
    assert lesion_volume_intervals([1, 2, 3], [1, 2, 4], bootstrap=bootstrap) == {}
