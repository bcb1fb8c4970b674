import numpy as np
import pytest
from scipy import ndimage

from mriad.geometry import Grid, reorient, resample, resample_mask


def oblique(*, shape=(40, 36, 20), spacing=(1.0, 1.2, 2.5), mirrored=True) -> Grid:
    """An oblique volume, left-handed where mirrored."""
    tilt, turn = np.radians((12, 25))
    around_x = np.array([[1, 0, 0], [0, np.cos(tilt), -np.sin(tilt)], [0, np.sin(tilt), np.cos(tilt)]])
    around_z = np.array([[np.cos(turn), -np.sin(turn), 0], [np.sin(turn), np.cos(turn), 0], [0, 0, 1]])
    affine = np.eye(4)
    affine[:3, :3] = around_z @ around_x @ np.diag([-1 if mirrored else 1, 1, 1]) * spacing
    affine[:3, 3] = (20.0, -35.0, 4.0)
    return Grid(shape=shape, affine=affine)


def blob(grid: Grid, *, at=(11.0, 25.0, 6.0), mm=3.0) -> np.ndarray:
    """An asymmetric blob around an index: twice as long to one side, and with a tail."""
    away = np.moveaxis(np.indices(grid.shape), 0, -1) - at
    away = away * grid.spacing / mm
    away[..., 0] *= np.where(away[..., 0] > 0, 0.5, 1)
    tail = np.exp(-((away - (1.5, 0.8, 0)) ** 2).sum(axis=-1))
    return (np.exp(-(away**2).sum(axis=-1) / 2) + 0.5 * tail).astype(np.float32)


def ramp(grid: Grid) -> np.ndarray:
    """A linear function of world points, which interpolation keeps."""
    return (grid.to_world(np.moveaxis(np.indices(grid.shape), 0, -1)) @ (0.3, -0.2, 0.5)).astype(np.float32)


def inside(grid: Grid, voxels=3):
    return tuple(slice(voxels, size - voxels) for size in grid.shape)


@pytest.mark.parametrize("mm", [1.0, 2.0, (2.5, 1.0, 1.5)])
def test_a_blob_comes_back_to_its_own_voxels(mm):
    scan = oblique()
    values = blob(scan)
    canonical = scan.reoriented()
    box = np.s_[1:, 2:, 3:]
    working = canonical.cropped(box).at_spacing(mm)
    prepared = resample(reorient(values, scan, "SPL"), canonical, working)
    back = resample(prepared, working, scan)
    at = ndimage.center_of_mass(values)
    np.testing.assert_allclose(ndimage.center_of_mass(back), at, atol=0.1)
    for axis in range(3):
        assert (
            abs(
                np.unravel_index(back.argmax(), back.shape)[axis]
                - np.unravel_index(values.argmax(), values.shape)[axis]
            )
            <= 1
        )
    # and to no mirrored place
    assert np.corrcoef(back.ravel(), values.ravel())[0, 1] > 0.95
    in_world = working.to_world(ndimage.center_of_mass(prepared))
    np.testing.assert_allclose(scan.to_index(in_world), at, atol=0.5)


def straight(mm: float, size: int) -> Grid:
    """A grid along the axes of the world, in the middle of the oblique volume."""
    affine = np.diag([mm, mm, mm, 1.0])
    affine[:3, 3] = oblique().bounds.mean(axis=0) - mm * (size - 1) / 2
    return Grid(shape=(size, size, size), affine=affine)


GOALS = {
    "turned": oblique().reoriented("ASL"),
    "coarser": oblique().reoriented("SPL").at_spacing(3),
    "finer": oblique().reoriented("SPL").at_spacing(0.7),
    "straight": straight(1.3, 50),
    "straight, coarser": straight(4, 14),
}


@pytest.mark.parametrize("there", GOALS.values(), ids=GOALS)
def test_a_ramp_is_the_same_ramp_on_every_grid(there):
    scan = oblique()
    carried = resample(ramp(scan), scan, there, fill=np.nan)
    assert carried.shape == there.shape
    assert carried.dtype == np.float32
    deep = resample(np.pad(np.ones(tuple(s - 8 for s in scan.shape), dtype=bool), 4), scan, there, kind="share") > 0.999
    assert deep.sum() > 100
    np.testing.assert_allclose(carried[deep], ramp(there)[deep], atol=0.02)


@pytest.mark.parametrize("there", GOALS.values(), ids=GOALS)
@pytest.mark.parametrize("kind", ["linear", "nearest"])
def test_voxels_outside_of_the_field_of_view_are_filled_and_no_others(there, kind):
    scan = oblique()
    carried = resample(np.ones(scan.shape, dtype=np.float32), scan, there, kind=kind, fill=-7)
    index = scan.to_index(there.to_world(np.moveaxis(np.indices(there.shape), 0, -1)))
    within = ((index > -0.499) & (index < np.array(scan.shape) - 0.501)).all(axis=-1)
    without = ((index < -0.501) | (index > np.array(scan.shape) - 0.499)).any(axis=-1)
    np.testing.assert_allclose(carried[within], 1, atol=1e-5)
    assert (carried[without] == -7).all()


def test_labels_stay_labels():
    scan = oblique()
    labels = np.random.default_rng(0).integers(0, 9, scan.shape).astype(np.int16) * 100
    for there in GOALS.values():
        carried = resample(labels, scan, there, kind="nearest")
        assert carried.dtype == np.int16
        assert set(np.unique(carried)) <= set(range(0, 900, 100))
    turned = resample(labels, scan, scan.reoriented("PIR"), kind="nearest")
    np.testing.assert_array_equal(turned, reorient(labels, scan, "PIR"))


def test_the_same_grid_changes_nothing():
    scan = oblique()
    values = blob(scan)
    for kind in ("linear", "nearest", "share"):
        np.testing.assert_array_equal(resample(values, scan, scan, kind=kind), values)


@pytest.mark.parametrize("mm", [0.8, 2.0, 3.1, (5.0, 1.0, 2.0)])
def test_shares_keep_the_volume_of_a_mask(mm):
    scan = oblique()
    mask = blob(scan, at=(18, 17, 10)) > 0.4
    there = scan.at_spacing(mm)
    share = resample(mask, scan, there, kind="share")
    assert share.sum() * there.voxel_volume == pytest.approx(mask.sum() * scan.voxel_volume, rel=1e-4)
    assert 0 <= share.min() <= share.max() <= 1 + 1e-6


def test_noise_is_averaged_where_the_grid_is_coarser():
    scan = oblique(shape=(40, 40, 40), spacing=(1, 1, 1))
    noise = np.random.default_rng(0).normal(size=scan.shape).astype(np.float32)
    along = resample(noise, scan, scan.at_spacing(4))
    across = resample(noise, scan, oblique(shape=(10, 10, 10), spacing=(4, 4, 4), mirrored=False))
    assert along.std() < 0.25
    assert across.std() < 0.25


@pytest.mark.parametrize("there", [oblique().at_spacing(5), GOALS["straight, coarser"]], ids=["along", "across"])
def test_every_lesion_keeps_a_voxel(there):
    scan = oblique()
    mask = np.zeros(scan.shape, dtype=bool)
    for place in [(14, 12, 5), (14, 12, 9), (20, 20, 10), (28, 14, 12), (25, 25, 7)]:
        mask[place] = True
    mask[21:30, 21:30, 10:14] = True
    carried = resample_mask(mask, scan, there)
    lesions, count = ndimage.label(mask, structure=np.ones((3, 3, 3)))
    assert carried.dtype == bool
    for lesion in range(1, count + 1):
        voxels = np.argwhere(lesions == lesion)
        index = np.rint(there.to_index(scan.to_world(voxels))).astype(int)
        kept = ((index >= 0) & (index < there.shape)).all(axis=1)
        assert carried[tuple(index[kept].T)].any()


def test_a_large_lesion_keeps_its_volume():
    scan = oblique()
    mask = blob(scan, at=(18, 17, 10), mm=6) > 0.4
    for there in (scan.reoriented().at_spacing(2), GOALS["straight"]):
        carried = resample_mask(mask, scan, there)
        assert carried.sum() * there.voxel_volume == pytest.approx(mask.sum() * scan.voxel_volume, rel=0.06)


def test_a_picture_goes_the_same_road():
    picture = Grid.of_picture(20, 30)
    values = np.random.default_rng(0).random(picture.shape).astype(np.float32)
    small = picture.cropped(np.s_[:, 4:16, 3:27]).resized((1, 6, 12))
    carried = resample(values, picture, small)
    assert carried.shape == (1, 6, 12)
    back = resample(carried, small, picture, fill=-1)
    assert (back[:, :4] == -1).all()
    assert (back[:, 4:16, 3:27] >= 0).all()


def test_values_of_another_shape_are_refused():
    with pytest.raises(ValueError, match="do not lie on a grid"):
        resample(np.zeros((2, 2, 2)), oblique(), oblique())
