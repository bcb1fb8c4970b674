import pytest
import torch

from mriad.errors import MriadError
from mriad.scoring.atlas import HealthyAtlas


def drawn(mean, spread, *, count=400, seed=0):
    """Healthy maps (count, 1, H, W) with the given mean and spread (H, W) at each pixel."""
    noise = torch.randn(count, 1, *mean.shape, generator=torch.Generator().manual_seed(seed))
    return mean + spread * noise


def everywhere(maps):
    return torch.ones_like(maps, dtype=torch.bool)


def fitted(maps, masks=None):
    atlas = HealthyAtlas()
    atlas.fit([(maps, everywhere(maps) if masks is None else masks)])
    return atlas


@pytest.fixture
def halves():
    """Left half calm, right half wild."""
    mean, spread = torch.full((32, 32), 0.1), torch.full((32, 32), 0.02)
    mean[:, 16:], spread[:, 16:] = 0.5, 0.1
    return mean, spread


def test_an_atlas_that_is_not_fitted_leaves_maps_as_they_are():
    maps = torch.rand(2, 1, 8, 8)
    assert not HealthyAtlas().is_fitted
    assert torch.equal(HealthyAtlas()(maps), maps)


def test_each_pixel_is_measured_by_what_healthy_scans_show_there(halves):
    mean, spread = halves
    found = fitted(drawn(mean, spread))(drawn(mean + 3 * spread, spread * 0, count=1))[0, 0]
    assert found[:, :12].mean() == pytest.approx(3, abs=0.3)  # the spread of all pixels together would say 0.3
    assert found[:, 20:].mean() == pytest.approx(3, abs=0.3)


def test_healthy_maps_have_mean_0_and_spread_1(halves):
    atlas = fitted(drawn(*halves))
    calm = atlas(drawn(*halves, seed=1))[..., :12]
    assert calm.mean().item() == pytest.approx(0, abs=0.05)
    assert calm.std().item() == pytest.approx(1, abs=0.05)


def test_how_healthy_scans_are_batched_does_not_matter(halves):
    maps = drawn(*halves, count=30)
    masks = maps > 0.05
    parts = HealthyAtlas()
    parts.fit(zip(maps.split(7), masks.split(7), strict=True))
    whole = fitted(maps, masks)
    torch.testing.assert_close(parts.mean, whole.mean)
    torch.testing.assert_close(parts.spread, whole.spread)


def test_scans_in_which_a_pixel_does_not_count_say_nothing_of_it():
    maps = drawn(torch.full((32, 32), 0.4), torch.full((32, 32), 0.1), count=200)
    masks = everywhere(maps)
    masks[:150] = False
    maps[:150] = 99.0
    atlas = fitted(maps, masks)
    assert atlas.mean.mean().item() == pytest.approx(0.4, abs=0.02)
    assert atlas.spread.mean().item() == pytest.approx(0.1, abs=0.02)


@pytest.mark.parametrize("shown", [0, 4])
def test_a_pixel_that_few_healthy_scans_show_is_measured_by_all_pixels(shown):
    maps = drawn(torch.full((32, 32), 0.4), torch.full((32, 32), 0.1))
    masks = everywhere(maps)
    masks[shown:, ..., :8] = False
    maps[:shown, ..., :8] = 2.0
    atlas = fitted(maps, masks)
    assert atlas.mean[:, 0].mean().item() == pytest.approx(maps[masks].mean().item(), abs=1e-5)
    assert atlas.spread[:, 0].mean().item() == pytest.approx(maps[masks].std().item(), abs=1e-4)


def test_pixels_at_which_healthy_scans_never_vary_do_not_explode():
    maps = drawn(torch.full((32, 32), 0.4), torch.full((32, 32), 0.1))
    maps[..., :16] = 0.0
    atlas = fitted(maps)
    assert atlas.spread[:, 0].mean().item() == pytest.approx(0.2 * 0.1 * 0.5**0.5, rel=0.15)  # half of them vary
    assert atlas(torch.full((1, 1, 32, 32), 0.01))[..., 0].abs().max() < 1


@pytest.mark.parametrize("count", [1, 2])
def test_few_and_constant_maps_still_give_finite_ones(count):
    atlas = fitted(torch.full((count, 1, 6, 6), 0.3))
    assert atlas(torch.rand(1, 1, 6, 6)).isfinite().all()


def test_the_atlas_is_smooth_so_that_one_healthy_finding_is_no_place():
    maps = torch.zeros(50, 1, 128, 128)
    maps[0, 0, 64, 64] = 1.0
    atlas = fitted(maps)
    assert atlas.mean[64, 64] < 0.05 / 50
    assert atlas.mean[64, 66] > 0.5 * atlas.mean[64, 64]


def test_after_a_reset_maps_stay_as_they_are(halves):
    atlas = fitted(drawn(*halves))
    atlas.reset()
    maps = torch.rand(1, 1, 32, 32)
    assert torch.equal(atlas(maps), maps)


@pytest.mark.parametrize("start", ["new", "of another size"])
def test_an_atlas_goes_through_a_state_dict(halves, start):
    atlas = fitted(drawn(*halves))
    loaded = HealthyAtlas() if start == "new" else fitted(torch.rand(3, 1, 9, 9))
    loaded.load_state_dict(atlas.state_dict())
    maps = torch.rand(2, 1, 32, 32)
    assert torch.equal(loaded(maps), atlas(maps))
    loaded.mean.zero_()
    assert atlas.mean.max() > 0


def test_an_atlas_that_is_not_fitted_goes_through_a_state_dict_too(halves):
    loaded = fitted(drawn(*halves))
    loaded.load_state_dict(HealthyAtlas().state_dict())
    assert not loaded.is_fitted


def test_a_state_dict_without_an_atlas_is_not_one_of_an_atlas():
    with pytest.raises(RuntimeError, match="Missing key"):
        HealthyAtlas().load_state_dict({})


def test_an_atlas_fitted_in_a_validation_pass_can_be_loaded_into_after_it(halves):
    with torch.inference_mode():
        atlas = fitted(drawn(*halves))
    atlas.mean.zero_()
    assert atlas.mean.max() == 0


@pytest.mark.parametrize("healthy", [[], [(torch.rand(2, 1, 4, 4), torch.zeros(2, 1, 4, 4, dtype=torch.bool))]])
def test_without_a_healthy_scan_there_is_no_atlas(healthy):
    with pytest.raises(MriadError, match=r"score\.atlas=true needs healthy scans in val"):
        HealthyAtlas().fit(healthy)


def test_a_broken_map_is_told():
    maps = torch.rand(2, 1, 4, 4)
    maps[1, 0, 2, 2] = torch.nan
    with pytest.raises(MriadError, match="healthy val maps are not finite"):
        fitted(maps)
