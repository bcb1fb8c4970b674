import os
from pathlib import Path

import pytest
from pydicom.dataset import FileDataset, FileMetaDataset
from pydicom.uid import ExplicitVRLittleEndian, MRImageStorage
from whole_heads import save

from mriad.errors import MriadError
from mriad.prediction.inputs import Wanted, find_scans
from mriad.prediction.scan_files import ScanFile

VOLUMES = Wanted(volumes=True)


def touch(root, *names):
    for name in names:
        (root / name).parent.mkdir(parents=True, exist_ok=True)
        (root / name).touch()


def found(root, named=None, **wanted):
    scans = find_scans(str(named or root), Wanted(volumes=True, **wanted))
    return [os.path.relpath(scan.path, root) for scan in scans]


def slice_of(file, *, series, study="1.2.3", number="3"):
    """The header of a DICOM image."""
    meta = FileMetaDataset()
    meta.MediaStorageSOPClassUID, meta.TransferSyntaxUID = MRImageStorage, ExplicitVRLittleEndian
    meta.MediaStorageSOPInstanceUID = f"{series}.{int.from_bytes(file.name.encode())}"
    dataset = FileDataset(str(file), {}, file_meta=meta, preamble=bytes(128))
    dataset.SOPClassUID, dataset.SOPInstanceUID = MRImageStorage, meta.MediaStorageSOPInstanceUID
    dataset.StudyInstanceUID, dataset.SeriesInstanceUID, dataset.SeriesNumber = study, series, number
    dataset.Modality, dataset.Rows, dataset.Columns = "MR", 4, 4
    file.parent.mkdir(parents=True, exist_ok=True)
    dataset.save_as(file, enforce_file_format=True)


def test_a_folder_of_volumes_of_all_formats(tmp_path):
    touch(tmp_path, "p1/a.nii.gz", "p1/b.NII", "c.mha", "d.nrrd", "e.mgz", "f.hdr", "f.img", "preview.png", "notes.txt")
    assert found(tmp_path) == ["c.mha", "d.nrrd", "e.mgz", "f.img", "p1/a.nii.gz", "p1/b.NII"]


def test_masks_and_maps_of_volumes_are_left_out_and_counted(tmp_path, caplog):
    touch(tmp_path, "a.nii.gz", "a_mask.nii.gz", "masks/a.nii.gz", "brain_masks/a.nii.gz")
    touch(tmp_path, "out/predictions.csv", "out/maps/a_map.nii.gz", "out/maps/a_mask.nii.gz", "other/maps/a_map.nii.gz")
    assert found(tmp_path) == ["a.nii.gz", "other/maps/a_map.nii.gz"]
    assert "3 masks, such as" in caplog.text and "2 maps of an earlier prediction" in caplog.text
    with pytest.raises(MriadError, match=r"Each of the 1 volumes of .* is a mask by its name"):
        found(tmp_path, tmp_path / "masks")


def test_segmentations_are_no_scans(tmp_path, caplog):
    touch(tmp_path, "case_flair.nii.gz", "case_seg.nii.gz", "W39_Segm.nii.gz", "sub_dseg.nii.gz", "Segovia.nii.gz")
    touch(tmp_path, "dlmuse_seg/a.nii.gz", "seg/b.nii.gz", "masked/c.nii.gz")
    assert found(tmp_path) == ["Segovia.nii.gz", "case_flair.nii.gz", "masked/c.nii.gz"]
    assert "5 masks, such as" in caplog.text


def test_of_a_folder_or_a_glob_without_volumes_the_pictures_are_taken(tmp_path):
    touch(tmp_path, "p1/a.png", "p1/b.jpg", "p2/a.nii.gz", "p2/c.png", "notes.txt", "empty/notes.txt")
    assert found(tmp_path, tmp_path / "p1") == ["p1/a.png", "p1/b.jpg"]
    assert found(tmp_path, tmp_path / "p1" / "*.png") == ["p1/a.png"]
    assert found(tmp_path) == ["p2/a.nii.gz"]
    with pytest.raises(MriadError, match="There is neither volume nor picture in"):
        found(tmp_path, tmp_path / "empty")


def test_brain_masks_belong_to_scans_of_their_name(tmp_path):
    touch(tmp_path, "p1/a.nii.gz", "p1/b.nii.gz", "brain_masks/p1/a_mask.nii.gz")
    scans = find_scans(str(tmp_path), Wanted(volumes=True, brains=True))
    assert [scan.brain_mask for scan in scans] == [tmp_path / "brain_masks/p1/a_mask.nii.gz", None]


def test_a_bids_data_set_gives_its_anatomical_scans(tmp_path):
    touch(tmp_path, "dataset_description.json", "participants.tsv", "sub-1/anat/sub-1_T1w.nii.gz")
    touch(tmp_path, "sub-1/func/sub-1_task-rest_bold.nii.gz", "sub-2/ses-a/anat/sub-2_ses-a_T1w.nii.gz")
    touch(tmp_path, "derivatives/bet/sub-1/anat/sub-1_desc-brain_mask.nii.gz")
    touch(tmp_path, "derivatives/mriad/sub-1/anat/sub-1_space-T1w_label-L_desc-mriad_mask.nii.gz")
    first, second = find_scans(str(tmp_path), Wanted(volumes=True, brains=True))
    assert first == ScanFile(
        path=tmp_path / "sub-1/anat/sub-1_T1w.nii.gz",
        brain_mask=tmp_path / "derivatives/bet/sub-1/anat/sub-1_desc-brain_mask.nii.gz",
        patient="sub-1",
        contrast="T1",
        bids=tmp_path,
    )
    assert (second.patient, second.contrast, second.brain_mask) == ("sub-2", "T1", None)
    (alone,) = find_scans(str(tmp_path / "sub-1"), VOLUMES)
    assert alone.bids == tmp_path


@pytest.mark.parametrize(
    "names", [("sub-1/anat/sub-1_T1w.nii", "sub-1/anat/sub-1_FLAIR.nii"), ("a_T1.nii", "a_FLAIR.nii")]
)
def test_several_contrasts_of_a_session_are_listed_and_one_is_chosen(tmp_path, names):
    touch(tmp_path, *names)
    with pytest.raises(
        MriadError, match=r"several contrasts, in all FLAIR \(1\), T1 \(1\): choose one, as in contrast="
    ):
        found(tmp_path)
    assert found(tmp_path, contrast="flair") == [names[1]]
    with pytest.raises(
        MriadError, match=r"no scan .*|No scan .* the contrast ADC; .* choose one of these with contrast"
    ):
        found(tmp_path, contrast="ADC")


def test_a_study_is_one_scan_and_the_folders_of_several_are_apart(tmp_path):
    for name in ("p1/a/001", "p1/b/001", "p2/IM0", "p3/x/001"):
        slice_of(tmp_path / name, series=f"1.2.{name[1]}.{len(name)}", study=f"1.2.{name[1]}")
    assert found(tmp_path) == ["p1", "p2", "p3/x"]
    assert found(tmp_path / "p1") == ["."]
    (scan,) = find_scans(str(tmp_path / "p1"), Wanted(volumes=True, series="t1"))
    assert scan.series == "t1"


def test_a_slice_stands_for_its_series(tmp_path):
    for name in ("1.dcm", "2.dcm"):
        slice_of(tmp_path / "s" / name, series="1.2.9")
    slice_of(tmp_path / "alone" / "1.dcm", series="1.2.8")
    assert find_scans(str(tmp_path / "s" / "2.dcm"), VOLUMES) == [ScanFile(path=tmp_path / "s", series="1.2.9")]
    assert find_scans(str(tmp_path / "alone" / "1.dcm"), VOLUMES) == [ScanFile(path=tmp_path / "alone" / "1.dcm")]
    assert found(tmp_path, tmp_path / "*" / "*.dcm") == ["alone", "s"]


def test_a_glob_matches_volumes_and_nothing_else(tmp_path):
    touch(tmp_path, "a_T1.nii.gz", "a_T1.json", "a_FLAIR.nii.gz", "b.png", "a_mask.nii.gz")
    assert found(tmp_path, tmp_path / "*") == ["a_FLAIR.nii.gz", "a_T1.nii.gz"]
    assert found(tmp_path, tmp_path / "*", contrast="T1") == ["a_T1.nii.gz"]
    with pytest.raises(MriadError, match=r"matches no volume"):
        found(tmp_path, tmp_path / "*.mha")


def test_a_manifest_tells_series_brain_masks_patients_and_contrasts(tmp_path):
    touch(tmp_path, "a.nii", "b.nii", "brain/a.nii")
    (tmp_path / "dicom").mkdir()
    (tmp_path / "scans.csv").write_text(
        "path,series,brain_mask,patient,contrast\na.nii,,brain/a.nii,p1,T1\nb.nii,,,p1,FLAIR\ndicom,4,,p2,T1\n"
    )
    scans = find_scans(str(tmp_path / "scans.csv"), Wanted(volumes=True, contrast="T1"))
    assert scans == [
        ScanFile(path=tmp_path / "a.nii", brain_mask=tmp_path / "brain/a.nii", patient="p1", contrast="T1"),
        ScanFile(path=tmp_path / "dicom", series="4", patient="p2", contrast="T1"),
    ]


def test_a_file_that_is_named_is_taken_whatever_its_name(tmp_path):
    file = save(tmp_path / "masks" / "a_mask.nii.gz")
    assert find_scans(str(file), VOLUMES) == [ScanFile(path=Path(file))]
