import numpy as np
import pytest

from mriad.data.training.anomalies.regions import Region, smooth_noise


def disc(side, radius=0.7):
    y, x = np.mgrid[-1 : 1 : side * 1j, -1 : 1 : side * 1j]
    return np.hypot(y, x) < radius


def regions(brain, diameter, count=60):
    return [Region.draw(brain, diameter, np.random.default_rng(seed)) for seed in range(count)]


@pytest.mark.parametrize("side", [64, 200])
def test_a_region_is_centred_in_the_brain(side):
    brain = disc(side, radius=0.3)
    for region in regions(brain, (0.1, 0.4)):
        assert brain[region.centre]
        assert region.radius[region.centre] == 0
        assert region.radius.shape == (side, side)


def test_centres_lie_all_over_the_brain():
    centres = np.array([region.centre for region in regions(disc(64), (0.1, 0.4), count=200)])
    assert (np.ptp(centres, axis=0) > 30).all()


def test_without_a_brain_a_centre_may_lie_anywhere():
    centres = np.array([region.centre for region in regions(np.zeros((32, 32), dtype=bool), (0.1, 0.4))])
    assert centres.min() >= 0 and centres.max() <= 31
    assert (np.ptp(centres, axis=0) > 20).all()


@pytest.mark.parametrize("side", [64, 200])
def test_diameters_are_shares_of_the_side_and_log_uniform(side):
    sizes = np.array([2 * region.size / side for region in regions(disc(side), (0.1, 0.4), count=300)])
    assert sizes.min() >= 0.1 and sizes.max() <= 0.4
    assert np.median(sizes) == pytest.approx(0.2, rel=0.1)  # the geometric mean


def test_areas_are_about_those_of_discs_of_the_diameter():
    brain = disc(200, radius=0.05)  # regions are not cut by the border of the image
    areas = [(region.radius < 1).sum() / (np.pi * region.size**2) for region in regions(brain, (0.2, 0.3))]
    assert np.mean(areas) == pytest.approx(1, abs=0.1)


def test_outlines_are_irregular_and_differ():
    shapes = {(region.radius < 1).tobytes() for region in regions(disc(64), (0.3, 0.3))}
    assert len(shapes) == 60


def test_alpha_falls_from_one_to_zero_across_the_border():
    region = regions(disc(200, radius=0.05), (0.4, 0.4), count=1)[0]
    alpha = region.alpha(6.0)
    assert alpha.dtype == np.float32
    assert (alpha[region.radius < 0.8] == 1).all()
    assert (alpha[region.radius > 1.2] == 0).all()
    np.testing.assert_allclose(alpha[np.abs(region.radius - 1) < 1e-3], 0.5, atol=0.01)
    soft, hard = (((edge > 0) & (edge < 1)).sum() for edge in (alpha, region.alpha(1.0)))
    assert soft > 3 * hard


def test_no_softness_makes_a_border_of_half_a_pixel():
    alpha = regions(disc(200, radius=0.05), (0.4, 0.4), count=1)[0].alpha(0.0)
    assert np.isfinite(alpha).all()
    assert ((alpha == 0) | (alpha == 1)).mean() > 0.99


def test_a_scale_enlarges_the_region():
    region = regions(disc(200, radius=0.05), (0.2, 0.2), count=1)[0]
    areas = [region.alpha(1.0, scale=scale).sum() for scale in (0.5, 1.0, 2.0)]
    assert areas[1] / areas[0] == pytest.approx(4, rel=0.1)
    assert areas[2] / areas[1] == pytest.approx(4, rel=0.1)


@pytest.mark.parametrize("side", [64, 200])
def test_noise_has_mean_zero_and_a_deviation_of_about_one(side):
    fields = np.stack([smooth_noise(side, 4.0, np.random.default_rng(seed)) for seed in range(40)])
    assert fields.shape == (40, side, side)
    assert fields.dtype == np.float32
    assert fields.mean() == pytest.approx(0, abs=0.05)
    assert 0.6 < fields.std() < 1.2


def test_noise_is_smoother_the_coarser_its_grain():
    def steps(grain):
        field = smooth_noise(128, grain, np.random.default_rng(0))
        return np.abs(np.diff(field, axis=1)).mean() / field.std()

    assert steps(2.0) > 2 * steps(8.0) > 4 * steps(40.0)


def test_a_grain_coarser_than_the_image_is_still_a_field():
    assert np.isfinite(smooth_noise(16, 1000.0, np.random.default_rng(0))).all()


def test_a_region_runs_through_a_slab_as_an_ellipsoid_does():
    brain = disc(64)
    middles, outer = [], []
    for seed in range(60):
        rng = np.random.default_rng(seed)
        flat = Region.draw(brain, (0.1, 0.4), rng)
        through = flat.through(5, rng)
        assert through.radius.shape == (5, 64, 64) and through.centre == flat.centre
        np.testing.assert_array_equal(through.radius[2], flat.radius)
        areas = (through.alpha(1.0) > 0.5).sum(axis=(1, 2))
        assert areas[0] <= areas[1] <= areas[2] >= areas[3] >= areas[4]
        middles.append(areas[2])
        outer += [areas[0], areas[4]]
    assert min(middles) > 0
    assert 0.2 < np.mean(np.array(outer) == 0) < 0.8  # some have ended there, some have not
    assert len(set(outer)) > 40


def test_the_sides_of_a_slab_are_drawn_each_by_itself():
    rng = np.random.default_rng(0)
    flat = Region.draw(disc(64), (0.2, 0.2), rng)
    below, _, above = (flat.through(3, rng).alpha(1.0) > 0.5).sum(axis=(1, 2))
    assert below != above
