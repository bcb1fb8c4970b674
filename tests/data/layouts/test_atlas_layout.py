import pytest

from mriad.data.layouts import atlas

NAME = "sub-r001s001_ses-1_space-MNI152NLin2009aSym"
T1, MASK = f"{NAME}_T1w.nii.gz", f"{NAME}_label-L_desc-T1lesion_mask.nii.gz"


@pytest.mark.parametrize(
    ("scan", "mask"),
    [
        ("ATLAS_2/Training/R001/sub-r001s001/ses-1/anat/", "ATLAS_2/Training/R001/sub-r001s001/ses-1/anat/"),
        ("train/derivatives/ATLAS/sub-r001s001/ses-1/anat/", "train/derivatives/ATLAS/sub-r001s001/ses-1/anat/"),
        ("Training/sub-r001s001/ses-1/anat/", "derivatives/ATLAS/sub-r001s001/ses-1/anat/"),
    ],
)
def test_each_way_it_unpacks_is_read(lay, scan, mask):
    hidden = "Testing/R002/sub-r002s001/ses-1/anat/sub-r002s001_ses-1_space-MNI152NLin2009aSym_T1w.nii.gz"
    table = atlas(root=lay(scan + T1, mask + MASK, hidden)).table.set_index("patient")
    assert dict(table["mask"]) == {"sub-r001s001": mask + MASK, "sub-r002s001": ""}
    assert (set(table["label"]), set(table["class"]), set(table["contrast"])) == ({1}, {"stroke"}, {"T1"})
