import numpy as np
import pytest
from sklearn.metrics import average_precision_score, roc_auc_score

from mriad.metrics import slices as module
from mriad.metrics.bootstrap import GroupBootstrap
from mriad.metrics.slices import Slices, slice_intervals, slice_metrics

RANKED = {"auroc", "average_precision", "auroc_within_patients", "average_precision_within_patients"}


def scans(seed=0, healthy=4, anomalous=6, depth=10):
    """Scores of slices, masks (of which healthy scans have none), and which scans are anomalous."""
    rng = np.random.default_rng(seed)
    diseased = np.repeat([False, True], [healthy, anomalous])
    scores = rng.normal(size=(len(diseased), depth)) + diseased[:, None]
    masks = [None] * len(diseased)
    for scan in np.flatnonzero(diseased):
        masks[scan] = np.zeros((depth, 5, 5), dtype=bool)
        start = rng.integers(1, 5)
        masks[scan][start : start + rng.integers(1, 5), 2, 2:4] = True
        scores[scan] += masks[scan].any(axis=(1, 2))
    return scores, masks, diseased


def labels_of(masks, depth=10):
    return np.stack([np.zeros(depth, dtype=int) if mask is None else mask.any(axis=(1, 2)) * 1 for mask in masks])


def test_slices_with_a_lesion_are_held_against_all_others_and_against_those_of_patients():
    scores, masks, diseased = scans()
    found = slice_metrics(Slices.of(scores, masks, anomalous=diseased))
    labels = labels_of(masks)
    assert found["auroc"] == pytest.approx(roc_auc_score(labels.ravel(), scores.ravel()))
    assert found["average_precision"] == pytest.approx(average_precision_score(labels.ravel(), scores.ravel()))
    within = labels[diseased].ravel(), scores[diseased].ravel()
    assert found["auroc_within_patients"] == pytest.approx(roc_auc_score(*within))
    assert found["average_precision_within_patients"] == pytest.approx(average_precision_score(*within))
    assert found["with_lesion"] == labels.sum()
    assert found["lesion_free"] == (labels == 0).sum()
    assert found["lesion_free_within_patients"] == (labels[diseased] == 0).sum()


def test_what_is_higher_in_all_slices_of_diseased_scans_helps_across_scans_alone():
    scores, masks, diseased = scans()
    flat = np.where(diseased[:, None], 1.0, 0.0) + np.zeros_like(scores)
    found = slice_metrics(Slices.of(flat, masks, anomalous=diseased))
    assert found["auroc_within_patients"] == 0.5 and found["auroc"] > 0.6


def test_a_test_set_without_healthy_scans_has_slices_all_the_same():
    found = slice_metrics(Slices.of(*scans(healthy=0)[:2], anomalous=np.ones(6, dtype=bool)))
    assert found.keys() >= RANKED
    assert found["auroc"] == found["auroc_within_patients"]


def test_slices_without_a_score_and_scans_whose_lesions_are_not_known_are_left_out():
    scores, masks, diseased = scans()
    masks[5], masks[6] = None, np.zeros((10, 5, 5), dtype=bool)
    scores[:, :2], scores[:, 9] = np.nan, np.inf
    slices = Slices.of(scores, masks, anomalous=diseased)
    assert set(slices.scan.tolist()) == {0, 1, 2, 3, 4, 7, 8, 9}
    assert len(slices.score) == 8 * 7 and np.isfinite(slices.score).all()


def test_slices_of_one_kind_tell_nothing():
    scores, _, diseased = scans()
    assert slice_metrics(Slices.of(scores, [None] * 10, anomalous=diseased)) == {}
    full = [np.ones((10, 5, 5), dtype=bool)] * 10
    assert slice_metrics(Slices.of(scores, full, anomalous=np.ones(10, dtype=bool))) == {}
    assert set(slice_metrics(Slices.of(scores, full, anomalous=diseased))) & RANKED == set()
    beside = [None] * 4 + full[4:]
    some = slice_metrics(Slices.of(scores, beside, anomalous=diseased))
    assert set(some) & RANKED == {"auroc", "average_precision"}


def test_intervals_draw_whole_groups_of_scans(monkeypatch):
    monkeypatch.setattr(module, "RESAMPLES_AT_ONCE", 7)
    scores, masks, diseased = scans(1)
    slices = Slices.of(scores, masks, anomalous=diseased)
    bootstrap = GroupBootstrap.draw(groups=np.arange(10), labels=diseased, resamples=50)
    found = slice_intervals(slices, bootstrap)
    resampled = [
        slice_metrics(Slices.of(scores[rows], [masks[row] for row in rows], anomalous=diseased[rows]))
        for rows in (np.repeat(np.arange(10), weights) for weights in bootstrap.weights)
    ]
    assert set(found) == RANKED
    for name, bounds in found.items():
        expected = np.quantile([metrics[name] for metrics in resampled], [0.025, 0.975])
        assert bounds == pytest.approx(tuple(expected)), name


def test_slices_of_one_patient_tell_nothing_of_others():
    scores, masks, diseased = scans(anomalous=1)
    bootstrap = GroupBootstrap.draw(groups=np.arange(5), labels=diseased, resamples=20)
    found = slice_intervals(Slices.of(scores, masks, anomalous=diseased), bootstrap)
    assert set(found.values()) == {(0.0, 1.0)}
