import numpy as np
import pandas as pd
import pytest
from sklearn.metrics import roc_auc_score

from mriad.audit.features import raw_features, scaled_features, separation
from mriad.data.preparing.fingerprint import Fingerprint
from mriad.data.reading.decode import DecodedImage

from .conftest import facts_of, picture

NOTHING = np.zeros((0, 16, 16), dtype=np.uint8)
LABELS = np.repeat([0, 1], [30, 20])
ALONE = np.arange(50).astype(str)


def one(scores, labels=LABELS, groups=ALONE):
    return separation(pd.DataFrame({"mean": scores}), labels, groups, stage="raw").iloc[0]


@pytest.mark.parametrize("decimals", [0, 1, 8])
def test_auroc_is_scikit_learns_ties_included(decimals):
    scores = np.round(np.random.default_rng(1).normal(size=50) + LABELS, decimals)
    assert one(scores)["auroc"] == pytest.approx(roc_auc_score(LABELS, scores))


def test_copies_in_one_group_add_no_certainty():
    scores = np.random.default_rng(3).normal(size=50) + LABELS
    once, thrice = one(scores), one(*(np.tile(values, 3) for values in (scores, LABELS, ALONE)))
    assert list(thrice[["auroc", "low", "high"]]) == pytest.approx(list(once[["auroc", "low", "high"]]))
    apart = one(np.tile(scores, 3), np.tile(LABELS, 3), np.arange(150).astype(str))
    assert apart["high"] - apart["low"] < 0.7 * (once["high"] - once["low"])


def test_a_feature_that_separates_all_is_not_taken_for_certain():
    record = one(np.arange(50.0))
    assert record["auroc"] == record["high"] == 1
    assert 0.7 < record["low"] < 0.9  # 20 anomalous groups


def test_direction_is_the_better_one_and_the_sign_says_which():
    scores = np.random.default_rng(5).normal(size=50) + 2 * LABELS
    table = separation(pd.DataFrame({"up": scores, "down": -scores}), LABELS, ALONE, stage="scaled")
    up, down = table.to_dict("records")
    assert (up["sign"], down["sign"]) == ("+", "-")
    assert up["auroc"] == pytest.approx(down["auroc"]) == pytest.approx(roc_auc_score(LABELS, scores))
    assert (up["low"], up["high"]) == pytest.approx((down["low"], down["high"]))
    assert up["low"] < up["auroc"] < up["high"] <= 1
    assert set(table["stage"]) == {"scaled"}


def test_what_is_the_same_everywhere_tells_nothing():
    record = separation(pd.DataFrame({"width": np.full(50, 208.0)}), LABELS, ALONE, stage="raw").iloc[0]
    assert (record["auroc"], record["sign"], record["low"], record["high"]) == (0.5, "", 0.5, 0.5)


def test_a_category_separates_as_far_as_the_labels_differ_in_it():
    labels = np.array([0] * 10 + [1] * 10)
    formats = ["JPEG"] * 8 + ["PNG"] * 2 + ["JPEG"] * 1 + ["PNG"] * 9
    features = raw_features(facts_of([picture(0)] * 20, formats), NOTHING, NOTHING, labels)
    table = separation(features, labels, np.arange(20).astype(str), stage="raw").set_index("feature")
    assert table["auroc"]["format"] == pytest.approx(0.8 * 0.9 + 0.5 * (0.8 * 0.1 + 0.2 * 0.9))
    assert table["sign"]["format"] == ""
    assert table["auroc"]["mode"] == 0.5


def test_size_and_aspect_ratio_are_those_of_the_original():
    pixels = [picture(0)[:40], picture(1)[:, :16]]
    features = raw_features(facts_of(pixels), NOTHING, NOTHING, np.array([0, 1]))
    assert list(features["height"]) == [40, 64] and list(features["width"]) == [64, 16]
    assert list(features["area"]) == [2560, 1024]
    assert list(features["aspect_ratio"]) == [1.6, 0.25]


def test_raw_features_keep_the_order_of_the_scans_whatever_their_index():
    facts = facts_of([picture(seed) * (seed + 1) / 4 for seed in range(4)], ["PNG", "JPEG", "PNG", "JPEG"])
    shuffled = facts.iloc[[2, 0, 3, 1]]
    features = raw_features(shuffled, NOTHING, NOTHING, np.array([1, 1, 0, 0]))
    np.testing.assert_array_equal(features["mean"], facts["mean"].to_numpy()[[2, 0, 3, 1]])
    assert list(features["format"]) == [1, 1, 0, 0]


def test_slices_are_measured_as_originals_are():
    images = np.stack([np.round(picture(seed) * 255).astype(np.uint8) for seed in range(6)])
    measured = scaled_features(images, np.array([4, 0]), np.zeros(0, dtype=np.int64))
    for record, row in zip(measured.to_dict("records"), (4, 0), strict=True):
        decoded = DecodedImage(levels=images[row], format="", mode="L")
        expected = Fingerprint.of(decoded, head=(0, 0, 64, 64)).as_record()
        assert record == pytest.approx({name: expected[name] for name in record}, rel=1e-4)
    assert list(measured) == ["mean", "p99", "foreground", "gradient_energy"]


def test_distance_to_train_is_measured_where_there_is_train():
    images = np.stack([np.round(picture(seed) * 255).astype(np.uint8) for seed in range(6)])
    measured = scaled_features(images, np.array([3, 1]), np.array([0, 1, 2]))
    assert measured["nearest_train"][0] > 0.05 and measured["nearest_train"][1] == 0
