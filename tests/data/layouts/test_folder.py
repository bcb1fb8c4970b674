import logging

import pytest

from mriad.data.layouts import folder
from mriad.errors import MriadError


@pytest.fixture
def scans(tmp_path, write_image):
    for name in ("healthy/p1/a.png", "healthy/b.JPG", "glioma/c.jpeg", "stroke/p2/d.tif", "stroke/e.bmp"):
        write_image(tmp_path / name)
    return tmp_path


def column(catalog, name: str) -> dict[str, object]:
    return dict(zip(catalog.table["path"], catalog.table[name], strict=True))


def test_each_folder_beside_the_healthy_one_is_a_class_of_anomaly(scans):
    catalog = folder(root=scans)
    assert column(catalog, "class") == {
        "glioma/c.jpeg": "glioma",
        "healthy/b.JPG": "healthy",
        "healthy/p1/a.png": "healthy",
        "stroke/e.bmp": "stroke",
        "stroke/p2/d.tif": "stroke",
    }
    assert list(catalog.table["label"]) == [1, 0, 0, 1, 1]
    assert all(file.is_file() for file in catalog.files())


def test_named_anomalies_leave_the_other_folders_out(scans):
    assert set(folder(root=scans, anomalies=["stroke"]).table["class"]) == {"healthy", "stroke"}


def test_no_anomalies_may_be_asked_for(scans):
    assert set(folder(root=scans, anomalies=[]).table["class"]) == {"healthy"}


def test_one_name_is_one_folder(scans):
    assert set(folder(root=scans, anomalies="glioma").table["class"]) == {"healthy", "glioma"}


def test_a_named_anomaly_that_is_not_there_is_an_error_with_those_that_are(scans):
    with pytest.raises(MriadError, match=r"no anomaly folder tumor in /.*; there are: glioma, stroke"):
        folder(root=scans, anomalies=["tumor"])


def test_the_healthy_folder_may_have_another_name_and_letter_case(scans):
    (scans / "healthy").rename(scans / "Controls")
    table = folder(root=scans, healthy="controls").table
    assert list(table.loc[table["label"] == 0, "path"]) == ["Controls/b.JPG", "Controls/p1/a.png"]
    assert set(table.loc[table["label"] == 0, "class"]) == {"healthy"}


def test_without_a_healthy_folder_all_is_anomalous_and_a_warning_says_so(scans, caplog):
    with caplog.at_level(logging.WARNING):
        table = folder(root=scans, healthy="normal", anomalies=["glioma", "stroke"]).table
    assert set(table["label"]) == {1}
    assert "There is no folder normal" in caplog.text


@pytest.mark.parametrize(
    "mask", ["masks/stroke/p2/d.png", "Masks/stroke/p2/d_mask.TIF", "stroke/p2/d_mask.png"], ids=str
)
def test_a_mask_is_found_in_each_of_its_places(scans, write_image, mask):
    write_image(scans / mask)
    masks = column(folder(root=scans), "mask")
    assert masks.pop("stroke/p2/d.tif") == mask
    assert set(masks.values()) == {""}


TWINS = ("stroke/e.bmp", "stroke/e.png")  # scans that are told apart by their endings alone


@pytest.mark.parametrize(
    "masks",
    [
        ("masks/stroke/e.bmp", "masks/stroke/e.png"),
        ("masks/stroke/e_mask.bmp", "masks/stroke/e_mask.png"),
        ("masks/stroke/e.bmp.png", "masks/stroke/e.png.png"),
        ("masks/Stroke/E.BMP_mask.tif", "stroke/e.png_MASK.tif"),
        ("masks/stroke/e.bmp_mask.png", "masks/stroke/e.png"),
    ],
    ids=str,
)
def test_scans_of_one_stem_get_each_its_own_mask(scans, write_image, masks, caplog):
    for name in ("stroke/e.png", *masks):
        write_image(scans / name)
    found = column(folder(root=scans), "mask")
    assert tuple(found[scan] for scan in TWINS) == masks
    assert caplog.text == ""


@pytest.mark.parametrize("mask", ["masks/stroke/e.tif", "masks/stroke/e_mask.tif", "stroke/e_mask.jpg"])
def test_a_mask_of_two_scans_is_an_error_that_shows_both(scans, write_image, mask):
    for name in ("stroke/e.png", mask):
        write_image(scans / name)
    with pytest.raises(MriadError, match=rf"The mask {mask} may belong to stroke/e\.bmp or to stroke/e\.png: .*name"):
        folder(root=scans)


@pytest.mark.parametrize(
    "masks",
    [
        ("masks/stroke/e.png", "masks/stroke/e.tif"),
        ("masks/stroke/e.png", "masks/stroke/e_mask.png"),
        ("masks/stroke/e.bmp", "masks/stroke/e.bmp.png"),
        ("masks/stroke/e_mask.png", "stroke/e_mask.png"),
    ],
    ids=str,
)
def test_two_masks_of_one_scan_are_an_error_that_shows_both(scans, write_image, masks):
    for name in masks:
        write_image(scans / name)
    with pytest.raises(MriadError, match=rf"stroke/e\.bmp has two masks, {masks[0]} and {masks[1]}: keep one"):
        folder(root=scans)


def test_letter_case_tells_scans_apart_where_it_differs(scans, write_image):
    for name in ("stroke/E.bmp", "masks/stroke/e.png", "masks/stroke/E.png"):
        write_image(scans / name)
    found = column(folder(root=scans), "mask")
    assert (found["stroke/E.bmp"], found["stroke/e.bmp"]) == ("masks/stroke/E.png", "masks/stroke/e.png")


def test_the_masks_folder_may_have_another_name(scans, write_image):
    write_image(scans / "lesions/stroke/e.png")
    catalog = folder(root=scans, masks="lesions")
    assert column(catalog, "mask")["stroke/e.bmp"] == "lesions/stroke/e.png"
    assert len(catalog) == 5


def test_the_mask_of_a_healthy_scan_is_read_too(scans, write_image, caplog):
    write_image(scans / "masks/healthy/b.png")
    write_image(scans / "healthy/p1/a_mask.png")
    masks = column(folder(root=scans), "mask")
    assert (masks["healthy/b.JPG"], masks["healthy/p1/a.png"]) == ("masks/healthy/b.png", "healthy/p1/a_mask.png")
    assert len(masks) == 5
    assert caplog.text == ""


def test_masks_that_belong_to_no_scan_are_counted(scans, write_image, caplog):
    for name in ("masks/stroke/z.png", "masks/stroke/e.png", "masks/f.png", "glioma/c2_mask.png"):
        write_image(scans / name)
    with caplog.at_level(logging.WARNING):
        folder(root=scans)
    assert "3 of 4 masks in" in caplog.text and "for example glioma/c2_mask.png" in caplog.text


def test_masks_of_folders_that_are_left_out_are_not_missed(scans, write_image, caplog):
    for name in ("masks/stroke/e.png", "stroke/p2/d_mask.png"):
        write_image(scans / name)
    folder(root=scans, anomalies=["glioma"])
    assert caplog.text == ""


@pytest.mark.parametrize(
    ("root", "message"),
    [
        (None, r"data\.root is not set: point it at a folder that holds healthy/"),
        ("missing", r"There is no folder /.*/missing: point data\.root at your scans"),
        ("empty", r"No scans found in /.*/empty: expected images in healthy/"),
    ],
)
def test_a_root_without_scans_is_an_error(tmp_path, root, message):
    (tmp_path / "empty").mkdir()
    with pytest.raises(MriadError, match=message):
        folder(root=root and tmp_path / root)


def test_images_that_lie_in_no_class_folder_are_no_scans(tmp_path, write_image):
    write_image(tmp_path / "a.png")
    with pytest.raises(MriadError, match="expected images in healthy/ and in a folder for each anomaly"):
        folder(root=tmp_path)


def test_a_manifest_takes_the_place_of_the_folders(scans):
    (scans / "scans.csv").write_text("path,label\nglioma/c.jpeg,0\n")
    catalog = folder(root=scans, manifest="scans.csv")
    assert column(catalog, "label") == {"glioma/c.jpeg": 0}


def test_download_fetches_nothing(scans, tmp_path):
    assert len(folder(root=scans, download=True)) == 5
    with pytest.raises(MriadError, match="There is no folder"):
        folder(root=tmp_path / "missing", download=True)
