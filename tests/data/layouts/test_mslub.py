import pytest

from mriad.data.layouts import mslub
from mriad.errors import MriadError

FILES = ("FLAIR", "T1W", "T1WKS", "T2W", "consensus_gt", "brainmask")
PUBLISHED = [f"3D_MR_MS/patient01/patient01_{file}.nii.gz" for file in FILES]
RAW = [f"3D_MR_MS/patient01/raw/patient01_{file}.nii.gz" for file in FILES[:4]]
COPY = [f"cross_sectional/coregistered/patient01/{file}.nii.gz" for file in FILES]


@pytest.mark.parametrize("names", [[*PUBLISHED, *RAW], COPY])
def test_the_registered_scans_are_read(lay, names):
    root = lay(*names)
    with pytest.raises(MriadError, match=r"FLAIR \(1\), T1 \(1\), T1c \(1\), T2 \(1\)"):
        mslub(root=root)
    record = mslub(root=root, contrast="t1c").table.iloc[0]
    assert [record["path"], record["mask"], record["brain_mask"]] == [names[2], names[4], names[5]]
    assert (record["label"], record["patient"]) == (1, "patient01")


def test_a_patient_in_two_folders_is_an_error_that_shows_both(lay):
    with pytest.raises(MriadError, match=r"patient01 lies in /.*patient01 and in /.*patient01: point data\.root"):
        mslub(root=lay(*PUBLISHED, *COPY), contrast="FLAIR")


def test_the_published_patient_in_mni_space_is_read(data_root):
    root = data_root / "volumes" / "open_ms_mni"
    if not root.is_dir():
        pytest.skip(f"{root} is not there")
    record = mslub(root=root, contrast="T2").table.iloc[0]
    assert record["path"].startswith("patient26/T2_") and record["mask"].startswith("patient26/GOLD_STANDARD")


def test_maps_of_change_are_no_lesions(lay):
    with pytest.raises(MriadError, match=r"No scans found in /.*patient01/ with FLAIR\.nii\.gz and consensus_gt"):
        mslub(root=lay("patient01/study1_FLAIR.nii.gz", "patient01/gt.nii.gz"))
