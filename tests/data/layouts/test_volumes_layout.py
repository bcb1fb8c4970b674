import logging
from pathlib import Path

import pytest

from mriad.data.layouts import volumes
from mriad.errors import MriadError

STUDY = (
    "healthy/p1.nii.gz",
    "healthy/deep/er/p2.mgz",
    "stroke/p3.nrrd",
    "stroke/p4/p4.img",
    "stroke/p4/p4.hdr",
    "masks/stroke/p3.nii.gz",
    "masks/stroke/p4/p4_mask.nii.gz",
    "brain_masks/healthy/p1.nii.gz",
    "stroke/notes.txt",
)


def write_series(folder):
    """Two files with DICOM's mark under names that say nothing."""
    folder.mkdir(parents=True)
    for number in range(2):
        (folder / f"IM{number}").write_bytes(bytes(128) + b"DICM")


def column(catalog, name):
    return dict(zip(catalog.table["path"], catalog.table[name], strict=True))


def test_files_of_all_kinds_are_scans_with_their_masks(lay):
    catalog = volumes(root=lay(*STUDY))
    assert column(catalog, "class") == {
        "healthy/p1.nii.gz": "healthy",
        "healthy/deep/er/p2.mgz": "healthy",
        "stroke/p3.nrrd": "stroke",
        "stroke/p4/p4.img": "stroke",
    }
    assert column(catalog, "mask")["stroke/p3.nrrd"] == "masks/stroke/p3.nii.gz"
    assert column(catalog, "mask")["stroke/p4/p4.img"] == "masks/stroke/p4/p4_mask.nii.gz"
    assert column(catalog, "brain_mask")["healthy/p1.nii.gz"] == "brain_masks/healthy/p1.nii.gz"
    assert set(catalog.table["patient"]) == {""}


def test_a_folder_of_dicom_files_is_one_scan(lay):
    root = lay("healthy/a.nii.gz", "masks/stroke/p1/t1 mprage.nii.gz")
    series = root / "stroke" / "p1" / "t1 mprage"
    write_series(series)
    catalog = volumes(root=root, series="3")
    assert column(catalog, "mask") == {
        "healthy/a.nii.gz": "",
        "stroke/p1/t1 mprage": "masks/stroke/p1/t1 mprage.nii.gz",
    }
    assert column(catalog, "series") == {"healthy/a.nii.gz": "", "stroke/p1/t1 mprage": "3"}


def test_two_series_are_two_scans_and_a_class_folder_may_be_one(lay):
    root = lay("healthy/a.nii.gz")
    for folder in ("stroke/p1/s1", "stroke/p1/s2", "tumour"):
        write_series(root / folder)
    found = column(volumes(root=root), "class")
    assert found == {
        "healthy/a.nii.gz": "healthy",
        "stroke/p1/s1": "stroke",
        "stroke/p1/s2": "stroke",
        "tumour": "tumour",
    }


def test_all_may_be_healthy(lay):
    root = lay("t1/a.nii.gz", "seg/a.nii.gz")
    assert column(volumes(root=root, healthy="t1", anomalies=[]), "label") == {"t1/a.nii.gz": 0}


@pytest.mark.parametrize(
    "names", [("healthy/p1_T1.nii", "healthy/p1_FLAIR.nii"), ("healthy/p1/t1.nii", "healthy/p1/flair.nii")]
)
def test_contrasts_of_one_patient_are_asked_for(lay, names):
    root = lay(*names, "stroke/p2_FLAIR.nii")
    with pytest.raises(MriadError, match=r"several contrasts, in all FLAIR \(2\), T1 \(1\)"):
        volumes(root=root)
    assert set(volumes(root=root, contrast="flair").table["contrast"]) == {"FLAIR"}
    both = volumes(root=root, contrast=["T1", "FLAIR"]).table
    assert list(both["patient"]) == ["healthy/p1", "healthy/p1", ""]


def test_patients_are_found_by_an_expression(lay):
    root = lay("healthy/IXI013-HH_T1.nii.gz", "healthy/IXI014-HH_T1.nii.gz")
    assert list(volumes(root=root, patient="IXI[0-9]+").table["patient"]) == ["IXI013", "IXI014"]
    assert list(volumes(root=root, patient="IXI([0-9]+)").table["patient"]) == ["013", "014"]
    with pytest.raises(MriadError, match=r"data\.layout\.patient=sub finds no patient in healthy/IXI013"):
        volumes(root=root, patient="sub")
    with pytest.raises(MriadError, match=r"data\.layout\.patient=\( is no regular expression"):
        volumes(root=root, patient="(")


def test_a_manifest_names_sessions_brain_masks_and_series(lay):
    root = lay("a.nii.gz", "b.nii.gz", "m.nii.gz", "brain.nii.gz")
    write_series(root / "c")
    (root / "scans.csv").write_text(
        "path,label,mask,brain_mask,patient,session,contrast,series\n"
        "a.nii.gz,1,m.nii.gz,brain.nii.gz,p1,1,T1,\nb.nii.gz,1,m.nii.gz,brain.nii.gz,p1,1,FLAIR,\nc,0,,,p2,,T1,3\n"
    )
    table = volumes(root=root, manifest="scans.csv", contrast="T1w").table
    assert table[["path", "mask", "brain_mask", "session", "series"]].values.tolist() == [
        ["a.nii.gz", "m.nii.gz", "brain.nii.gz", "1", ""],
        ["c", "", "", "", "3"],
    ]
    with pytest.raises(MriadError, match=r"several contrasts, in all FLAIR \(1\), T1 \(2\)"):
        volumes(root=root, manifest="scans.csv")


def test_masks_that_belong_to_no_scan_are_counted(lay, caplog):
    with caplog.at_level(logging.WARNING):
        volumes(root=lay("healthy/a.nii.gz", "brain_masks/healthy/b.nii.gz", "masks/stroke/c.nii.gz"))
    assert "2 of 2 masks in" in caplog.text


@pytest.mark.parametrize(
    ("root", "message"),
    [
        (None, r"data\.root is not set"),
        ("nowhere", r"There is no folder"),
        ("file.nii", r"is a file: point data\.root"),
    ],
)
def test_a_wrong_root_is_told(lay, root, message):
    start = lay("file.nii")
    with pytest.raises(MriadError, match=message):
        volumes(root=root and start / root)


def test_published_healthy_scans_are_read(data_root):
    root = data_root / "volumes" / "ixi_hh_t1_2mm"
    if not root.is_dir():
        pytest.skip(f"{root} is not there")
    table = volumes(root=Path(root), healthy="t1", anomalies=[], patient="IXI[0-9]+").table
    assert (len(table), table["patient"].nunique(), set(table["contrast"])) == (50, 50, {"T1"})
