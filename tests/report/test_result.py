import re

import numpy as np
import pytest

from mriad.errors import MriadError
from mriad.metrics.bootstrap import GroupBootstrap
from mriad.report.result import class_names

IMAGE = {
    "auroc",
    "average_precision",
    "accuracy",
    "accuracy_p_value",
    "no_information_rate",
    "balanced_accuracy",
    "precision",
    "recall",
    "specificity",
    "false_positive_rate",
    "f1",
}
WITHOUT_INTERVAL = {"no_information_rate", "accuracy_p_value"}
PIXEL = {"pixel_ap", "pixel_auroc", "pixel_aupro", "dice", "dice_oracle", "dice_per_scan", "pointing"}
LESION = {
    "lesion_sensitivity",
    "lesion_false_positives",
    "lesion_sensitivity_oracle",
    "lesion_recall",
    "false_components",
}
COUNTS = {
    "scans_with_lesion",
    "masks_empty",
    "masks_doubtful",
    "lesions",
    "lesions_outside",
    "lesions_merged",
}
WITH_HEALTHY = {
    "pixel_ap_all",
    "pixel_auroc_all",
    "dice_all",
    "dice_oracle_all",
    "lesion_sensitivity_oracle_all",
    "lesion_false_positives_all",
    "false_components_all",
}
BY_SIZE = {
    f"{name}_{size}"
    for name in PIXEL - {"pixel_auroc"} | LESION | {"recall", "lesion_share"}
    for size in ("small", "medium", "large")
}


def names(result):
    return {name for name in result.flat_metrics() if not name.endswith(("_low", "_high"))}


def test_the_names_of_the_metrics_are_those_of_the_design(mixed):
    by_label = {
        f"test/{label}/{name}"
        for label in ("healthy", "anomalous")
        for name in ("precision", "recall", "f1", "support")
    }
    by_class = {
        f"test/{anomaly}/{name}"
        for anomaly in ("glioma", "pituitary_tumour")
        for name in ("auroc", "average_precision", "recall", "support")
    }
    top = {f"test/{name}" for name in IMAGE | PIXEL | LESION | WITH_HEALTHY | COUNTS}
    assert names(mixed) == top | by_label | by_class


def test_lesions_of_several_sizes_are_measured_by_size_too(sized):
    top = {name.removeprefix("test/") for name in names(sized) if name.count("/") == 1}
    assert top == IMAGE | PIXEL | LESION | WITH_HEALTHY | COUNTS | BY_SIZE
    flat = sized.flat_metrics()
    for name in BY_SIZE:
        most = np.inf if "false_components" in name or "false_positives" in name else 1
        assert 0 <= flat[f"test/{name}_low"] <= flat[f"test/{name}"] <= flat[f"test/{name}_high"] <= most, name


def test_every_test_metric_has_an_interval_but_counts_rates_and_p_values(mixed):
    flat = mixed.flat_metrics()
    without = {name for name in names(mixed) if f"{name}_low" not in flat}
    assert without == {f"test/{name}" for name in WITHOUT_INTERVAL | COUNTS} | {
        f"test/{name}/support" for name in ("healthy", "anomalous", "glioma", "pituitary_tumour")
    }
    assert {f"{name}_{end}" for name in names(mixed) - without for end in ("low", "high")} == set(flat) - names(mixed)
    for name in names(mixed) - without:
        most = np.inf if "false_components" in name or "false_positives" in name else 1
        assert 0 <= flat[f"{name}_low"] <= flat[name] <= flat[f"{name}_high"] <= most, name
    assert flat["test/auroc_low"] < flat["test/auroc"] < flat["test/auroc_high"] <= 1
    assert (flat["test/glioma/recall_low"], flat["test/glioma/recall_high"]) == mixed.intervals["glioma/recall"]


def test_each_interval_is_that_of_its_own_number(measure):
    # glioma is always found, cysts are found half of the time, healthy scans are called rarely
    count = 40
    classes = ["healthy"] * count + ["glioma"] * count + ["cyst"] * count
    scores = [0.1] * (count - 2) + [0.7] * 2 + [0.9] * count + [0.6, 0.2] * (count // 2)
    intervals = measure(classes, scores).intervals
    assert intervals["glioma/recall"] == pytest.approx((0.025 ** (1 / count), 1))
    assert 0.25 < intervals["cyst/recall"][0] < 0.4 and 0.6 < intervals["cyst/recall"][1] < 0.75
    assert intervals["recall"] == intervals["anomalous/recall"]
    assert intervals["specificity"] == intervals["healthy/recall"]
    assert intervals["false_positive_rate"] == pytest.approx((0, 0.125))


def test_the_groups_of_the_scans_are_drawn(measure, monkeypatch):
    drawn = []
    draw = GroupBootstrap.draw
    monkeypatch.setattr(GroupBootstrap, "draw", lambda **given: drawn.append(given) or draw(**given))
    table = measure(["healthy"] * 2 + ["glioma"] * 2, [0.1, 0.2, 0.9, 0.3]).table
    (given,) = drawn
    assert list(given["groups"]) == list(table["group"]) and list(given["labels"]) == list(table["label"])


def test_classes_with_one_name_in_metrics_are_told_apart(measure):
    result = measure(["healthy"] * 2 + ["T1+c", "T1 c", "anomalous"], [0.1, 0.2, 0.9, 0.3, 0.9])
    flat = result.flat_metrics()
    assert class_names(result.by_class) == {"T1 c": "T1_c", "T1+c": "T1_c_", "anomalous": "anomalous_"}
    assert (flat["test/T1_c/recall"], flat["test/T1_c_/recall"], flat["test/anomalous/recall"]) == (0, 1, 2 / 3)


def test_every_number_is_a_plain_float(mixed):
    assert {type(value) for value in mixed.flat_metrics().values()} == {float}


def test_without_masks_there_are_no_pixel_metrics(measure):
    result = measure(["healthy", "healthy", "glioma"], [0.1, 0.7, 0.9])
    assert {name for name in names(result) if name.count("/") == 1} == {f"test/{name}" for name in IMAGE}
    assert list(result.masks) == [None] * 3


def test_numbers_by_hand(mixed):
    flat = mixed.flat_metrics()
    assert mixed.confusion.tolist() == [[4, 2], [2, 4]]
    assert flat["test/accuracy"] == pytest.approx(8 / 12)
    assert flat["test/recall"] == pytest.approx(4 / 6)
    assert flat["test/specificity"] == pytest.approx(4 / 6)
    assert flat["test/auroc"] == pytest.approx(30 / 36)
    assert flat["test/glioma/auroc"] == pytest.approx((6 + 6 + 4 + 5) / 24)
    assert flat["test/glioma/support"] == 4
    assert flat["test/healthy/support"] == flat["test/anomalous/support"] == 6


def test_a_scan_is_decided_by_the_calibrated_threshold_and_a_score_at_it_is_healthy(measure):
    table = measure(["healthy", "healthy", "glioma"], [0.4, 0.5, 0.51]).table
    assert table["decision"].tolist() == [0, 0, 1]
    assert table["threshold"].tolist() == [0.5] * 3


def test_outcomes_name_what_the_decision_was(mixed):
    by_outcome = mixed.outcomes().value_counts().to_dict()
    assert by_outcome == {"true negative": 4, "true positive": 4, "false positive": 2, "false negative": 2}
    assert mixed.outcomes()[5] == "false positive"
    assert mixed.outcomes()[8] == "false negative"


@pytest.mark.parametrize(
    ("classes", "present"),
    [
        (["healthy"] * 3, {"accuracy", "no_information_rate", "specificity", "false_positive_rate"}),
        (["glioma"] * 3, {"accuracy", "no_information_rate", "recall"}),
    ],
    ids=["healthy", "anomalous"],
)
def test_a_test_with_one_label_tells_what_it_can(measure, classes, present):
    result = measure(classes, [0.2, 0.4, 0.6])
    assert set(result.metrics) == present
    assert np.isfinite(list(result.flat_metrics().values())).all()
    assert result.confusion.sum() == 3


def test_anomalous_scans_alone_have_pixel_metrics_without_the_healthy_ones(measure):
    result = measure(["glioma"] * 3, [0.2, 0.4, 0.6], masked=["glioma"])
    assert set(result.metrics) >= PIXEL | LESION
    assert not set(result.metrics) & WITH_HEALTHY


def test_an_anomaly_without_a_mask_is_left_out_of_pixel_metrics(measure):
    with_another = measure(["healthy", "glioma", "cyst"], [0.1, 0.9, 0.9], masked=["glioma"])
    assert [mask is not None for mask in with_another.masks] == [False, True, False]
    assert with_another.metrics["pixel_ap"] == pytest.approx(1.0)
    assert with_another.metrics["pointing"] == 1.0


def test_a_lesion_that_the_crop_has_cut_away_is_left_out_of_pixels_and_missed_among_lesions(measure):
    options = {"masked": ["glioma"], "lost": [2]}
    result = measure(["healthy", "glioma", "glioma"], [0.1, 0.9, 0.9], **options)
    assert result.metrics["dice_per_scan"] == pytest.approx(1.0)
    for name in ("lesion_recall", "lesion_sensitivity", "lesion_sensitivity_oracle"):
        assert result.metrics[name] == 0.5
    assert (result.metrics["lesions"], result.metrics["lesions_outside"]) == (2, 1)
    only_lost = measure(["healthy", "glioma"], [0.1, 0.9], masked=["glioma"], lost=[1])
    assert not set(only_lost.metrics) & PIXEL
    assert only_lost.metrics["lesion_recall"] == only_lost.metrics["lesion_sensitivity"] == 0


def test_a_missed_lesion_leaves_the_thirds_with_their_own_scans(measure):
    classes = ["glioma"] * 10
    heights = dict(zip([0, *range(2, 10)], [1] * 3 + [2] * 3 + [4] * 3, strict=True))
    result = measure(classes, [0.9] * 10, masked=["glioma"], lost=[1], heights=heights)
    assert [third.rows.tolist() for third in result.thirds] == [[0, 2, 3], [4, 5, 6], [7, 8, 9]]
    assert [result.metrics[f"lesion_recall_{third.name}"] for third in result.thirds] == [1, 1, 1]
    assert result.metrics["lesion_recall"] == pytest.approx(9 / 10)


def test_a_detector_from_before_levels_has_no_number_of_one(measure):
    result = measure(["healthy", "glioma"], [0.1, 0.9], masked=["glioma"], level=None)
    assert set(result.metrics) & LESION == {"lesion_sensitivity_oracle", "lesion_recall", "false_components"}


@pytest.mark.parametrize("name", ["grade IV (GBM)", "T1+c", "glioma & cyst", "größer 5%", "a b"])
def test_any_name_of_a_class_becomes_a_name_that_mlflow_takes(measure, name):
    flat = names(measure(["healthy", name], [0.1, 0.9]))
    (auroc,) = (key for key in flat if key.count("/") == 2 and key.endswith("/auroc"))
    assert re.fullmatch(r"test/[\w.-]+/auroc", auroc)


def test_a_score_that_is_not_finite_is_told(measure):
    with pytest.raises(MriadError, match="1 of 2 anomaly scores are not finite"):
        measure(["healthy", "glioma"], [0.1, float("nan")])


def test_a_published_protocol_has_no_interval_and_no_p_value_that_takes_its_scans_for_new_ones(measure, mixed):
    classes = ["healthy"] * 6 + ["glioma"] * 4
    flawed = measure(classes, [0.1, 0.2, 0.3, 0.4, 0.6, 0.7, 0.9, 0.8, 0.45, 0.65], masked=["glioma"], published=True)
    assert not [name for name in flawed.flat_metrics() if name.endswith(("_low", "_high", "p_value"))]
    assert {"auroc", "pixel_ap", "accuracy", "no_information_rate"} <= flawed.metrics.keys()
    assert {name for name in mixed.flat_metrics() if name.endswith("_low")}
    assert "accuracy_p_value" in mixed.metrics
