import pytest

from mriad.data.layouts import brats
from mriad.errors import MriadError

OF_2021 = [f"BraTS2021_00000/BraTS2021_00000_{what}.nii.gz" for what in ("flair", "t1", "t1ce", "t2", "seg")]


def test_a_case_has_four_contrasts_and_a_mask(lay):
    root = lay(*OF_2021)
    with pytest.raises(MriadError, match=r"FLAIR \(1\), T1 \(1\), T1c \(1\), T2 \(1\): choose one"):
        brats(root=root)
    record = brats(root=root, contrast="FLAIR").table.iloc[0]
    assert (record["path"], record["mask"]) == (OF_2021[0], OF_2021[4])
    assert (record["label"], record["class"], record["patient"]) == (1, "glioma", "BraTS2021_00000")
    assert list(brats(root=root, contrast="t1gd").table["path"]) == [OF_2021[2]]


def test_older_years_lie_deeper_and_tell_the_grade(lay):
    root = lay(
        "MICCAI_BraTS_2018_Data_Training/HGG/Brats18_2013_2_1/Brats18_2013_2_1_flair.nii.gz",
        "MICCAI_BraTS_2018_Data_Training/HGG/Brats18_2013_2_1/Brats18_2013_2_1_seg.nii.gz",
        "MICCAI_BraTS_2018_Data_Training/LGG/Brats18_2013_0_1/Brats18_2013_0_1_flair.nii.gz",
        "MICCAI_BraTS2020_TrainingData/BraTS20_Training_355/BraTS20_Training_355_flair.nii",
        "MICCAI_BraTS2020_TrainingData/BraTS20_Training_355/W39_1998.09.19_Segm.nii",
        "MICCAI_BraTS2020_TrainingData/name_mapping.csv",
    )
    table = brats(root=root).table.set_index("patient")
    assert dict(table["class"]) == {
        "BraTS20_Training_355": "glioma",
        "Brats18_2013_2_1": "HGG",
        "Brats18_2013_0_1": "LGG",
    }
    assert table["mask"]["BraTS20_Training_355"].endswith("W39_1998.09.19_Segm.nii")
    assert table["mask"]["Brats18_2013_0_1"] == ""


def test_another_folder_is_told(lay):
    with pytest.raises(MriadError, match=r"No scans found in /.*BraTS2021_00000_flair"):
        brats(root=lay("a/T1.nii.gz"))
