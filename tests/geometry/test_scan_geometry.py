import json

import numpy as np
import pytest
from scipy import ndimage

from mriad.geometry import ScanGeometry

WAYS = {
    "square": ((96, 96), (0, 0, 96, 96), True),
    "tall": ((160, 80), (0, 0, 160, 80), True),
    "wide": ((80, 160), (0, 0, 80, 160), True),
    "cropped": ((200, 180), (31, 24, 170, 121), True),
    "odd padding": ((101, 64), (0, 3, 101, 60), True),
    "stretched": ((200, 180), (31, 24, 170, 121), False),
    "larger network": ((50, 40), (5, 4, 45, 39), True),
}


@pytest.fixture(params=WAYS)
def geometry(request) -> ScanGeometry:
    shape, box, square = WAYS[request.param]
    return ScanGeometry.plan(shape, box, square=square, image_size=64)


def smooth(shape: tuple[int, int]) -> np.ndarray:
    row, column = np.indices(shape) / max(shape)
    return (0.5 + 0.3 * np.sin(4 * row) * np.cos(3 * column + 1)).astype(np.float32)


def blob(geometry: ScanGeometry, *, at: tuple[float, float], sigma: float) -> np.ndarray:
    """A Gaussian spot at a point of the crop, given in shares of it."""
    row, column = np.indices((geometry.height, geometry.width))
    centre = spot(geometry, at)
    distance = (row - centre[0]) ** 2 + (column - centre[1]) ** 2
    return np.exp(-distance / (2 * sigma**2)).astype(np.float32)


def spot(geometry: ScanGeometry, at: tuple[float, float]) -> tuple[float, float]:
    return (
        geometry.top + at[0] * (geometry.bottom - geometry.top),
        geometry.left + at[1] * (geometry.right - geometry.left),
    )


def in_network(geometry: ScanGeometry, point: tuple[float, float]) -> np.ndarray:
    """Where the pixel centre ``point`` of the scan lies in the network's frame."""
    scale = geometry.image_size / np.array([geometry.frame_height, geometry.frame_width])
    offset = np.array([geometry.pad_top - geometry.top, geometry.pad_left - geometry.left])
    return (np.array(point) + offset + 0.5) * scale - 0.5


def test_the_network_sees_a_square_of_the_size_asked(geometry):
    out = geometry.to_network(smooth((geometry.height, geometry.width)))
    assert out.shape == (64, 64)
    assert out.dtype == np.float32


def test_a_smooth_image_comes_back_as_it_was(geometry):
    image = smooth((geometry.height, geometry.width))
    back = geometry.to_scan(geometry.to_network(image, fill=0.5))
    assert back.shape == image.shape
    margin = 5  # next to the padding bilinear interpolation blends
    inside = np.s_[geometry.top + margin : geometry.bottom - margin, geometry.left + margin : geometry.right - margin]
    np.testing.assert_allclose(back[inside], image[inside], atol=0.01)


@pytest.mark.parametrize("at", [(0.5, 0.5), (0.3, 0.4), (0.65, 0.7)])
def test_a_point_lands_where_it_belongs_and_returns(geometry, at):
    image = blob(geometry, at=at, sigma=3)
    network = geometry.to_network(image)
    scale = geometry.image_size / min(geometry.frame_height, geometry.frame_width)
    np.testing.assert_allclose(
        ndimage.center_of_mass(network), in_network(geometry, spot(geometry, at)), atol=0.15 * max(scale, 1)
    )
    np.testing.assert_allclose(
        ndimage.center_of_mass(geometry.to_scan(network)), ndimage.center_of_mass(image), atol=0.4
    )


def test_a_lesion_keeps_its_place_and_area(geometry):
    lesion = blob(geometry, at=(0.5, 0.45), sigma=8) > 0.5
    network = geometry.mask_to_network(lesion)
    assert network.dtype == bool
    np.testing.assert_allclose(
        ndimage.center_of_mass(network), in_network(geometry, spot(geometry, (0.5, 0.45))), atol=0.5
    )
    scale = geometry.image_size**2 / (geometry.frame_height * geometry.frame_width)
    assert network.sum() == pytest.approx(lesion.sum() * scale, rel=0.12)


def test_image_and_mask_are_not_shifted_against_each_other(geometry):
    lesion = blob(geometry, at=(0.4, 0.6), sigma=6) > 0.5
    network = geometry.to_network(lesion.astype(np.float32))
    np.testing.assert_allclose(
        ndimage.center_of_mass(geometry.mask_to_network(lesion)),
        ndimage.center_of_mass(network),
        atol=0.4,
    )


@pytest.mark.parametrize("image_size", [16, 32, 64, 128])
@pytest.mark.parametrize("side", [1, 2, 3])
def test_a_lesion_of_a_few_pixels_does_not_vanish(image_size, side):
    geometry = ScanGeometry.plan((512, 512), (10, 20, 500, 480), square=True, image_size=image_size)
    for row, column in np.random.default_rng(0).integers(30, 470, (20, 2)):
        mask = np.zeros((512, 512), dtype=bool)
        mask[row : row + side, column : column + side] = True
        network = geometry.mask_to_network(mask)
        assert 1 <= network.sum() <= 4
        np.testing.assert_allclose(
            ndimage.center_of_mass(network),
            in_network(geometry, (row + (side - 1) / 2, column + (side - 1) / 2)),
            atol=0.75,
        )


def test_a_small_lesion_does_not_vanish_beside_a_large_one():
    geometry = ScanGeometry.plan((512, 512), (0, 0, 512, 512), square=True, image_size=64)
    mask = np.zeros((512, 512), dtype=bool)
    mask[100:200, 100:200] = True
    alone = geometry.mask_to_network(mask)
    mask[400:402, 400:402] = True
    both = geometry.mask_to_network(mask)
    assert both[49:52, 49:52].any()
    np.testing.assert_array_equal(both[:40], alone[:40])


@pytest.mark.parametrize("gap", [1, 4, 9])
@pytest.mark.parametrize("image_size", [32, 64, 128])
def test_a_satellite_next_to_a_large_lesion_does_not_vanish_in_its_blur(image_size, gap):
    geometry = ScanGeometry.plan((512, 512), (0, 0, 512, 512), square=True, image_size=image_size)
    large = np.zeros((512, 512), dtype=bool)
    large[100:200, 100:200] = True
    for row, column in [(150, 200 + gap), (150, 99 - gap), (200 + gap, 140), (99 - gap, 163)]:
        both = large.copy()
        both[row, column] = True
        alone, network = geometry.mask_to_network(large), geometry.mask_to_network(both)
        place = tuple(np.floor(in_network(geometry, (row, column)) + 0.5).astype(int))
        assert network[place]
        network[place] = alone[place]
        assert (network != alone).sum() <= 3  # where it stands apart, as wide as it would be alone
        assert geometry.count_lesions(both)[:2] == (2, 2)


def test_lesions_are_counted_by_where_the_network_sees_them():
    geometry = ScanGeometry.plan((256, 256), (20, 20, 256, 256), square=True, image_size=32)
    mask = np.zeros((256, 256), dtype=bool)
    mask[60:80, 60:80] = mask[60:70, 82:90] = True  # a network pixel is 7 wide: they touch there
    mask[150:170, 150:170] = mask[220:222, 220:222] = True
    mask[5:8, 100:120] = mask[100:120, 3:9] = True  # outside the crop
    mask[10:40, 200:230] = True  # across its edge
    assert geometry.count_lesions(mask) == (7, 5, 4)
    assert geometry.count_lesions(mask & False) == (0, 0, 0)


def test_an_empty_mask_stays_empty_and_a_full_one_full():
    geometry = ScanGeometry.plan((120, 120), (10, 10, 100, 100), square=True, image_size=48)
    assert not geometry.mask_to_network(np.zeros((120, 120), dtype=bool)).any()
    assert geometry.mask_to_network(np.ones((120, 120), dtype=bool)).all()


def test_a_lesion_outside_the_crop_is_not_seen():
    geometry = ScanGeometry.plan((120, 120), (40, 40, 100, 100), square=True, image_size=48)
    mask = np.zeros((120, 120), dtype=bool)
    mask[:20, :20] = True
    assert not geometry.mask_to_network(mask).any()


def test_to_scan_fills_outside_the_crop_only():
    geometry = ScanGeometry.plan((60, 50), (10, 5, 40, 45), square=True, image_size=32)
    scan = geometry.to_scan(np.full((32, 32), 0.25, dtype=np.float32), fill=-1.0)
    outside = np.ones((60, 50), dtype=bool)
    outside[10:40, 5:45] = False
    assert (scan[outside] == -1).all()
    np.testing.assert_allclose(scan[~outside], 0.25, atol=1e-6)


def test_padding_holds_the_fill_value_on_both_sides():
    geometry = ScanGeometry.plan((64, 32), (0, 0, 64, 32), square=True, image_size=64)
    network = geometry.to_network(np.zeros((64, 32), dtype=np.float32), fill=1.0)
    assert (network[:, :15] == 1).all()
    assert (network[:, 49:] == 1).all()
    assert (network[:, 17:47] == 0).all()


def test_padding_keeps_proportions_and_stretching_does_not():
    box = (0, 0, 100, 50)
    disc = np.hypot(*(np.indices((100, 50)) - np.array([50, 25])[:, None, None])) < 20
    for square, ratio in ((True, 1.0), (False, 2.0)):
        network = ScanGeometry.plan((100, 50), box, square=square, image_size=64).mask_to_network(disc)
        height, width = network.any(axis=1).sum(), network.any(axis=0).sum()
        assert width / height == pytest.approx(ratio, abs=0.12)


def test_a_scan_of_the_networks_size_is_not_touched():
    geometry = ScanGeometry.plan((32, 32), (0, 0, 32, 32), square=True, image_size=32)
    image = np.random.default_rng(0).random((32, 32), dtype=np.float32)
    np.testing.assert_array_equal(geometry.to_network(image), image)
    np.testing.assert_array_equal(geometry.to_scan(image), image)


def test_shrinking_averages_instead_of_picking_pixels():
    checkerboard = (np.indices((256, 256)).sum(axis=0) % 2).astype(np.float32)
    geometry = ScanGeometry.plan((256, 256), (0, 0, 256, 256), square=True, image_size=32)
    np.testing.assert_allclose(geometry.to_network(checkerboard)[2:-2, 2:-2], 0.5, atol=0.02)


def test_a_box_of_one_pixel_works():
    geometry = ScanGeometry.plan((5, 7), (2, 3, 3, 4), square=True, image_size=8)
    assert (geometry.to_network(np.full((5, 7), 0.5, dtype=np.float32)) == 0.5).all()
    assert geometry.to_scan(np.ones((8, 8), dtype=np.float32)).sum() == 1


def test_the_record_is_plain_and_makes_the_same_geometry(geometry):
    record = json.loads(json.dumps(geometry.as_record()))
    assert ScanGeometry(**record) == geometry
