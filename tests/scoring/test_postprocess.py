import numpy as np
import pytest
import torch
from scipy import ndimage

from mriad.errors import MriadError
from mriad.scoring.postprocess import Gaussian, Median, Opening, SmallestComponent

STEPS = [Median(), Gaussian(sigma=1.5), Opening(), SmallestComponent(area=6, threshold=0.5)]


def maps(*, seed=0, size=(3, 1, 20, 24)):
    return torch.rand(size, generator=torch.Generator().manual_seed(seed))


def taken(step, anomaly_maps, *, masks=None, area=None):
    masks = torch.ones_like(anomaly_maps, dtype=torch.bool) if masks is None else masks
    area = torch.full((len(anomaly_maps),), torch.nan) if area is None else torch.tensor(area)
    return step(anomaly_maps, masks, area)


@pytest.mark.parametrize("step", STEPS, ids=lambda step: type(step).__name__)
def test_a_step_keeps_shape_and_type_and_knows_no_batch_mates(step):
    raw, masks = maps(), maps(seed=1) > 0.3
    raw = raw * masks
    before, together = raw.clone(), taken(step, raw, masks=masks)
    assert (together.shape, together.dtype) == (raw.shape, raw.dtype)
    assert torch.equal(raw, before)
    for index in range(len(raw)):
        one = slice(index, index + 1)
        torch.testing.assert_close(taken(step, raw[one], masks=masks[one]), together[one])


@pytest.mark.parametrize("step", STEPS, ids=lambda step: type(step).__name__)
def test_a_broken_map_stays_broken_and_breaks_no_other(step):
    raw = maps()
    raw[1, 0, 5:15, 5:15] = torch.nan
    assert taken(step, raw).isfinite().all(dim=(1, 2, 3)).tolist() == [True, False, True]


@pytest.mark.parametrize("size", [1, 3, 5, 7])
def test_median_is_that_of_scipy(size):
    raw = maps()
    expected = ndimage.median_filter(raw.numpy(), size=(1, 1, size, size), mode="nearest")
    np.testing.assert_array_equal(taken(Median(size=size), raw).numpy(), expected)


def test_median_drops_a_speck_and_a_line_and_keeps_a_lesion():
    raw = torch.zeros(1, 1, 30, 30)
    raw[..., 3:5, 3:5] = raw[..., 25, :] = 1.0
    raw[..., 10:20, 10:20] = 1.0
    found = taken(Median(size=5), raw)[0, 0]
    assert found[12:18, 12:18].min() == 1
    found[10:20, 10:20] = 0
    assert found.max() == 0


@pytest.mark.parametrize("size", [1, 3, 5])
def test_opening_is_that_of_scipy(size):
    raw = maps()
    expected = ndimage.grey_opening(raw.numpy(), size=(1, 1, size, size))
    np.testing.assert_array_equal(taken(Opening(size=size), raw).numpy(), expected)


def test_gaussian_is_the_mean_of_the_pixels_that_count():
    masks = torch.zeros(1, 1, 20, 20, dtype=torch.bool)
    masks[..., 4:16, 4:16] = True
    found = taken(Gaussian(sigma=2.0), masks.float() * 0.7, masks=masks)
    torch.testing.assert_close(found[masks], torch.full_like(found[masks], 0.7))
    assert found.isfinite().all()


def test_gaussian_of_a_map_that_counts_everywhere_is_that_of_scipy():
    raw = maps()
    expected = ndimage.gaussian_filter(raw.numpy(), sigma=(0, 0, 2, 2), mode="nearest", truncate=3.0)
    np.testing.assert_allclose(taken(Gaussian(sigma=2.0), raw).numpy(), expected, atol=1e-6)


def regions():
    """Regions of 1, 4 and 9 pixels."""
    raw = torch.full((1, 1, 16, 16), 0.1)
    raw[..., 1, 1] = 0.9
    raw[..., 4:6, 4:6] = 0.8
    raw[..., 10:13, 10:13] = 0.7
    return raw


@pytest.mark.parametrize(("area", "kept"), [(0, 3), (1, 3), (2, 2), (4, 2), (5, 1), (9, 1), (9.5, 0)])
def test_regions_below_the_area_are_brought_down_to_the_threshold(area, kept):
    raw = regions()
    found = taken(SmallestComponent(area=area, threshold=0.5), raw)
    assert ndimage.label(found[0, 0] > 0.5)[1] == kept
    assert torch.equal(found, torch.where((raw > 0.5) & (found <= 0.5), 0.5, raw))


def test_area_is_in_mm2_where_that_of_a_pixel_is_known_and_in_pixels_elsewhere():
    raw = regions().repeat(3, 1, 1, 1)
    found = taken(SmallestComponent(area=5, threshold=0.5), raw, area=[torch.nan, 2.0, 0.25])
    assert [ndimage.label(one[0] > 0.5)[1] for one in found] == [1, 2, 0]


def test_pixels_that_touch_at_a_corner_are_one_region():
    raw = torch.zeros(1, 1, 8, 8)
    raw[..., [1, 2, 3], [1, 2, 3]] = 1.0
    assert torch.equal(taken(SmallestComponent(area=3, threshold=0.5), raw), raw)


def test_regions_at_one_place_of_two_scans_are_two():
    raw = torch.zeros(2, 1, 8, 8)
    raw[..., 2:4, 2:4] = 1.0
    assert taken(SmallestComponent(area=5, threshold=0.5), raw).max() == 0.5


@pytest.mark.parametrize("step", [Median, Opening])
@pytest.mark.parametrize("size", [0, 4, -3, 2.5])
def test_the_side_of_a_square_is_odd(step, size):
    with pytest.raises(
        MriadError, match=rf"^{step.__name__} in score\.postprocess has size={size}; give an odd number"
    ):
        step(size=size)


@pytest.mark.parametrize("sigma", [0, -1.0, float("nan"), float("inf")])
def test_a_gaussian_has_a_width(sigma):
    with pytest.raises(MriadError, match=r"^Gaussian in score\.postprocess has sigma="):
        Gaussian(sigma=sigma)


@pytest.mark.parametrize("area", [-1, float("nan"), float("inf")])
def test_an_area_is_not_negative(area):
    with pytest.raises(MriadError, match=r"^SmallestComponent in score\.postprocess has area="):
        SmallestComponent(area=area, threshold=0.5)
