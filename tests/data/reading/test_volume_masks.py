import numpy as np
import pytest
from PIL import Image
from volumes import oblique, voxels, write_nifti

from mriad.data.reading.volume_masks import read_mask_on, read_volume_mask
from mriad.errors import MriadError, ReadError
from mriad.geometry import Grid

GRID = oblique(shape=(20, 24, 12), spacing=(1, 1, 2))
LESION = np.zeros(GRID.shape, dtype=np.uint8)
LESION[5:11, 8:15, 4:8] = 1


@pytest.mark.parametrize("kind", [np.uint8, np.int16, np.float32, np.float64])
def test_all_above_zero_is_lesion(tmp_path, kind):
    values = LESION.astype(kind) * 3
    if kind != np.uint8:
        values[0, 0, 0] = -1
    mask, grid = read_volume_mask(write_nifti(tmp_path / "a.nii.gz", values, GRID.affine, intent_code=1002))
    np.testing.assert_array_equal(mask, LESION > 0)
    assert grid.agrees(GRID, within=1e-4)


def test_voxels_that_are_no_numbers_are_no_lesion(tmp_path):
    values = LESION.astype(np.float32)
    values[0] = np.nan
    mask, _ = read_volume_mask(write_nifti(tmp_path / "a.nii", values, GRID.affine))
    np.testing.assert_array_equal(mask, LESION > 0)


def test_labels_choose(tmp_path):
    values = LESION * 2
    values[15:18, 3:6, 2:4] = 4
    file = write_nifti(tmp_path / "a.nii", values, GRID.affine)
    assert read_volume_mask(file, labels=[2])[0].sum() == LESION.sum()
    assert read_volume_mask(file, labels={4, 9})[0].sum() == 18
    assert read_mask_on(file, GRID, labels=[7]).sum() == 0


def test_a_mask_on_another_grid_is_resampled_in_space(tmp_path):
    file = write_nifti(tmp_path / "a.nii", LESION, GRID.affine)
    np.testing.assert_array_equal(read_mask_on(file, GRID), LESION > 0)
    turned = GRID.reoriented("ASR")
    carried = read_mask_on(file, turned.at_spacing(1.3))
    middle = turned.at_spacing(1.3).to_world(np.argwhere(carried).mean(axis=0))
    np.testing.assert_allclose(GRID.to_index(middle), np.argwhere(LESION).mean(axis=0), atol=0.5)
    assert carried.sum() * 1.3**3 == pytest.approx(LESION.sum() * 2, rel=0.15)


def test_a_mask_of_another_space_is_refused_with_both_extents(tmp_path):
    file = write_nifti(tmp_path / "a.nii", LESION, GRID.affine)
    away = Grid(shape=(10, 10, 10), affine=np.diag([1.0, 1, 1, 1]) + np.array([[0, 0, 0, 200.0], *[[0.0] * 4] * 3]))
    with pytest.raises(MriadError, match="lies elsewhere than its scan") as caught:
        read_mask_on(file, away)
    assert "200 to 210" in str(caught.value)
    beside = GRID.cropped(np.s_[14:, :, :])
    with pytest.raises(MriadError, match="marks nothing inside of its scan"):
        read_mask_on(file, beside)
    empty = write_nifti(tmp_path / "b.nii", LESION * 0, GRID.affine)
    assert read_mask_on(empty, beside).sum() == 0


def test_what_is_no_mask_is_told(tmp_path):
    with pytest.raises(ReadError, match=r"The mask .* does not exist"):
        read_volume_mask(tmp_path / "none.nii.gz")
    Image.fromarray(LESION[0]).save(tmp_path / "a.png")
    with pytest.raises(MriadError, match="is a picture"):
        read_volume_mask(tmp_path / "a.png")
    file = write_nifti(tmp_path / "a.nii", voxels((4, 5, 6, 2)), GRID.affine)
    with pytest.raises(MriadError, match=r"The mask .* holds 2 volumes"):
        read_volume_mask(file)
