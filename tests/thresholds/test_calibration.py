import io
from types import NoneType

import numpy as np
import pandas as pd
import pytest
import torch

from mriad.errors import MriadError
from mriad.thresholds import Calibration, Conformal, Fixed, MaxF1, MeanStd, Quantile, Sensitivity, Youden


@pytest.fixture
def val_scores():
    rng = np.random.default_rng(0)
    labels = np.array([0] * 12 + [1] * 8)
    return pd.DataFrame(
        {
            "path": [f"scan {i}.png" for i in range(20)],
            "group": [f"patient {i // 2}" for i in range(20)],
            "class": np.where(labels == 1, "tumour", "healthy"),
            "label": labels,
            "role": "val",
            "score": rng.random(20) + 0.5 * labels,
        }
    )


@pytest.fixture
def calibration(val_scores):
    return Calibration(
        rule="youden",
        threshold=0.8,
        pixel_threshold=0.25,
        val_scores=val_scores,
        promised_fpr=0.1,
        lesion_level=0.4,
        healthy_components=((0.9, 0.0), (0.4, 1.5)),
    )


def leaves(node):
    if isinstance(node, dict):
        return [leaf for key, value in node.items() for leaf in (key, *leaves(value))]
    if isinstance(node, list):
        return [leaf for value in node for leaf in leaves(value)]
    return [node]


def test_the_record_holds_plain_python_values_only(calibration):
    assert {type(leaf) for leaf in leaves(calibration.as_record())} == {str, int, float, NoneType}


def test_a_record_survives_a_checkpoint_that_may_run_no_code(calibration):
    file = io.BytesIO()
    torch.save({"mriad": {"calibration": calibration.as_record()}}, file)
    file.seek(0)
    back = Calibration.from_record(torch.load(file, weights_only=True)["mriad"]["calibration"])
    assert (back.rule, back.threshold, back.pixel_threshold) == ("youden", 0.8, 0.25)
    assert (back.promised_fpr, back.lesion_level) == (0.1, 0.4)
    assert back.healthy_components == ((0.9, 0.0), (0.4, 1.5))
    pd.testing.assert_frame_equal(back.val_scores[["label", "score"]], calibration.val_scores[["label", "score"]])


def test_the_record_keeps_who_belongs_together_and_names_nobody(calibration):
    record = calibration.as_record()["val_scores"]
    assert set(record) == {"label", "score", "group"}
    assert record["group"] == [number // 2 for number in range(20)]


@pytest.mark.parametrize(
    "rule",
    [Youden(), MaxF1(), Sensitivity(target=0.5), MeanStd(k=2), Quantile(q=0.5), Fixed(value=3), Conformal(alpha=0.3)],
    ids=lambda r: r.name,
)
def test_a_refit_gives_what_a_fresh_fit_gives(calibration, val_scores, rule):
    back = Calibration.from_record(calibration.as_record())
    again = back.refit(rule)
    fresh = rule.fit(val_scores["score"].to_numpy(), val_scores["label"].to_numpy(), val_scores["group"].to_numpy())
    assert (again.rule, again.threshold) == (rule.name, fresh.threshold_)
    assert (again.pixel_threshold, again.lesion_level) == (calibration.pixel_threshold, calibration.lesion_level)
    assert again.healthy_components == calibration.healthy_components
    assert again.promised_fpr == rule.promised_fpr
    assert (back.rule, back.threshold) == ("youden", 0.8)


def test_a_fit_counts_the_groups_of_the_val_scans(val_scores):
    # six groups among twelve healthy scans promise 1 / 7 and no less
    Calibration.fit(Conformal(alpha=0.15), val_scores, pixel_threshold=0.1)
    with pytest.raises(MriadError, match="val holds 6"):
        Calibration.fit(Conformal(alpha=0.14), val_scores, pixel_threshold=0.1)


@pytest.mark.parametrize("name", ["promised_fpr", "lesion_level"])
def test_a_record_from_before_a_number_was_kept_has_none(calibration, name):
    record = calibration.as_record()
    del record[name]
    assert getattr(Calibration.from_record(record), name) is None


def test_a_record_from_before_healthy_components_were_counted_has_none(calibration):
    record = calibration.as_record()
    del record["healthy_components"]
    assert Calibration.from_record(record).healthy_components == ()


def test_the_false_positive_rate_on_val_is_of_healthy_scans_above_the_threshold(val_scores):
    val_scores["score"] = [0.1, 0.8, 0.81] + [0.5] * 9 + [2.0] * 8
    calibration = Calibration(rule="fixed", threshold=0.8, pixel_threshold=0.1, val_scores=val_scores)
    assert calibration.val_fpr == 1 / 12
    diseased = Calibration(**{**vars(calibration), "val_scores": val_scores[val_scores["label"] == 1]})
    assert diseased.val_fpr is None


def test_a_refit_on_healthy_val_scores_says_what_is_missing(calibration, val_scores):
    healthy = Calibration(**{**vars(calibration), "val_scores": val_scores[val_scores["label"] == 0]})
    with pytest.raises(MriadError, match="'youden' needs anomalous scans"):
        healthy.refit(Youden())


def test_a_scan_is_anomalous_above_the_threshold_not_at_it(calibration):
    decisions = calibration.decide(np.array([0.79, 0.8, 0.81]))
    assert decisions.tolist() == [0, 0, 1]
    assert decisions.dtype == np.int64


def test_float32_scores_are_compared_as_the_number_they_are(calibration):
    # float32(0.8) is a little more than 0.8
    assert calibration.decide(np.array([0.8], dtype=np.float32)).tolist() == [1]


@pytest.mark.parametrize(("pixel_threshold", "top"), [(0.25, 0.75), (0.0, 1.0)])
def test_maps_share_a_colour_scale_that_is_never_empty(calibration, pixel_threshold, top):
    scaled = Calibration(**{**vars(calibration), "pixel_threshold": pixel_threshold})
    assert scaled.map_scale == (0.0, top)


def test_a_calibration_on_other_scans_says_so_and_stays_with_them(calibration, val_scores):
    assert not calibration.recalibrated
    healthy = val_scores[val_scores["label"] == 0].reset_index(drop=True)
    there = Calibration.fit(Quantile(q=0.5), healthy, pixel_threshold=0.3, fitted_on="12 healthy scans of there")
    back = Calibration.from_record(there.as_record())
    assert back.recalibrated and back.fitted_on == "12 healthy scans of there"
    assert back.healthy_groups == healthy["group"].nunique()
    again = back.refit(Quantile(q=0.9))
    assert (again.fitted_on, again.pixel_threshold) == ("12 healthy scans of there", 0.3)
    with pytest.raises(MriadError, match=r"anomalous scans in the calibration \(12 healthy scans of there\)"):
        back.refit(Youden())


def test_a_record_from_before_there_were_others_is_of_val(calibration):
    record = calibration.as_record()
    del record["fitted_on"]
    assert not Calibration.from_record(record).recalibrated


@pytest.fixture
def picture_scores():
    return pd.DataFrame({"label": [0, 0, 0, 1], "score": [0.1, 0.4, 0.6, 0.9], "group": ["a", "a", "b", "c"]})


def test_pictures_have_a_threshold_of_their_own_under_each_rule(val_scores, picture_scores):
    of_both = Calibration.fit(Quantile(q=0.5), val_scores, pixel_threshold=0.3, picture_scores=picture_scores)
    alone = Calibration.fit(Quantile(q=0.5), val_scores, pixel_threshold=0.3)
    assert of_both.threshold == alone.threshold and alone.pictures is None
    assert of_both.pictures.threshold == pytest.approx(0.4)  # the middle of the healthy ones
    back = Calibration.from_record(of_both.as_record())
    assert back.pictures.threshold == of_both.pictures.threshold
    again = back.refit(Quantile(q=0.99))
    assert again.pictures.threshold > of_both.pictures.threshold


def test_where_a_rule_cannot_be_fitted_on_pictures_that_of_volumes_holds(val_scores, picture_scores, caplog):
    healthy = picture_scores[picture_scores["label"] == 0]
    found = Calibration.fit(Youden(), val_scores, pixel_threshold=0.3, picture_scores=healthy)
    assert found.pictures is None and "cannot be fitted on pictures" in caplog.text
