import nibabel
import numpy as np
import pandas as pd
import pytest
from heads import head
from scipy import ndimage

from benchmarks.sources import cut_out, ixi, with_lesion


@pytest.fixture(scope="module")
def scan():
    scan = head(spacing=(2.0, 2.0, 2.0))
    return scan, (scan.levels >= 400) & (scan.levels <= 600)


@pytest.mark.parametrize(("kind", "sign"), [("dark", -1), ("bright", 1)])
def test_a_lesion_lies_in_the_brain_and_changes_it_and_nothing_else(scan, kind, sign):
    levels, brain = scan[0].levels, scan[1]
    changed, mask = with_lesion(levels, brain, scan[0].grid.spacing, kind=kind, rng=np.random.default_rng(3))
    again, _ = with_lesion(levels, brain, scan[0].grid.spacing, kind=kind, rng=np.random.default_rng(3))
    np.testing.assert_array_equal(changed, again)
    assert mask.sum() >= 20 and not (mask & ~brain).any()
    assert sign * (changed[mask] - levels[mask]).mean() > 40
    assert not ((changed != levels) & ~(brain & ndimage.binary_dilation(mask, iterations=6))).any()


def test_people_have_a_healthy_scan_and_the_last_of_them_one_with_a_lesion(scan, tmp_path):
    for number in range(22):
        for folder, values, name in (("t1", scan[0].levels, ""), ("dlmuse_seg", scan[1].astype(np.int16), "_DLMUSE")):
            file = tmp_path / "source" / folder / f"IXI{number:03d}-HH-1_T1{name}.nii.gz"
            file.parent.mkdir(parents=True, exist_ok=True)
            nibabel.save(nibabel.Nifti1Image(values[::4, ::4, ::4], scan[0].grid.affine @ np.diag([4, 4, 4, 1])), file)
    table = pd.DataFrame(ixi(tmp_path / "source", tmp_path / "target"))
    assert table["label"].value_counts().to_dict() == {0: 22, 1: 20}
    assert table["path"].is_unique and all(path.exists() for path in table["path"])
    sick = table[table["label"] == 1]
    assert set(sick["patient"]) == {f"IXI{number:03d}" for number in range(2, 22)} < set(table["patient"])
    for row in sick.itertuples():
        twin = table[(table["patient"] == row.patient) & (table["label"] == 0)]["path"].item()
        there, before = (nibabel.load(file).get_fdata() for file in (row.path, twin))
        assert (there != before).any() and (nibabel.load(row.mask).get_fdata() > 0).any()


def test_what_is_cut_out_is_its_own_brain_mask(tmp_path):
    values = np.zeros((8, 8, 8), dtype=np.float32)
    values[2:6, 2:6, 2:6] = 5
    values[3, 3, 3] = 0
    nibabel.save(nibabel.Nifti1Image(values, np.eye(4)), tmp_path / "a.nii.gz")
    brain = nibabel.load(cut_out(tmp_path / "a.nii.gz", tmp_path / "b.nii.gz")).get_fdata()
    assert brain.sum() == 64 and brain[3, 3, 3] == 1
