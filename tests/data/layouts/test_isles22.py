import logging

import pytest

from mriad.data.layouts import isles22

CASE = "sub-strokecase0001/ses-0001"
NAME = "sub-strokecase0001_ses-0001"


@pytest.mark.parametrize(
    ("dwi", "flair"),
    [
        (f"rawdata/{CASE}/{NAME}_dwi.nii.gz", f"rawdata/{CASE}/{NAME}_flair.nii.gz"),
        (f"ISLES-2022/{CASE}/dwi/{NAME}_dwi.nii.gz", f"ISLES-2022/{CASE}/anat/{NAME}_FLAIR.nii.gz"),
    ],
)
def test_the_mask_is_of_the_session(lay, caplog, dwi, flair):
    mask = f"{'ISLES-2022/' if 'ISLES' in dwi else ''}derivatives/{CASE}/{NAME}_msk.nii.gz"
    root = lay(dwi, flair, mask)
    with caplog.at_level(logging.WARNING):
        record = isles22(root=root, contrast="DWI").table.iloc[0]
    assert (record["path"], record["mask"], record["label"], record["class"]) == (dwi, mask, 1, "stroke")
    assert caplog.text == ""
    assert isles22(root=root, contrast="FLAIR").table["path"][0] == flair
    assert "drawn on DWI" in caplog.text


def test_the_published_case_is_read(data_root):
    root = data_root / "volumes" / "isles22_case0009"
    if not root.is_dir():
        pytest.skip(f"{root} is not there")
    table = isles22(root=root, contrast="dwi").table
    assert list(table["patient"]) == ["sub-strokecase0009"] and (root / table["mask"][0]).is_file()
