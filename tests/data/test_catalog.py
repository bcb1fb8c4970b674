import logging
import os
from pathlib import Path

import pytest

from mriad.data.catalog import COLUMNS, Catalog, content_hash
from mriad.errors import MriadError
from mriad.geometry import spacing_of


def catalog_of(root: Path, contents: dict[str, bytes], **columns: dict[str, object]) -> Catalog:
    """A catalog of files with these bytes; ``columns`` maps a column to its value by path."""
    records = []
    for path, content in contents.items():
        (root / path).parent.mkdir(parents=True, exist_ok=True)
        (root / path).write_bytes(content)
        record = {"path": path, "label": 1} | {name: by[path] for name, by in columns.items() if path in by}
        records.append(record)
    return Catalog.from_records(records, root=root)


def test_rows_are_sorted_by_path_and_numbered_from_zero():
    catalog = Catalog.from_records([{"path": name, "label": 0} for name in "cab"], root=Path("/scans"))
    assert list(catalog.table["path"]) == ["a", "b", "c"]
    assert list(catalog.table.index) == [0, 1, 2]
    assert catalog.files()[0] == Path("/scans/a")
    assert len(catalog) == 3


def test_missing_columns_get_their_default():
    catalog = Catalog.from_records([{"path": "a", "label": 0}, {"path": "b", "label": "1"}], root=Path("/scans"))
    assert list(catalog.table.columns) == list(COLUMNS)
    assert list(catalog.table["class"]) == ["healthy", "anomaly"]
    assert list(catalog.table["label"]) == [0, 1]
    assert (catalog.table[["mask", "patient", "plane", "contrast", "spacing", "pool"]] == "").all(axis=None)


def test_a_column_that_only_some_rows_have_is_empty_in_the_others():
    records = [{"path": "a", "label": 1, "class": "glioma", "patient": "p1"}, {"path": "b", "label": 1}]
    table = Catalog.from_records(records, root=Path("/scans")).table
    assert list(table["class"]) == ["glioma", "anomaly"]
    assert list(table["patient"]) == ["p1", ""]


def test_backslashes_become_slashes_in_paths_and_masks():
    records = [{"path": "yes\\a.png", "label": 1, "mask": "masks\\a.png"}]
    table = Catalog.from_records(records, root=Path("/scans")).table
    assert table.loc[0, "path"] == "yes/a.png"
    assert table.loc[0, "mask"] == "masks/a.png"


def test_absolute_paths_stay_where_they_are():
    catalog = Catalog.from_records([{"path": "/elsewhere/a.png", "label": 0}], root=Path("/scans"))
    assert catalog.files() == [Path("/elsewhere/a.png")]


@pytest.mark.parametrize(
    ("record", "message"),
    [
        ({"path": "b", "label": 2}, "b in /scans has a label other than 0"),
        ({"path": "b", "label": None}, "b in /scans has a label other than 0"),
        ({"path": "b", "label": "yes"}, "b in /scans has a label other than 0"),
        ({"path": "", "label": 0}, "Scan number 1 in /scans has no path"),
        ({"path": None, "label": 0}, "Scan number 1 in /scans has no path"),
        ({"path": "a", "label": 0}, "a in /scans stands twice"),
        ({"path": "b", "label": 1, "mask": "./a"}, "a in /scans stands as a mask too"),
        ({"path": "b", "label": 0, "class": "glioma"}, "b in /scans is healthy by its label or by its class"),
        (
            {"path": "b", "label": 1, "class": "healthy"},
            "b in /scans is healthy by its label or by its class",
        ),
        ({"path": "b", "label": 1, "plane": "oblique"}, "b in /scans has an unknown plane; use axial, "),
        ({"path": "b", "label": 1, "pool": "train"}, "b in /scans has an unknown pool; use labelled"),
        ({"path": "b", "label": 1, "spacing": "1 mm"}, "b in /scans has a spacing that is none; use millimetres"),
        ({"path": "b", "label": 1, "spacing": "0"}, "b in /scans has a spacing that is none"),
        ({"path": "b", "label": 1, "spacing": "0.5 x 0"}, "b in /scans has a spacing that is none"),
        ({"path": "b", "label": 1, "spacing": "-1"}, "b in /scans has a spacing that is none"),
    ],
)
def test_a_wrong_row_is_named(record, message):
    with pytest.raises(MriadError, match=message):
        Catalog.from_records([{"path": "a", "label": 0}, record], root=Path("/scans"))


@pytest.mark.parametrize(
    ("text", "spacing"),
    [
        ("0.5", (0.5, 0.5)),
        ("1", (1, 1)),
        ("0.5 x 0.6", (0.5, 0.6)),
        ("2x.25", (2, 0.25)),
        (1.5, (1.5, 1.5)),
        ("", None),
    ],
)
def test_a_spacing_is_one_number_or_two(text, spacing):
    table = Catalog.from_records([{"path": "a", "label": 0, "spacing": text}], root=Path("/scans")).table
    assert spacing_of(table["spacing"].iat[0]) == spacing


def test_a_missing_column_is_named():
    with pytest.raises(MriadError, match="no column 'label'"):
        Catalog.from_records([{"path": "a"}], root=Path("/scans"))


def test_no_scans_at_all_is_an_error():
    with pytest.raises(MriadError, match="There are no scans in /scans"):
        Catalog.from_records([], root=Path("/scans"))


def test_content_is_equal_for_equal_bytes_and_empty_for_unreadable_files(tmp_path):
    catalog = catalog_of(tmp_path, {"a": b"one", "b": b"one", "c": b"two", "d": b""})
    (tmp_path / "d").unlink()
    a, b, c, d = catalog.with_content().table["content"]
    assert a == b != c
    assert (len(a), d) == (32, "")
    assert "content" not in catalog.table


def test_an_empty_file_has_a_content_of_its_own(tmp_path):
    (tmp_path / "empty").touch()
    assert content_hash(tmp_path / "empty") != ""


def test_the_first_of_identical_files_is_kept(tmp_path):
    catalog = catalog_of(tmp_path, {"a": b"one", "b": b"two", "c": b"one"}).without_identical_files()
    assert list(catalog.table["path"]) == ["a", "b"]
    assert list(catalog.table.index) == [0, 1]


def test_among_identical_files_the_one_with_a_mask_is_kept(tmp_path):
    catalog = catalog_of(tmp_path, {"a": b"one", "b": b"one"}, mask={"b": "m.png"})
    assert list(catalog.without_identical_files().table["path"]) == ["b"]


def test_among_identical_files_the_one_outside_the_labelled_pool_is_kept(tmp_path):
    catalog = catalog_of(tmp_path, {"a": b"one", "b": b"one"}, pool={"a": "labelled"})
    assert list(catalog.without_identical_files().table["path"]) == ["b"]


def test_identical_files_of_both_labels_all_go_with_a_warning(tmp_path, caplog):
    catalog = catalog_of(tmp_path, {"a": b"one", "b": b"one", "c": b"two"}, label={"a": 0})
    with caplog.at_level(logging.WARNING):
        assert list(catalog.without_identical_files().table["path"]) == ["c"]
    assert "2 files are identical to one of the other label and are left out: a, b" in caplog.text


def test_unreadable_files_are_never_taken_for_copies_of_each_other(tmp_path):
    catalog = catalog_of(tmp_path, {"a": b"one", "b": b"two"})
    for file in catalog.files():
        file.unlink()
    assert len(catalog.without_identical_files()) == 2


def test_a_content_column_that_is_there_is_not_computed_again(tmp_path):
    catalog = catalog_of(tmp_path, {"a": b"one", "b": b"one"}).with_content()
    for file in catalog.files():
        file.unlink()
    assert len(catalog.without_identical_files()) == 1


def test_what_only_a_copy_knows_is_kept(tmp_path):
    known = {"mask": "m.png", "plane": "axial", "contrast": "T1", "spacing": "0.5", "patient": "p", "class": "glioma"}
    for column, value in known.items():
        folder = tmp_path / column
        catalog = catalog_of(folder, {"a": b"one", "b": b"one", "c": b"two"}, **{column: {"b": value}})
        kept = catalog.without_identical_files().table
        assert len(kept) == 2
        assert list(kept[column][kept["path"] != "c"]) == [value]
    both = catalog_of(tmp_path, {"a": b"one", "b": b"one"}, mask={"a": "m.png"}, patient={"b": "p"})
    kept = both.without_identical_files().table
    assert list(kept[["path", "mask", "patient"]].iloc[0]) == ["a", "m.png", "p"]


@pytest.mark.parametrize(("column", "values"), [("plane", ("axial", "coronal")), ("class", ("glioma", "cyst"))])
def test_copies_that_contradict_each_other_are_told(tmp_path, caplog, column, values):
    catalog = catalog_of(tmp_path, {"a": b"one", "b": b"one"}, **{column: dict(zip("ab", values, strict=True))})
    assert list(catalog.without_identical_files().table[column]) == [values[0]]
    told = f"1 files have a copy with another {column}, which is not used: '{values[0]}' of a is, and not '{values[1]}'"
    assert told in caplog.text


def test_a_copy_of_a_mask_is_no_other_mask(tmp_path, caplog):
    for name, content in {"m1": b"mask", "m2": b"mask", "m3": b"other"}.items():
        (tmp_path / name).write_bytes(content)
    scans = {"a": b"one", "b": b"one"}
    catalog_of(tmp_path, scans, mask={"a": "m1", "b": "m2"}).without_identical_files()
    assert caplog.text == ""
    catalog_of(tmp_path, scans, mask={"a": "m1", "b": "m3"}).without_identical_files()
    assert "another mask, which is not used: 'm1' of a is, and not 'm3' of its copy b" in caplog.text


def test_patients_who_share_a_picture_are_one_person(tmp_path, caplog):
    contents = {"a": b"1", "b": b"2", "c": b"2", "d": b"3", "e": b"4", "f": b"4", "g": b"5", "h": b"6"}
    patient = {"a": "P1", "b": "P1", "c": "P7", "d": "P7", "e": "P7", "f": "P9", "g": " P2 "}
    catalog = catalog_of(tmp_path, contents, patient=patient)
    one = "P1 = P7 = P9"
    assert list(catalog.with_persons().table["patient"]) == [one] * 6 + ["P2", ""]
    kept = catalog.without_identical_files().table.set_index("path")["patient"]
    assert kept.to_dict() == {"a": one, "b": one, "d": one, "e": one, "g": "P2", "h": ""}
    assert "3 patients share a file of identical content with another" in caplog.text
    assert "b is of P1, its copy c of P7" in caplog.text


def test_who_has_an_anomalous_scan_is_known_though_it_is_left_out(tmp_path):
    contents = {"a": b"1", "b": b"1", "c": b"2", "d": b"3"}
    catalog = catalog_of(tmp_path, contents, label={"a": 0, "c": 0, "d": 0}, patient={"a": "P1", "c": "P1", "d": "P2"})
    kept = catalog.without_identical_files().table.set_index("path")["diseased"]
    assert kept.to_dict() == {"c": True, "d": False}


def test_a_name_that_is_no_utf8_is_an_error():
    path = os.fsdecode(b"p1/sc\xffn.png")
    with pytest.raises(MriadError, match=r"p1/sc\\xffn\.png in /scans has a name that is no UTF-8; rename it"):
        Catalog.from_records([{"path": path, "label": 0}], root=Path("/scans"))
