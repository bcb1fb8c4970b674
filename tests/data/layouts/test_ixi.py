import pytest

from mriad.data.layouts import ixi
from mriad.errors import MriadError


def test_all_are_healthy_and_known_by_their_number(lay):
    root = lay("T1/IXI002-Guys-0828-T1.nii.gz", "T2/IXI002-Guys-0828-T2.nii.gz", "DTI/IXI002-Guys-0828-DTI-00.nii.gz")
    with pytest.raises(MriadError, match=r"T1 \(1\), T2 \(1\): choose one"):
        ixi(root=root)
    record = ixi(root=root, contrast="T2").table.iloc[0]
    assert (record["path"], record["label"], record["patient"]) == ("T2/IXI002-Guys-0828-T2.nii.gz", 0, "IXI002")


def test_another_folder_is_told(lay):
    with pytest.raises(MriadError, match=r"No scans found in /.*IXI002-Guys-0828-T1"):
        ixi(root=lay("a.nii.gz"))


def test_the_published_scans_are_read(data_root):
    root = data_root / "volumes" / "ixi_hh_t1_2mm"
    if not root.is_dir():
        pytest.skip(f"{root} is not there")
    assert len(ixi(root=root)) == 50
