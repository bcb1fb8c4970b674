import numpy as np
import pandas as pd
import pytest
from scipy.stats import ks_2samp

from mriad.thresholds import Calibration, Drift


def table(scores, *, label=0, groups=None):
    scores = np.asarray(scores, dtype=float)
    names = np.arange(len(scores)) if groups is None else groups
    return pd.DataFrame({"score": scores, "label": label, "group": names})


def calibration(*tables, **more):
    known = pd.concat(tables, ignore_index=True)
    known["group"] = range(len(known)) if "groups" not in more else more.pop("groups")
    return Calibration(rule="conformal", threshold=1.0, pixel_threshold=0.1, val_scores=known, **more)


def normal(count, *, at=0.0, seed=0):
    return np.random.default_rng(seed).normal(at, 1, count)


def test_single_scans_are_held_against_those_of_val_by_kolmogorov_and_smirnov():
    known, new = normal(40), normal(60, at=1.5, seed=1)
    found = Drift.of(calibration(table(known), table([9, 9], label=1)), table(new))
    expected = ks_2samp(new, known)
    assert (found.kind, found.scans, found.known, found.fitted_on) == ("healthy", 60, 40, "val")
    assert (found.statistic, found.p_value) == pytest.approx((expected.statistic, expected.pvalue))
    assert (found.median, found.known_median) == (np.median(new), np.median(known))
    assert found.significant


def test_scores_of_the_same_source_are_seldom_called_drifted():
    called = [
        Drift.of(calibration(table(normal(40, seed=seed))), table(normal(60, seed=1000 + seed))).significant
        for seed in range(500)
    ]
    assert np.mean(called) <= 0.025  # 0.01 and three standard errors


@pytest.mark.parametrize("grouped", [True, False])
def test_many_slices_of_few_patients_are_no_more_than_the_patients(grouped):
    called = []
    for seed in range(200):
        patients = normal(8, seed=seed)
        names = np.repeat(np.arange(8), 50)
        groups = names if grouped else np.arange(400)
        slices = table(patients[names] + 0.01 * normal(400, seed=seed), groups=groups)
        called.append(Drift.of(calibration(table(normal(40, seed=1000 + seed))), slices).significant)
    assert (np.mean(called) <= 0.03) == grouped  # taken for independent, most of them would be called


def test_of_each_group_of_val_one_scan_counts_too():
    known = table(np.arange(30.0))
    found = Drift.of(calibration(known, groups=np.arange(30) // 3), table(normal(20)))
    assert found.known == 10


def test_anomalous_scans_are_held_against_anomalous_ones_where_no_healthy_ones_are_there():
    val = (table(normal(40)), table(normal(10, at=5), label=1))
    found = Drift.of(calibration(*val), table(normal(30, at=5, seed=2), label=1))
    assert (found.kind, found.known) == ("anomalous", 10)
    assert not found.significant
    assert Drift.of(calibration(val[0]), table(normal(30), label=1)) is None


def test_scans_without_labels_are_held_against_healthy_ones():
    val = calibration(table(normal(40)), table(normal(10, at=5), label=1), fitted_on="40 healthy scans of there")
    found = Drift.of(val, table(normal(30, seed=3)).drop(columns="label"))
    assert (found.kind, found.known, found.fitted_on) == ("all", 40, "40 healthy scans of there")


def test_ties_and_a_single_scan_do_no_harm():
    assert Drift.of(calibration(table(np.ones(20))), table(np.ones(5))).p_value == 1
    assert not Drift.of(calibration(table(normal(40))), table([99.0])).significant  # one scan cannot show it


def test_a_record_without_groups_is_taken_scan_by_scan():
    val = calibration(table(normal(20)))
    bare = Calibration(**{**vars(val), "val_scores": val.val_scores.drop(columns="group")})
    assert Drift.of(bare, table(normal(20, seed=1))).known == 20
