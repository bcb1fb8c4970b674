import logging
from pathlib import Path

import pytest

from mriad.data.layouts import folder
from mriad.data.layouts.manifest import manifest_file, read_manifest
from mriad.errors import MriadError


@pytest.fixture
def scans(tmp_path, write_image):
    for name in ("a.png", "p1/b.png", "masks/b.png", "masks/brain.png", "outlines.json"):
        write_image(tmp_path / name) if name.endswith("png") else (tmp_path / name).write_text("{}")
    return tmp_path


def write(root: Path, text: str, **options: str) -> Path:
    (root / "scans.csv").write_text(text, **{"encoding": "utf-8"} | options)
    return root / "scans.csv"


def test_all_columns_are_read(scans):
    file = write(
        scans,
        "label,path,class,mask,brain_mask,patient,session,plane,contrast,spacing,series,pool\n"
        "0,a.png,,,,p0,,axial,T1,,,\n"
        "1,p1/b.png,glioma,masks/b.png,masks/brain.png,p1,week 2,sagittal,FLAIR,0.5 x 0.6,7,labelled\n",
    )
    catalog = read_manifest(file)
    assert catalog.root == scans
    assert catalog.table.to_dict("records") == [
        {
            "path": "a.png",
            "label": 0,
            "class": "healthy",
            "mask": "",
            "brain_mask": "",
            "patient": "p0",
            "session": "",
            "plane": "axial",
            "contrast": "T1",
            "spacing": "",
            "series": "",
            "pool": "",
        },
        {
            "path": "p1/b.png",
            "label": 1,
            "class": "glioma",
            "mask": "masks/b.png",
            "brain_mask": "masks/brain.png",
            "patient": "p1",
            "session": "week 2",
            "plane": "sagittal",
            "contrast": "FLAIR",
            "spacing": "0.5 x 0.6",
            "series": "7",
            "pool": "labelled",
        },
    ]


def test_path_and_label_are_enough(scans):
    table = read_manifest(write(scans, "path,label\np1/b.png,1\na.png,0\n")).table
    assert list(table["path"]) == ["a.png", "p1/b.png"]
    assert list(table["class"]) == ["healthy", "anomaly"]


@pytest.mark.parametrize("divider", [";", "\t"])
def test_what_a_spreadsheet_writes_where_commas_are_decimals_is_read(scans, divider):
    text = "path;label;spacing;patient\np1/b.png;1;0,5 x 0,6;7,5\na.png;0;0,9;\n".replace(";", divider)
    table = read_manifest(write(scans, text, encoding="utf-8-sig")).table
    assert list(table["spacing"]) == ["0.9", "0.5 x 0.6"]
    assert list(table["patient"]) == ["", "7,5"]


def test_a_patient_number_keeps_its_zeros(scans):
    assert read_manifest(write(scans, "path,label,patient\na.png,0,007\n")).table.loc[0, "patient"] == "007"


def test_the_words_na_and_null_are_names_like_others(scans):
    table = read_manifest(write(scans, "path,label,patient,contrast\na.png,0,NA,null\n")).table
    assert list(table.loc[0, ["patient", "contrast"]]) == ["NA", "null"]


def test_spaces_empty_lines_and_a_byte_order_mark_do_not_count(scans):
    file = write(scans, "path , label\n\n a.png , 0\n,\n", encoding="utf-8-sig")
    assert list(read_manifest(file).table["path"]) == ["a.png"]


def test_backslashes_of_windows_are_read(scans):
    assert list(read_manifest(write(scans, "path,label\np1\\b.png,1\n")).table["path"]) == ["p1/b.png"]


def test_absolute_paths_are_read(scans):
    (scans / "lists").mkdir()
    catalog = read_manifest(write(scans / "lists", f"path,label\n{scans}/a.png,0\n"))
    assert catalog.files() == [scans / "a.png"]


def test_outlines_are_masks_too(scans):
    table = read_manifest(write(scans, "path,label,mask\na.png,1,outlines.json#a.png\n")).table
    assert table.loc[0, "mask"] == "outlines.json#a.png"


@pytest.mark.parametrize(
    ("text", "message"),
    [
        ("", r"scans\.csv has no column 'path'; it needs path and label"),
        ("path\na.png\n", r"scans\.csv has no column 'label'"),
        ("path:label\na.png:0\n", r"nothing that divides them: its first line is 'path:label'"),
        (
            "path,label,patients\na.png,0,p1\n",
            r"unknown column 'patients', perhaps patient was meant; rename or remove it, known are: path",
        ),
        ("path,label,\na.png,0,\n", r"Column 3 of /.*scans\.csv has no name"),
        ("path,label,path\na.png,0,a.png\n", r"scans\.csv has the column 'path' twice"),
        ("path,label\n", r"scans\.csv lists no scans"),
        ("path,label\na.png,0\n,1\n", r"Line 3 of /.*scans\.csv has no path"),
        ("path,label\na.png,0\n\np1/b.png,2\n", r"Line 4 of /.*scans\.csv has the label '2'"),
        ("path,label\na.png,\n", r"Line 2 of /.*scans\.csv has the label ''"),
        ("path,label\na.png\n", r"Line 2 of /.*scans\.csv has 1 entries but the header has 2"),
        ("path,label\na.png,0,1\n", r"Line 2 of /.*scans\.csv has 3 entries but the header has 2"),
        ("path,label\nc.png,0\n", r"Line 2 of /.*scans\.csv names the scan /.*/c\.png, which does not exist"),
        ("path,label\na.png,0\na.png,0\n", r"Line 3 of /.*scans\.csv lists a\.png again, after line 2"),
        (
            "path,label,mask\na.png,1,m.png\n",
            r"Line 2 of /.*scans\.csv names the mask /.*/m\.png, which does not",
        ),
        (
            "path,label,mask\na.png,1,m.json#a\n",
            r"Line 2 of /.*scans\.csv names the mask /.*/m\.json, which does",
        ),
        (
            "path,label,mask\na.png,1,masks/b.png\np1/b.png,1,p1/../masks/b.png\n",
            r"a\.png and p1/b\.png in /.* have one mask, masks/b\.png; a mask serves one scan",
        ),
        (
            "path,label,mask\na.png,1,outlines.json#a.png\np1/b.png,1,outlines.json#a.png\n",
            r"a\.png and p1/b\.png in /.* have one mask, outlines\.json#a\.png",
        ),
        ("path,label,plane\na.png,0,oblique\n", r"a\.png in /.* has an unknown plane"),
    ],
)
def test_what_is_wrong_is_told_with_its_line(scans, text, message):
    with pytest.raises(MriadError, match=message):
        read_manifest(write(scans, text))


def test_a_file_that_is_no_text_is_an_error(scans):
    with pytest.raises(MriadError, match=r"a\.png cannot be read .* save it as CSV in UTF-8"):
        read_manifest(scans / "a.png")


def test_a_manifest_is_found_from_the_working_directory_and_below_root(tmp_path, monkeypatch):
    for name in ("work", "data"):
        (tmp_path / name).mkdir()
        (tmp_path / name / f"{name}.csv").touch()
    monkeypatch.chdir(tmp_path / "work")
    assert manifest_file("work.csv", root=tmp_path / "data") == tmp_path / "work/work.csv"
    assert manifest_file("data.csv", root=tmp_path / "data") == tmp_path / "data/data.csv"
    assert manifest_file(tmp_path / "data/data.csv", root=None) == tmp_path / "data/data.csv"


def test_a_missing_manifest_is_told_with_the_places_that_were_looked_at(tmp_path, monkeypatch):
    monkeypatch.chdir(tmp_path)
    with pytest.raises(MriadError, match=r"no manifest /.*/m\.csv and /.*/data/m\.csv: point data\.layout\.manifest"):
        manifest_file("m.csv", root="data")


def test_a_manifest_needs_no_root(scans, caplog):
    file = write(scans, "path,label\na.png,0\n")
    with caplog.at_level(logging.WARNING):
        assert len(folder(root=None, manifest=file)) == 1
    assert caplog.text == ""
