import numpy as np
import pytest
from heads import head

from mriad.data.preparing.preprocess import BlankScanError
from mriad.data.preparing.volumes import PrepareVolume, middle_slice
from mriad.data.reading.scan import Facts, Scan
from mriad.errors import MriadError
from mriad.geometry import Grid, reorient

SMALL = {"image_size": 48, "depth": 40, "spacing": 5.0}


def prepared(scan, **options):
    return PrepareVolume(**SMALL | options)(scan)


def test_a_head_lies_in_the_middle_of_its_working_grid_and_reaches_its_top():
    image, geometry = prepared(head())
    assert (image.shape, image.dtype) == ((40, 48, 48), np.uint8)
    assert geometry.working.spacing == pytest.approx((5, 5, 5))
    seen = np.argwhere(image > 100)
    assert seen[:, 0].max() >= 38
    middle = (seen.min(axis=0) + seen.max(axis=0)) / 2
    assert middle[1:] == pytest.approx([23.5, 23.5], abs=1)


@pytest.mark.parametrize("codes", ["LPS", "RAS", "PSR", "AIL", "SPL"])
def test_the_order_of_a_files_axes_changes_nothing(codes):
    image, geometry = prepared(head(codes=codes, lesion=True))
    expected, there = prepared(head(lesion=True))
    np.testing.assert_array_equal(image, expected)
    assert geometry.working.agrees(there.working)
    assert geometry.scan.orientation == codes


def test_maps_find_their_way_back_to_the_voxels_of_an_oblique_left_handed_file():
    scan = head(spacing=(6.0, 3.0, 4.0), codes="PSR", tilt=12, lesion=True)
    _, geometry = prepared(scan, image_size=64, depth=56, spacing=3.5)
    truth = scan.levels == 900
    mask = geometry.mask_to_network(truth)
    back = geometry.to_scan(mask.astype(np.float32)) > 0.5
    assert back.shape == scan.levels.shape
    centres = [scan.grid.to_world(np.argwhere(part).mean(axis=0)) for part in (truth, back)]
    assert np.abs(centres[0] - centres[1]).max() < 3.5 / 2
    assert 2 * (back & truth).sum() / (back.sum() + truth.sum()) > 0.8


def test_a_lesion_does_not_move_the_window_of_another_slice():
    healthy, _ = prepared(head())
    diseased, _ = prepared(head(lesion=True))
    assert np.abs(healthy[34].astype(int) - diseased[34]).max() <= 2


def test_a_bright_scalp_leaves_the_brain_as_it_is():
    brains = [prepared(head(scalp=scalp))[0][28, 20:28, 20:28].astype(float) for scalp in (700.0, 5000.0)]
    assert np.abs(brains[0] - brains[1]).max() <= 8


@pytest.mark.parametrize("background", [0.0, -4.0])
def test_a_stripped_scan_is_recognised_whatever_its_background(background):
    scan = head(stripped=True)
    levels = np.where(scan.levels == 0, background, scan.levels / 500 - 1 if background else scan.levels)
    image, geometry = prepared(Scan(levels=levels.astype(np.float32), grid=scan.grid, facts=scan.facts))
    assert geometry.stripped
    assert image[0, 0, 0] == 0
    assert 0.1 < (image > 0).mean() < 0.35
    assert not prepared(head())[1].stripped


def test_a_brain_mask_strips_a_head():
    scan = head()
    brain = head(stripped=True).levels > 0
    image, geometry = PrepareVolume(**SMALL, strip="mask")(scan, brain=brain)
    assert geometry.stripped
    kept, _ = PrepareVolume(**SMALL)(scan, brain=brain)
    assert (kept > 0).sum() > 1.5 * (image > 0).sum()
    with pytest.raises(MriadError, match="brain mask covers nothing"):
        PrepareVolume(**SMALL, strip="mask")(scan, brain=np.zeros_like(brain))


def test_a_head_larger_than_the_grid_is_shown_in_larger_voxels_and_never_cut():
    image, geometry = prepared(head(), image_size=32, depth=32)
    assert geometry.working.spacing[0] > 6
    assert (image[:, [0, -1]] > 100).sum() + (image[:, :, [0, -1]] > 100).sum() < 0.1 * (image > 100).sum()


@pytest.mark.parametrize("levels", [np.zeros((30, 30, 30)), np.full((30, 30, 30), 7.0)])
def test_an_empty_volume_is_blank(levels):
    grid = Grid(shape=(30, 30, 30), affine=np.diag([5.0, 5, 5, 1]))
    with pytest.raises(BlankScanError, match="blank"):
        prepared(Scan(levels=levels.astype(np.float32), grid=grid, facts=Facts(format="NIfTI-1")))


def test_a_speck_is_no_head():
    levels = np.zeros((30, 30, 30), dtype=np.float32)
    levels[10:12, 10:12, 10:12] = 5
    grid = Grid(shape=(30, 30, 30), affine=np.diag([0.5, 0.5, 0.5, 1]))
    with pytest.raises(MriadError, match=r"no head|blank"):
        prepared(Scan(levels=levels, grid=grid, facts=Facts(format="NIfTI-1")))


@pytest.mark.parametrize(
    ("option", "match"),
    [
        ({"spacing": 0}, "data.spacing=0"),
        ({"depth": 64}, "depth=64 is more than"),
        ({"depth": 0}, "depth=0"),
        ({"low": 60, "high": 50}, "out of order"),
        ({"low": None}, "out of order"),
        ({"strip": "skull"}, "skull"),
        ({"crop": "face"}, "face"),
    ],
)
def test_options_that_cannot_be_are_refused(option, match):
    with pytest.raises(MriadError, match=match):
        PrepareVolume(**SMALL | option)


def test_hashes_see_the_axial_slice_in_the_middle_as_its_file_keeps_it():
    scan = head(codes="PSR")
    _, geometry = prepared(scan)
    middle = middle_slice(scan, geometry)
    canonical = reorient(scan.levels, scan.grid)
    assert middle.levels.shape == canonical.shape[1:]
    assert (middle.levels.min(), middle.levels.max()) == (0, 1)
    assert any(np.allclose(middle.levels, slice_ / canonical.max()) for slice_ in canonical)
