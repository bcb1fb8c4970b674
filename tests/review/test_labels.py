from dataclasses import replace

import numpy as np
import pytest
from PIL import Image

from mriad.data.layouts.manifest import read_manifest
from mriad.data.reading.volume_masks import read_volume_mask
from mriad.errors import MriadError
from mriad.review.folder import read_list, read_scan_of
from mriad.review.labels import uncertainty, write_labels
from mriad.review.marks import Mark

from .conftest import LEVEL, flat, nested, picture, scored, write_page


@pytest.fixture
def desk(tmp_path, monkeypatch):
    """Scans in the working directory, and a page of them."""
    monkeypatch.chdir(tmp_path)
    for name in ("p1.nii.gz", "b.png", "far.png", "near.nii.gz"):
        (tmp_path / name).touch()
    volume = nested()
    scans = [
        ("p1.nii.gz", *volume, scored(0.9), {}),
        ("b.png", *picture(), scored(0.5), {}),
        ("far.png", *picture(), scored(0.01), {}),
        ("near.nii.gz", *flat(volume[0].grid), scored(0.39), {}),
    ]
    return write_page(tmp_path / "out", scans)


def mark(desk, path, value, *, reader="anna", lesion=None, **more):
    number, scan = next((at, one) for at, one in enumerate(read_list(desk)["scans"]) if one["path"] == path)
    told = {name: scan[name] for name in ("path", "score", "decision")}
    told |= {"lesions": scan["listed"], "reader": reader, "mark": value}
    if lesion is not None:
        told |= {"lesion": lesion} | dict(
            zip("xyz", read_scan_of(desk, number)["lesions"][lesion - 1]["at"], strict=True)
        )
    return Mark.of(told | {"time": f"t{len(path)}"} | more)


def complete(desk, path, *values, **more):
    return [mark(desk, path, value, lesion=which, **more) for which, value in enumerate(values, start=1)]


def labels(desk, *marks, **more):
    found = write_labels(desk, marks, desk.parent.parent / "labels", **more)
    return found, read_manifest(desk.parent.parent / "labels" / "manifest.csv").table.set_index("path")


def name(table):
    return [path.rpartition("/")[2] for path in table.index]


def test_the_mask_of_a_volume_holds_the_true_lesions_on_its_own_grid(desk):
    found, table = labels(desk, mark(desk, "p1.nii.gz", "agree"), *complete(desk, "p1.nii.gz", "true", "false"))
    (row,) = table.itertuples()
    assert (row.label, row.pool, found.without_mask) == (1, "labelled", 0)
    mask, grid = read_volume_mask(desk.parent / row.mask)
    scan, anomaly_map = nested()
    expected = anomaly_map > LEVEL
    expected[0, 0, 9] = False  # the false one
    assert grid.agrees(scan.grid, within=0.01)
    assert np.array_equal(mask, expected)


def test_the_mask_of_a_picture_holds_the_true_lesions(desk):
    _, table = labels(desk, mark(desk, "b.png", "agree"), *complete(desk, "b.png", "false", "true"))
    mask = np.asarray(Image.open(table["mask"].iat[0]))
    assert mask.shape == (30, 40) and np.argwhere(mask).tolist() == [[20, 3]]


@pytest.mark.parametrize(
    ("values", "more"),
    [
        (("true",), []),  # one is not marked
        (("false", "false"), []),  # and yet it is anomalous
        (("true", "false"), ["missed"]),
    ],
)
def test_half_a_mask_is_none(desk, values, more):
    marks = [mark(desk, "p1.nii.gz", "agree"), *complete(desk, "p1.nii.gz", *values)]
    marks += [mark(desk, "p1.nii.gz", one, x=0, y=0, z=0) for one in more]
    found, table = labels(desk, *marks)
    assert (table["label"].iat[0], table["mask"].iat[0], table["pool"].iat[0], found.without_mask) == (1, "", "", 1)


def test_readers_who_differ_give_no_label_and_are_counted(desk):
    marks = [mark(desk, "b.png", "agree"), mark(desk, "b.png", "false", reader="béla"), mark(desk, "far.png", "agree")]
    marks.append(mark(desk, "p1.nii.gz", "unsure"))
    found, table = labels(desk, *marks)
    assert (name(table), found.disputed, found.unsure) == (["far.png"], 1, 1)


def test_readers_who_differ_on_a_lesion_give_no_mask(desk):
    marks = [mark(desk, "p1.nii.gz", "agree", reader=reader) for reader in ("anna", "béla")]
    marks += complete(desk, "p1.nii.gz", "true", "false") + complete(desk, "p1.nii.gz", "true", "true", reader="béla")
    assert labels(desk, *marks)[0].without_mask == 1


def test_the_least_sure_come_first(desk):
    marks = [mark(desk, path, "agree") for path in ("far.png", "p1.nii.gz", "near.nii.gz", "b.png")]
    found, _ = labels(desk, *marks)
    ordered = [str(row["path"]).rpartition("/")[2] for row in found.rows]
    assert set(ordered[:2]) == {"b.png", "near.nii.gz"} and len(ordered) == 4
    found, _ = labels(desk, *marks, first=1, order="score")
    assert [str(row["path"]).rpartition("/")[2] for row in found.rows] == ["p1.nii.gz"]


def test_a_score_of_zero_is_a_score(desk, tmp_path):
    scans = [("b.png", *picture(), scored(-0.1), {}), ("far.png", *picture(), scored(0.0), {})]
    page = write_page(tmp_path / "signed", scans)
    found, _ = labels(page, *(mark(page, path, "miss") for path in ("b.png", "far.png")), order="score")
    assert [str(row["path"]).rpartition("/")[2] for row in found.rows] == ["far.png", "b.png"]


def test_uncertainty_counts_ranks_from_the_threshold():
    assert uncertainty([0.1, 0.5, None, 0.3, 9.0], 0.4) == [1.5, 0.5, np.inf, 0.5, 1.5]


def test_scans_of_another_manifest_follow_and_are_not_listed_twice(desk):
    others = [{"path": str(desk.parent.parent / other), "label": "0"} for other in ("far.png", "near.nii.gz")]
    found, table = labels(desk, mark(desk, "far.png", "miss"), others=others)
    assert len(found.rows) == 1
    assert dict(zip(name(table), table["label"], strict=True)) == {"far.png": 1, "near.nii.gz": 0}


def test_marks_that_give_no_label_are_told(desk):
    with pytest.raises(MriadError, match="1 are unsure"):
        labels(desk, mark(desk, "b.png", "unsure"))


def test_a_lesion_that_the_page_does_not_list_leaves_a_scan_without_mask(desk):
    """As in a file of marks that a hand has written."""
    marks = [mark(desk, "p1.nii.gz", "agree"), *complete(desk, "p1.nii.gz", "true", "true")]
    marks.append(replace(marks[-1], lesion=7))
    found, table = labels(desk, *marks)
    assert (table["mask"].iat[0], found.without_mask) == ("", 1)
