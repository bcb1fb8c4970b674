from pathlib import Path

import numpy as np
import pytest

from mriad.errors import MriadError
from mriad.prediction.inputs import find_scans
from mriad.prediction.scan_files import ScanFile
from mriad.review.folder import FILES, LISTED, read_list, read_scan_of, review_folder

from .conftest import flat, nested, picture, scored, write_page


def test_the_page_needs_nothing_but_its_folder(page):
    files = {str(file.relative_to(page)) for file in page.rglob("*") if file.is_file()}
    data = {f"{kind}/{number}.{end}" for kind, end in (("scans", "js"), ("thumbs", "webp")) for number in range(3)}
    assert files == {*FILES, "list.js", *data}


def test_the_list_says_what_was_found(page):
    told = read_list(page)
    first, second, third, broken = told["scans"]
    assert (first["path"], first["lesions"], first["unit"], first["decision"], first["score"]) == (
        "p1_T1.nii.gz",
        2,
        "ml",
        1,
        0.9,
    )
    assert (second["lesions"], second["decision"]) == (0, 0)
    assert (third["lesions"], third["size"], third["unit"]) == (2, 41, "px")
    assert (broken["shown"], broken["error"], broken["score"]) == (False, "it is broken", None)
    assert told["healthy"] == [[0.9, 0.0], [0.8, 0.5], [0.4, 2.0], [0.2, 6.0]]
    assert (told["level"], told["lesion_level"], told["levels"]) == (0.5, 0.8, [0.2, 1.5])


def test_the_lesions_of_a_scan_are_those_of_the_table(page):
    lesions = read_scan_of(page, 0)["lesions"]
    scan, anomaly_map = nested()
    voxel = scan.grid.voxel_volume / 1000
    assert [lesion["size"] for lesion in lesions] == pytest.approx(
        [((anomaly_map > 0.5).sum() - 1) * voxel, voxel], rel=1e-3
    )
    assert lesions[0]["peak_at"] == pytest.approx(scan.grid.to_world((7, 5, 4)), abs=1e-3)
    assert lesions[1]["at"] == pytest.approx(scan.grid.to_world((0, 0, 9)), abs=0.01)


def test_scans_of_a_session_are_known_by_their_names_or_by_what_a_list_says(tmp_path):
    volume = nested()
    names = ["a/p1_T1.nii", "a/p1_FLAIR.nii", "a/p2_T1.nii", "b/p1_T1.nii", "c/x.nii", "c/y.nii", "c/z.nii"]
    known = [{}] * 4 + [{"contrast": "T1", "patient": "7"}, {"contrast": "FLAIR", "patient": "7"}, {}]
    scans = [(name, *volume, scored(0.5), more) for name, more in zip(names, known, strict=True)]
    told = read_list(write_page(tmp_path, scans))["scans"]
    assert [scan["examination"] for scan in told] == [0, 0, 1, 2, 3, 3, 4]
    assert [scan["patient"] for scan in told] == [0, 0, 2, 3, 4, 4, 6]  # the first scan of each


def test_the_id_of_a_patient_is_not_on_the_page(tmp_path):
    page = write_page(tmp_path, [("a.png", *picture(), scored(0.5, patient="Doe^Jane"), {"patient": "Doe^Jane"})])
    assert not any(b"Doe^Jane" in file.read_bytes() for file in page.rglob("*") if file.is_file())


def test_a_map_of_another_shape_is_told_and_the_others_are_shown(tmp_path):
    scan, anomaly_map = nested()
    page = write_page(
        tmp_path, [("a.nii", scan, anomaly_map[:-1], scored(0.5), {}), ("b.nii", scan, anomaly_map, scored(0.5), {})]
    )
    first, second = read_list(page)["scans"]
    assert "its map has the shape (13, 12, 10), and the scan (14, 12, 10)" in first["error"] and not first["shown"]
    assert second["shown"]


def test_of_very_many_lesions_the_largest_are_listed(tmp_path):
    scan, anomaly_map = flat(nested()[0].grid)
    anomaly_map = np.zeros((41, 41, 4), dtype=np.float32)
    anomaly_map[::2, ::2, 0] = 1
    anomaly_map[0, 0, 1] = 1
    scan = type(scan)(
        levels=np.arange(anomaly_map.size, dtype=np.int16).reshape(anomaly_map.shape),
        grid=type(scan.grid)(shape=anomaly_map.shape, affine=np.eye(4)),
    )
    page = write_page(tmp_path, [("a.nii", scan, anomaly_map, scored(0.5), {})])
    (told,) = read_list(page)["scans"]
    assert (told["lesions"], told["listed"]) == (441, LISTED)
    assert [lesion["size"] for lesion in read_scan_of(page, 0)["lesions"]][:2] == [0.002, 0.001]


def test_marks_outlive_another_prediction_and_its_scans_do_not(page):
    (page / "marks.csv").write_text("kept")
    write_page(page.parent, [("a.png", *picture(), scored(0.5), {})])
    assert (page / "marks.csv").read_text() == "kept"
    assert [file.name for file in (page / "scans").iterdir()] == ["0.js"]


def test_the_folder_of_a_prediction_or_of_its_page_is_meant(page, tmp_path):
    assert review_folder(page.parent) == review_folder(page) == page
    for folder, said in ((tmp_path / "none", "There is no folder"), (page / "scans", "There is no page in")):
        with pytest.raises(MriadError, match=said):
            review_folder(folder)


@pytest.mark.parametrize("text", ["", "mriad.list({);", "mriad.list(1"])
def test_a_damaged_list_is_told(page, text):
    (page / "list.js").write_text(text)
    with pytest.raises(MriadError, match="no part of a page"):
        read_list(page)


def test_thumbnails_are_no_scans_of_a_later_prediction(page, monkeypatch):
    monkeypatch.chdir(page.parent)
    Path("thumbs").mkdir()
    for name in ("own.png", "thumbs/own.webp"):
        Path(name).write_bytes(b"")
    assert find_scans(".") == [ScanFile(path=Path("own.png")), ScanFile(path=Path("thumbs/own.webp"))]
