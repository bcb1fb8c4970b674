import numpy as np
import pandas as pd

from mriad.report.tables import (
    MAX_ROWS,
    class_table,
    duplicate_table,
    label_table,
    plain_table,
    size_table,
    split_table,
)


def test_a_class_stands_with_the_intervals_of_its_own_metrics(measure):
    result = measure(["healthy", "healthy", "anomalous", "anomalous"], [0.1, 0.7, 0.9, 0.2])
    table = class_table(result)
    assert table.columns == ["class", "scans", "AUROC", "average precision", "recall (sensitivity)"]
    (row,) = table.rows
    low, high = result.intervals["anomalous_/recall"]  # the class's name, which is also that of a label
    assert row[:2] == ["anomalous", "2"]
    assert row[-1] == f"0.500 [{low:.3f}, {high:.3f}]"


def test_a_class_without_healthy_scans_beside_it_has_no_auroc(measure):
    assert class_table(measure(["glioma"] * 2, [0.1, 0.9])).columns == ["class", "scans", "recall (sensitivity)"]


def test_labels_stand_with_precision_recall_and_support(mixed):
    table = label_table(mixed)
    assert table.columns == ["label", "scans", "precision", "recall (sensitivity)", "F1"]
    low, high = mixed.intervals["healthy/recall"]
    healthy = table.rows[0]
    assert healthy[:2] == ["healthy", "6"]
    assert healthy[3] == f"0.667 [{low:.3f}, {high:.3f}]"


def test_thirds_by_lesion_size_stand_beside_each_other_with_scans_areas_and_intervals(sized):
    table = size_table(sized)
    assert table.columns == ["lesions", "small", "medium", "large"]
    assert table.rows[0] == ["scans", "3", "3", "3"]
    assert table.rows[1] == ["lesion area, pixels", "4 to 4", "8 to 8", "16 to 16"]
    rows = {row[0]: row[1:] for row in table.rows[2:]}
    for label, name in (
        ("recall of scans", "recall"),
        ("Dice", "dice"),
        ("lesions hit, 1 FP/scan", "lesion_sensitivity"),
        ("lesion recall", "lesion_recall"),
        ("false components per scan", "false_components"),
        ("pixel AP by chance", "lesion_share"),
    ):
        for cell, third in zip(rows[label], ("small", "medium", "large"), strict=True):
            low, high = sized.intervals[f"{name}_{third}"]
            assert cell == f"{sized.metrics[f'{name}_{third}']:.3f} [{low:.3f}, {high:.3f}]"
    assert [cell[:5] for cell in rows["pixel AP by chance"]] == [f"{area / 256:.3f}" for area in (4, 8, 16)]
    assert [cell[:5] for cell in rows["recall of scans"]] == ["0.333", "0.667", "1.000"]


def test_without_thirds_their_table_has_no_rows(mixed):
    assert size_table(mixed).rows == []


def test_roles_are_counted_in_their_order_with_groups_and_classes():
    split = pd.DataFrame(
        {
            "path": [*"abcdef"],
            "role": ["test", "test", "train", "train", "val", "test"],
            "group": ["p", "p", "q", "r", "s", "t"],
            "label": [1, 0, 0, 0, 0, 1],
            "class": ["glioma", "healthy", "healthy", "healthy", "healthy", "cyst"],
        }
    )
    table = split_table(split)
    assert table.columns == ["role", "scans", "groups", "healthy", "cyst", "glioma"]
    assert table.rows == [
        ["train", "2", "2", "2", "0", "0"],
        ["val", "1", "1", "1", "0", "0"],
        ["test", "3", "2", "1", "1", "1"],
    ]


def test_numbers_are_written_for_people():
    frame = pd.DataFrame({"a": [1234567, 5], "b": [0.12349, np.nan], "c": ["x", None], "d": [True, False]})
    table = plain_table(frame)
    assert table.rows == [["1,234,567", "0.123", "x", "yes"], ["5", "-", "-", "no"]]
    assert table.numeric == [True, True, False, False]


def test_a_long_table_says_how_much_of_it_is_left_out():
    table = plain_table(pd.DataFrame({"a": range(MAX_ROWS + 7)}))
    assert (len(table.rows), table.left_out) == (MAX_ROWS, 7)
    assert plain_table(pd.DataFrame({"a": range(MAX_ROWS)})).left_out == 0


def test_near_duplicates_stand_in_a_row_for_each_role_and_label():
    columns = ["role", "label", "within", "scans", "duplicated", "share"]
    rows = [
        ["train", "healthy", "train", 2000, 1500, 0.75],
        ["train", "healthy", "test", 2000, 0, 0.0],
        ["test", "healthy", "train", 8, 2, 0.25],
        ["test", "healthy", "test", 8, 0, 0.0],
        ["test", "anomalous", "train", 5, 0, 0.0],
        ["test", "anomalous", "test", 5, 4, 0.8],
    ]
    table = duplicate_table(pd.DataFrame(rows, columns=columns))
    assert table.columns == ["role", "label", "scans", "also in train", "also in test"]
    assert table.rows == [
        ["train", "healthy", "2,000", "1,500 (75 %)", "0 (0 %)"],
        ["test", "healthy", "8", "2 (25 %)", "0 (0 %)"],
        ["test", "anomalous", "5", "0 (0 %)", "4 (80 %)"],
    ]
