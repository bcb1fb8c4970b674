import io

import pytest
from rich.console import Console

from mriad.report import print_result

PLACES = [("MLflow", "run 1 in sqlite:///x.db")]


def printed(result, *, places=PLACES, width=80):
    stream = io.StringIO()
    print_result(result, places=places, console=Console(file=stream, width=width))
    return stream.getvalue()


def test_metrics_stand_beside_their_names_and_intervals(mixed):
    shown = {"AUROC": "auroc", "balanced accuracy": "balanced_accuracy", "false positive rate": "false_positive_rate"}
    shown |= {"recall (sensitivity)": "recall", "pixel AP": "pixel_ap", "Dice, oracle threshold": "dice_oracle"}
    words = " ".join(printed(mixed).split())
    for label, name in shown.items():
        low, high = mixed.intervals[name]
        assert f" {label} {mixed.metrics[name]:.3f} [{low:.3f}, {high:.3f}]" in words
    assert f" no-information rate {mixed.metrics['no_information_rate']:.3f} precision" in words


def test_a_terminal_of_100_columns_holds_scans_and_pixels_side_by_side(mixed):
    text = printed(mixed, width=100)
    assert any("Scans" in line and "Pixels" in line for line in text.splitlines())
    assert not any("Scans" in line and "Pixels" in line for line in printed(mixed).splitlines())
    assert "…" not in text


def test_accuracy_is_told_with_its_p_value(mixed):
    p = mixed.metrics["accuracy_p_value"]
    assert f"Accuracy above the no-information rate: p = {p:.3f} (one-sided binomial)." in printed(mixed)


def test_the_healthy_false_positive_rate_is_told_as_promised_and_as_seen(measure):
    result = measure(["healthy"] * 3 + ["glioma"], [0.1, 0.2, 0.9, 0.9], promised=0.2)
    low, high = result.intervals["false_positive_rate"]
    words = " ".join(printed(result).split())
    assert f"promised 20.0 %, val 25.0 %, test 33.3 % [{100 * low:.1f}, {100 * high:.1f}]" in words


def test_counts_threshold_and_rule_are_named(mixed):
    text = " ".join(printed(mixed).split())
    assert "toy: 12 test scans, 6 healthy and 6 anomalous." in text
    assert "Threshold 0.5 (youden, fitted on val)." in text


def test_a_fixed_threshold_is_not_called_fitted(measure):
    text = " ".join(printed(measure(["healthy", "glioma"], [0.1, 0.9], rule="fixed")).split())
    assert "Threshold 0.5 (fixed)." in text


def test_the_table_fits_80_columns_and_cuts_nothing(mixed):
    text = printed(mixed)
    assert max(len(line.rstrip()) for line in text.splitlines()) <= 80
    assert "…" not in text
    for label in ("no-information rate", "recall (sensitivity)", "pixel AUPRO (30 % FPR)", "peak inside the lesion"):
        assert label in text


def test_thirds_by_lesion_size_have_a_row_each_that_fits_80_columns(sized, mixed):
    text = printed(sized)
    assert max(len(line.rstrip()) for line in text.splitlines()) <= 80
    assert "…" not in text
    for third, found, area in (("small", "0.333", "4-4"), ("medium", "0.667", "8-8"), ("large", "1.000", "16-16")):
        names = ("lesion_sensitivity", "pixel_ap", "lesion_share", "dice")
        numbers = [f"{sized.metrics[f'{name}_{third}']:.3f}" for name in names]
        assert " ".join([third, "3", area, found, *numbers]) in " ".join(text.split())
    assert "Lesions" not in printed(mixed)


def test_of_volumes_slices_and_lesion_volume_are_told_also_without_a_healthy_scan(measure_volumes, mixed):
    result, _ = measure_volumes([1] * 9, [0.9] * 9)
    text = printed(result)
    words = " ".join(text.split())
    assert max(len(line.rstrip()) for line in text.splitlines()) <= 80
    assert "…" not in text and "Slices" not in printed(mixed)
    for label, name in (("AUROC of slices", "slice/auroc"), ("lesion volume, bias (ml)", "lesion_volume_bias")):
        low, high = result.intervals[name]
        assert f" {label} {result.metrics[name]:.3f} [{low:.3f}, {high:.3f}]" in words
    for third in result.thirds:
        assert "-".join(third.span) in words


def test_false_components_are_told_with_their_interval(mixed, measure):
    words = " ".join(printed(mixed).split())
    for before, name in (
        ("at the pixel threshold", "false_components"),
        ("at the level that leaves healthy val scans at most 1 (1 FP/scan)", "lesion_false_positives"),
    ):
        (low, high), (low_all, high_all) = (mixed.intervals[f"{name}{end}"] for end in ("", "_all"))
        assert (
            f"{before}: 0.00 per scan [{low:.2f}, {high:.2f}], "
            f"0.00 per scan with the healthy scans [{low_all:.2f}, {high_all:.2f}]"
        ) in words
    assert "False components" not in printed(measure(["healthy", "glioma"], [0.1, 0.9]))


def test_a_detector_from_before_levels_says_how_to_get_one(measure):
    text = " ".join(printed(measure(["healthy", "glioma"], [0.1, 0.9], masked=["glioma"], level=None)).split())
    assert "from before a level for 1 FP/scan was chosen on val: train or calibrate again" in text


def test_what_is_left_out_of_the_pixel_numbers_is_counted_beside_them(measure):
    classes = ["healthy"] + ["glioma"] * 6 + ["cyst"]
    options = {"masked": ["glioma"], "empty": [2], "doubtful": [3], "lost": [4], "merged": {5: 2}}
    words = " ".join(printed(measure(classes, [0.1] + [0.9] * 7, **options)).split())
    assert (
        "Pixel numbers are of 3 of 7 anomalous test scans: 1 has no mask, 1 has one that holds nothing, 1 has one that "
        "covers too much of the head and is not used, 1 has its lesions outside the crop; 1 of 6 lesions lies outside "
        "the crop and counts as missed; 2 of 6 lesions touch another at network size and count with it."
    ) in words


@pytest.mark.parametrize("empty", [[1, 2], [1]])
def test_masks_that_hold_nothing_are_told_with_and_without_a_pixel_table(measure, empty):
    text = printed(measure(["healthy"] + ["glioma"] * 2, [0.1, 0.9, 0.9], masked=["glioma"], empty=empty))
    assert ("pixel AP" in text) == (len(empty) < 2)
    left = "2 have one that holds" if len(empty) == 2 else "1 has one that holds"
    assert f"Pixel numbers are of {2 - len(empty)} of 2 anomalous test scans: {left} nothing." in " ".join(text.split())


def test_where_all_masks_are_used_or_none_is_there_nothing_is_told_of_them(sized, measure):
    assert "Pixel numbers are of" not in printed(sized)
    assert "Pixel numbers are of" not in printed(measure(["healthy", "glioma"], [0.1, 0.9]))


def test_a_long_name_of_a_class_still_fits(measure):
    name = "dysembryoplastic neuroepithelial tumour"
    text = printed(measure(["healthy", name], [0.1, 0.9], masked=[name]))
    assert max(len(line.rstrip()) for line in text.splitlines()) <= 80
    assert "…" not in text
    assert "anomalous?" in text


def test_a_published_protocol_says_so(measure):
    flawed = " ".join(printed(measure(["healthy", "glioma"], [0.1, 0.9], published=True)).split())
    assert "Published protocol, flawed on purpose" in flawed
    assert "Do not believe these numbers" in flawed
    assert "flawed" not in printed(measure(["healthy", "glioma"], [0.1, 0.9]))


@pytest.mark.parametrize(("name", "missing"), [("healthy", "recall"), ("glioma", "specificity")])
def test_a_test_with_one_label_leaves_out_what_it_cannot_tell(measure, name, missing):
    text = printed(measure([name] * 3, [0.1, 0.2, 0.9]))
    assert "nan" not in text
    assert "AUROC 0" not in " ".join(text.split())
    assert not any(line.strip().startswith(missing) for line in text.splitlines())


def test_the_confusion_matrix_is_that_of_the_decisions(measure):
    result = measure(["healthy"] * 4 + ["glioma"] * 3, [0.1, 0.2, 0.3, 0.9, 0.9, 0.8, 0.1])
    words = " ".join(printed(result).split())
    assert "healthy 3 1" in words
    assert "anomalous 1 2" in words


def test_classes_stand_with_their_support_and_recall(mixed):
    words = " ".join(printed(mixed).split())
    assert f"glioma 4 {mixed.by_class['glioma']['auroc']:.3f} 0.750" in words


def test_a_class_without_healthy_scans_beside_it_has_no_auroc(measure):
    assert "glioma 3 - 0.333" in " ".join(printed(measure(["glioma"] * 3, [0.1, 0.2, 0.9])).split())


def test_brackets_in_names_and_paths_are_printed_as_they_are(measure):
    places = [("Checkpoint", "/runs/[bold]/[/x]/best.ckpt")]
    text = printed(measure(["healthy", "[t2]"], [0.1, 0.9], data="[mine]"), places=places)
    for words in ("/runs/[bold]/[/x]/best.ckpt", "[t2]", "[mine]"):
        assert words in text


def test_a_long_place_is_not_broken(mixed):
    path = "/a/very/long/path" * 10
    assert path in printed(mixed, places=[("Checkpoint", path)])
