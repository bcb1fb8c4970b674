import os
from pathlib import Path

import pytest

from mriad.errors import MriadError
from mriad.prediction.inputs import ScanFile, find_scans


def touch(root, *names):
    for name in names:
        (root / name).parent.mkdir(parents=True, exist_ok=True)
        (root / name).touch()


def names(root, wanted):
    return [os.path.relpath(scan.path, root) for scan in find_scans(wanted)]


def test_a_manifest_names_scans_and_their_spacings_in_its_order(tmp_path):
    touch(tmp_path, "b.png", "p/a.png", "c.png")
    (tmp_path / "scans.CSV").write_text("path,spacing\nb.png,0.5\np/a.png,0.5 x 0.6\nc.png,\n")
    assert find_scans(str(tmp_path / "scans.CSV")) == [
        ScanFile(path=tmp_path / "b.png", spacing=(0.5, 0.5)),
        ScanFile(path=tmp_path / "p" / "a.png", spacing=(0.5, 0.6)),
        ScanFile(path=tmp_path / "c.png", spacing=None),
    ]


@pytest.mark.parametrize(
    ("text", "told"),
    [
        ("path,score,threshold\na.png,1,2\n", "unknown column 'score'"),
        ("file\na.png\n", "has no columns, or nothing that divides them"),
        ("label\n0\n", "no column 'path'; it needs path,"),
        ("path,spacing\na.png,-1\n", "Line 2 of .* has the spacing '-1'"),
        ("path\nb.png\n", "Line 2 of .* does not exist"),
        ("path\n", "lists no scans"),
    ],
)
def test_a_csv_file_that_is_no_manifest_is_told(tmp_path, text, told):
    touch(tmp_path, "a.png")
    (tmp_path / "scans.csv").write_text(text)
    with pytest.raises(MriadError, match=told):
        find_scans(str(tmp_path / "scans.csv"))


def test_a_manifest_may_hold_what_training_needs_besides(tmp_path):
    touch(tmp_path, "a.png")
    (tmp_path / "scans.csv").write_text("path,label,patient,spacing\na.png,,p1,2\n")
    assert find_scans(str(tmp_path / "scans.csv")) == [
        ScanFile(path=tmp_path / "a.png", spacing=(2.0, 2.0), patient="p1")
    ]


def test_a_scan_is_scored_once_however_it_is_named_and_keeps_its_spacing(tmp_path, monkeypatch):
    touch(tmp_path, "a.png", "p/b.png")
    (tmp_path / "scans.csv").write_text("path,spacing\na.png,2\n")
    monkeypatch.chdir(tmp_path)
    found = find_scans(["a.png", "p/../a.png", str(tmp_path / "a.png"), "scans.csv", "."])
    assert found == [ScanFile(path=Path("a.png"), spacing=(2.0, 2.0)), ScanFile(path=Path("p/b.png"))]


def test_two_spacings_of_a_scan_are_an_error(tmp_path):
    touch(tmp_path, "a.png")
    for name, spacing in (("1.csv", "1"), ("2.csv", "2")):
        (tmp_path / name).write_text(f"path,spacing\na.png,{spacing}\n")
    with pytest.raises(MriadError, match="two spacings"):
        find_scans([str(tmp_path / "1.csv"), str(tmp_path / "2.csv")])


@pytest.mark.parametrize("wanted", ["{}", "{}/**/*.png", "{}/*/../**/*"])
def test_masks_among_scans_are_left_out_and_counted(tmp_path, caplog, wanted):
    touch(tmp_path, "a.png", "a_mask.png", "a_MASK.png", "Masks/t/a.png", "p/masks/b.png", "p/b.png")
    root = tmp_path.resolve()
    found = find_scans(wanted.format(root))
    assert sorted(os.path.relpath(scan.path, root) for scan in found) == ["a.png", "p/b.png"]
    assert "4 masks, such as" in caplog.text


@pytest.mark.parametrize("wanted", ["{}/masks", "{}/masks/*.png", "{}/scans", "{}/scans/*"])
def test_an_input_of_masks_alone_is_refused(tmp_path, wanted):
    touch(tmp_path, "masks/a.png", "masks/b.png", "scans/a_mask.png")
    with pytest.raises(MriadError, match="is a mask by its name"):
        find_scans(wanted.format(tmp_path))


def test_a_file_that_is_named_is_taken_whatever_its_name(tmp_path):
    touch(tmp_path, "masks/a_mask.png")
    assert names(tmp_path, str(tmp_path / "masks" / "a_mask.png")) == ["masks/a_mask.png"]


def test_maps_of_an_earlier_prediction_are_left_out_and_counted_and_nothing_else(tmp_path, caplog):
    touch(tmp_path, "out/predictions.csv", "out/maps/p/a.png.map.tiff", "out/maps/p/a.png.overlay.png")
    touch(tmp_path, "killed/predictions.csv.part", "killed/maps/b.map.tiff")
    touch(tmp_path, "out/scan.png", "out/maps/scan.png", "maps/x.map.tiff", "y.overlay.png")
    kept = ["maps/x.map.tiff", "out/maps/scan.png", "out/scan.png", "y.overlay.png"]
    assert names(tmp_path, str(tmp_path)) == kept
    assert "3 maps of an earlier prediction" in caplog.text
    with pytest.raises(MriadError, match="is a map of a prediction"):
        find_scans(str(tmp_path / "killed"))
