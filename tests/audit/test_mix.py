import pandas as pd

from mriad.audit.mix import mix_by_role

SCANS = pd.DataFrame(
    [
        ("test", 0, "healthy", "axial", "", "JPEG", "L"),
        ("test", 1, "glioma", "coronal", "", "PNG", "RGB"),
        ("test", 1, "glioma", "", "", "PNG", "L"),
        ("train", 0, "healthy", "axial", "", "JPEG", "L"),
        ("train", 0, "healthy", "axial", "", "PNG", "L"),
    ],
    columns=["role", "label", "class", "plane", "contrast", "format", "mode"],
)


def counts(table, name):
    rows = table[table["property"] == name].set_index("value").drop(columns="property")
    return {value: list(row) for value, row in zip(rows.index, rows.to_numpy(), strict=True)}


def test_scans_are_counted_by_role_and_label():
    table = mix_by_role(SCANS)
    assert list(table.columns) == ["property", "value", "train healthy", "test healthy", "test anomalous"]
    assert counts(table, "class") == {"glioma": [0, 0, 2], "healthy": [2, 1, 0]}
    assert counts(table, "format") == {"JPEG": [1, 1, 0], "PNG": [1, 0, 2]}
    assert counts(table, "mode") == {"L": [2, 1, 1], "RGB": [0, 0, 1]}


def test_what_is_unknown_is_counted_too():
    assert counts(mix_by_role(SCANS), "plane") == {"axial": [2, 1, 0], "coronal": [0, 0, 1], "unknown": [0, 0, 1]}


def test_a_property_that_nobody_knows_is_left_out():
    assert "contrast" not in set(mix_by_role(SCANS)["property"])
