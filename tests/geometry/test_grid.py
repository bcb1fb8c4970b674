import math

import nibabel
import numpy as np
import pytest
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st
from scipy.spatial.transform import Rotation

from mriad.geometry import Grid, reorient

SHAPE = (5, 6, 4)

# the same examples each time, however busy the machine is
steadily = settings(derandomize=True, deadline=None, max_examples=40, suppress_health_check=[HealthCheck.too_slow])


def rotated(
    spacing, *, degrees=(0.0, 0.0, 0.0), codes="RAS", shear=0.0, shape=SHAPE, origin=(-31.0, 12.0, 7.5)
) -> Grid:
    """A grid whose axes lead where the codes say, turned by Euler angles."""
    axes = nibabel.orientations.inv_ornt_aff(nibabel.orientations.axcodes2ornt(codes), shape)[:3, :3]
    affine = np.eye(4)
    affine[:3, :3] = Rotation.from_euler("xyz", degrees, degrees=True).as_matrix() @ np.linalg.inv(axes)
    affine[:3, 1] += shear * affine[:3, 0]
    affine[:3, :3] *= spacing
    affine[:3, 3] = origin
    return Grid(shape=shape, affine=affine)


OBLIQUE = rotated((0.9, 1.1, 3.0), degrees=(17, -8, 30), codes="LIA")  # left-handed

sizes = st.integers(1, 7)
spacings = st.tuples(*[st.floats(0.2, 8)] * 3)
codes = st.permutations(["RL", "AP", "SI"]).flatmap(lambda pairs: st.tuples(*map(st.sampled_from, pairs))).map("".join)


@st.composite
def grids(draw, *, most_degrees=180.0):
    degrees = draw(st.tuples(*[st.floats(-most_degrees, most_degrees)] * 3))
    shape = draw(st.tuples(sizes, sizes, sizes))
    return rotated(draw(spacings), degrees=degrees, codes=draw(codes), shear=draw(st.floats(-0.05, 0.05)), shape=shape)


def places(grid: Grid) -> np.ndarray:
    """(D, H, W, 3) world points of all voxels."""
    return grid.to_world(np.moveaxis(np.indices(grid.shape), 0, -1))


def assert_follows(changed: Grid, moved: np.ndarray) -> None:
    assert changed.shape == moved.shape[:3]
    np.testing.assert_allclose(places(changed), moved, atol=1e-9)


@steadily
@given(grids(), st.data())
def test_a_crop_keeps_every_voxel_in_its_place(grid, data):
    starts = [data.draw(st.integers(0, size - 1)) for size in grid.shape]
    box = tuple(slice(a, data.draw(st.integers(a + 1, size))) for a, size in zip(starts, grid.shape, strict=True))
    assert_follows(grid.cropped(box), places(grid)[box])


@steadily
@given(grids(), st.tuples(*[st.tuples(st.integers(0, 3), st.integers(0, 3))] * 3))
def test_padding_and_cutting_it_off_gives_the_grid_again(grid, widths):
    padded = grid.padded(widths)
    assert padded.shape == np.pad(np.zeros(grid.shape), widths).shape
    inside = tuple(slice(before, before + size) for (before, _), size in zip(widths, grid.shape, strict=True))
    assert_follows(padded.cropped(inside), places(grid))


@steadily
@given(grids(), st.sets(st.integers(0, 2)))
def test_a_flip_keeps_every_voxel_in_its_place(grid, axes):
    assert_follows(grid.flipped(*axes), np.flip(places(grid), tuple(axes)))


@steadily
@given(grids(), st.permutations(range(3)))
def test_a_permutation_keeps_every_voxel_in_its_place(grid, axes):
    assert_follows(grid.permuted(axes), places(grid).transpose(*axes, 3))


@steadily
@given(grids(), codes)
def test_reorienting_keeps_every_voxel_in_its_place_and_has_a_way_back(grid, wanted):
    turned = grid.reoriented(wanted)
    assert turned.orientation == wanted
    moved = np.stack([reorient(places(grid)[..., world], grid, wanted) for world in range(3)], axis=-1)
    assert_follows(turned, moved)
    assert_follows(turned.reoriented(grid.orientation), places(grid))


@steadily
@given(grids(), st.tuples(sizes, sizes, sizes))
def test_resizing_keeps_the_corners_of_the_field_of_view(grid, shape):
    resized = grid.resized(shape)
    assert resized.shape == shape
    for corner in np.ndindex(2, 2, 2):
        np.testing.assert_allclose(
            resized.to_world(np.multiply(corner, shape) - 0.5),
            grid.to_world(np.multiply(corner, grid.shape) - 0.5),
            atol=1e-9,
        )


@steadily
@given(grids(), spacings)
def test_a_spacing_is_met_exactly_around_the_same_centre(grid, mm):
    spaced = grid.at_spacing(mm)
    np.testing.assert_allclose(spaced.spacing, mm)
    np.testing.assert_allclose(
        spaced.to_world((np.array(spaced.shape) - 1) / 2), grid.to_world((np.array(grid.shape) - 1) / 2), atol=1e-9
    )
    for mine, its, step in zip(spaced.extent, grid.extent, mm, strict=True):
        assert its - 0.002 * step <= mine < its + step + 1e-6


@steadily
@given(grids(most_degrees=20))
def test_orientation_is_what_nibabel_says(grid):
    assert grid.orientation == "".join(nibabel.aff2axcodes(grid.affine))


@steadily
@given(grids())
def test_a_point_is_the_index_that_it_was(grid):
    index = np.moveaxis(np.indices(grid.shape), 0, -1)
    np.testing.assert_allclose(grid.to_index(grid.to_world(index)), index, atol=1e-8)


@steadily
@given(grids())
def test_a_grid_of_the_same_fields_is_the_grid_again(grid):
    again = Grid(shape=list(grid.shape), affine=grid.affine.tolist(), space=grid.space)
    assert again == grid
    assert hash(again) == hash(grid)


def test_grids_that_differ_are_not_equal():
    assert OBLIQUE.flipped(0) != OBLIQUE
    assert OBLIQUE.resized((2, 2, 2)) != OBLIQUE
    assert Grid.of_picture(2, 3) != Grid.of_picture(2, 3, spacing=(1, 1))


def test_millimetres_follow_from_the_affine():
    np.testing.assert_allclose(OBLIQUE.spacing, (0.9, 1.1, 3.0))
    np.testing.assert_allclose(OBLIQUE.extent, (4.5, 6.6, 12.0))
    assert OBLIQUE.voxel_volume == pytest.approx(0.9 * 1.1 * 3.0)
    assert OBLIQUE.pixel_area == pytest.approx(1.1 * 3.0)
    assert OBLIQUE.shear == pytest.approx(0, abs=1e-6)
    assert rotated((1, 1, 1), shear=0.2).shear == pytest.approx(math.degrees(math.atan(0.2)))


def test_canonical_slices_are_as_radiologists_look_at_them():
    right_anterior_inferior = Grid(shape=(9, 9, 9), affine=np.diag([1.0, 1, -1, 1])).reoriented()
    assert right_anterior_inferior.orientation == "SPL"
    first = right_anterior_inferior.to_world((0, 0, 0))
    last = right_anterior_inferior.to_world((8, 8, 8))
    assert tuple(np.sign(last - first)) == (-1, -1, 1)  # from right to left, from front to back, from below to above


def test_a_picture_lies_in_no_space_and_has_the_axes_of_the_house():
    unknown = Grid.of_picture(20, 30)
    assert unknown.shape == (1, 20, 30)
    assert unknown.reoriented() == unknown
    assert np.isnan(unknown.spacing).all()
    assert math.isnan(unknown.voxel_volume)
    assert math.isnan(unknown.pixel_area)
    known = Grid.of_picture(20, 30, spacing=(0.5, 0.75))
    np.testing.assert_array_equal(known.spacing, (math.nan, 0.5, 0.75))
    assert known.pixel_area == 0.375
    assert known.cropped(np.s_[:, 4:, 2:9]).resized((1, 8, 14)).spacing[1:] == (1.0, 0.375)
    with pytest.raises(ValueError, match="spacing"):
        known.at_spacing(1)
    with pytest.raises(ValueError, match="shares no points"):
        known.index_map(OBLIQUE)


@pytest.mark.parametrize(
    "affine",
    [np.zeros((4, 4)), np.diag([1.0, 1, 0, 1]), np.full((4, 4), np.nan), np.diag([1.0, 1, 1, 2]), np.eye(3)],
    ids=["zero", "flat", "nan", "projective", "3x3"],
)
def test_what_is_no_affine_is_refused(affine):
    with pytest.raises(ValueError, match="affine"):
        Grid(shape=SHAPE, affine=affine)


def test_what_are_no_three_axes_is_refused():
    for wrong in ("RAR", "RA", "RASS", "XYZ"):
        with pytest.raises(ValueError, match="names no three axes"):
            OBLIQUE.reoriented(wrong)
    with pytest.raises(ValueError, match="three positive sizes"):
        Grid(shape=(3, 0, 3), affine=np.eye(4))


def test_grids_agree_where_their_voxels_do():
    moved = OBLIQUE.affine.copy()
    moved[:3, 3] += 0.05
    assert OBLIQUE.agrees(Grid(shape=SHAPE, affine=moved))
    assert not OBLIQUE.agrees(OBLIQUE.flipped(0))
    assert not OBLIQUE.agrees(OBLIQUE.cropped(np.s_[1:, :, :]))


def test_overlap_is_the_share_of_the_other_grid():
    grid = Grid(shape=(10, 10, 10), affine=np.eye(4))
    half = Grid(shape=(10, 10, 10), affine=np.eye(4) + np.array([[0, 0, 0, 5.0], *[[0.0] * 4] * 3]))
    assert grid.overlap(grid) == 1
    assert grid.overlap(half) == pytest.approx(0.5, abs=0.05)
    assert grid.overlap(grid.padded([(0, 30)] * 3).cropped(np.s_[20:, :, :])) == 0
    np.testing.assert_allclose(grid.bounds, [[-0.5] * 3, [9.5] * 3])
