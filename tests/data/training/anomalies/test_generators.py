import numpy as np
import pytest

from mriad.data.training.anomalies import Blob, Deformation, ForeignPatch, Inversion, Ring
from mriad.data.training.anomalies.regions import Region

GENERATORS = {
    "blob": Blob(),
    "texture": Blob(texture=0.3),
    "ring": Ring(),
    "foreign_patch": ForeignPatch(),
    "poisson": ForeignPatch(poisson=True),
    "deformation": Deformation(),
    "inversion": Inversion(),
}
SEEDS = range(25)


@pytest.fixture(params=list(GENERATORS))
def generator(request):
    return GENERATORS[request.param]


def put(generator, scan, brain, *, donor=None, seed=0):
    donor = np.ascontiguousarray(scan[::-1]) if donor is None else donor
    return generator(scan, donor=donor, brain=brain, rng=np.random.default_rng(seed))


def assert_sound(scan, share, brain):
    for image in (scan, share):
        assert image.shape == brain.shape
        assert image.dtype == np.float32
        assert np.isfinite(image).all()
        assert image.min() >= 0 and image.max() <= 1
    assert (share[~brain] == 0).all()


@pytest.mark.parametrize("side", [64, 200])
def test_scan_and_share_stay_in_their_range_and_the_share_in_the_brain(generator, healthy, side):
    (scan, brain), (donor, _) = healthy(side), healthy(side, seed=1)
    for seed in SEEDS:
        new, share = put(generator, scan, brain, donor=donor, seed=seed)
        assert_sound(new, share, brain)


def test_what_is_given_is_left_as_it_was(generator, healthy):
    given = (*healthy(), healthy(seed=1)[0])
    copies = [image.copy() for image in given]
    for seed in range(5):
        put(generator, given[0], given[1], donor=given[2], seed=seed)
    for image, copy in zip(given, copies, strict=True):
        np.testing.assert_array_equal(image, copy)


def test_the_seed_alone_decides(generator, healthy):
    scan, brain = healthy()
    first, again, other = (put(generator, scan, brain, seed=seed) for seed in (3, 3, 4))
    np.testing.assert_array_equal(first, again)
    assert (first[0] != other[0]).any()


def test_anomalies_are_found_in_most_scans_and_change_what_they_cover(generator, healthy):
    scan, brain = healthy(128)
    changes = []
    for seed in SEEDS:
        new, share = put(generator, scan, brain, donor=healthy(128, seed=1)[0], seed=seed)
        if (share > 0.5).any():
            changes.append(np.abs(new - scan)[share > 0.5].mean())
    assert len(changes) > 0.3 * len(SEEDS)  # a deformation of even tissue is not seen
    assert np.median(changes) > 0.03


@pytest.mark.parametrize("name", ["blob", "texture", "foreign_patch", "poisson", "inversion"])
def test_a_scan_is_hardly_changed_where_nothing_is_anomalous(healthy, name):
    scan, brain = healthy(128)
    for seed in SEEDS:
        new, share = put(GENERATORS[name], scan, brain, seed=seed)
        assert np.abs(new - scan)[share == 0].max() < 0.15  # a sum of small changes nearby tells what is seen
        assert np.abs(new - scan)[share == 0].mean() < 0.005
        assert (new[~brain] == scan[~brain]).all()


@pytest.mark.parametrize("name", ["blob", "texture"])
def test_a_blob_changes_nothing_but_what_it_covers(healthy, name):
    scan, brain = healthy()
    for seed in SEEDS:
        new, share = put(GENERATORS[name], scan, brain, seed=seed)
        np.testing.assert_array_equal(new[share == 0], scan[share == 0])


@pytest.mark.parametrize("value", [0.0, 0.05, 0.5, 0.95, 1.0])
def test_a_scan_of_one_value_is_no_trouble(generator, value):
    scan, brain = np.full((64, 64), value, dtype=np.float32), np.zeros((64, 64), dtype=bool)
    brain[10:50, 10:50] = True
    for seed in SEEDS:
        assert_sound(*put(generator, scan, brain, seed=seed), brain)


@pytest.mark.parametrize("value", [0.0, 0.3, 0.5, 0.7, 1.0])
@pytest.mark.parametrize("name", ["blob", "ring"])
def test_a_lesion_can_be_told_from_tissue_of_any_intensity(name, value):
    scan, brain = np.full((64, 64), value, dtype=np.float32), np.ones((64, 64), dtype=bool)
    for seed in SEEDS:
        new, share = put(GENERATORS[name], scan, brain, seed=seed)
        assert np.abs(new - scan)[share > 0.9].max() > 0.04, seed


def test_without_a_brain_nothing_is_anomalous(generator, healthy):
    scan, _ = healthy()
    nowhere = np.zeros(scan.shape, dtype=bool)
    for seed in SEEDS:
        new, share = put(generator, scan, nowhere, seed=seed)
        assert_sound(new, share, nowhere)


def test_a_brain_that_fills_the_image_is_no_trouble(generator, healthy):
    scan, _ = healthy()
    everywhere = np.ones(scan.shape, dtype=bool)
    for seed in range(60):
        assert_sound(*put(generator, scan, everywhere, seed=seed), everywhere)


@pytest.mark.parametrize("edge", [np.s_[:3], np.s_[-3:], np.s_[:, :3], np.s_[:, -3:], np.s_[:1], np.s_[:, -1:]])
def test_a_brain_along_the_border_of_the_image_is_no_trouble(generator, healthy, edge):
    scan, _ = healthy()
    brain = np.zeros(scan.shape, dtype=bool)
    brain[edge] = True
    for seed in range(10):
        assert_sound(*put(generator, scan, brain, seed=seed), brain)


def test_a_brain_of_one_pixel_is_no_trouble(generator, healthy):
    scan, _ = healthy()
    brain = np.zeros(scan.shape, dtype=bool)
    brain[20, 30] = True
    for seed in range(10):
        assert_sound(*put(generator, scan, brain, seed=seed), brain)


@pytest.mark.parametrize("kind", [Blob, Ring, ForeignPatch, Inversion])
def test_diameters_bound_what_is_anomalous(healthy, kind):
    scan, _ = healthy(128)
    everywhere = np.ones(scan.shape, dtype=bool)

    def area(diameter):
        shares = [put(kind(diameter=diameter), scan, everywhere, seed=seed)[1] > 0.5 for seed in SEEDS]
        return np.median([share.sum() for share in shares])

    small, large = area((0.1, 0.1)), area((0.3, 0.3))
    assert 0.3 < small / (np.pi * 6.4**2) < 1.3
    assert large > 5 * small


def test_opacity_is_the_share_of_the_tissue_that_a_blob_hides(healthy):
    scan, brain = healthy()

    def left(opacity):
        """Standard deviation inside, relative to the tissue's."""
        stds = []
        for seed in SEEDS:
            blob = Blob(diameter=(0.3, 0.4), opacity=(opacity, opacity))
            new, share = put(blob, scan, brain, seed=seed)
            stds.append(new[share == 1].std() / scan[share == 1].std())
        return np.median(stds)

    assert left(1.0) == pytest.approx(0, abs=1e-5)
    assert left(0.5) == pytest.approx(0.5, abs=1e-5)


def test_texture_is_noise_inside_a_blob(healthy):
    scan, brain = healthy()
    options = {"diameter": (0.3, 0.4), "opacity": (1.0, 1.0)}
    stds = []
    for seed in SEEDS:
        new, share = put(Blob(texture=0.3, **options), scan, brain, seed=seed)
        stds.append(new[share == 1].std())
    assert 0.02 < np.mean(stds) < 0.3


def test_a_ring_s_rim_and_core_differ():
    scan, brain = np.full((128, 128), 0.5, dtype=np.float32), np.ones((128, 128), dtype=bool)
    for seed in SEEDS:
        radius = Region.draw(brain, (0.4, 0.4), np.random.default_rng(seed)).radius
        new, _ = put(Ring(diameter=(0.4, 0.4)), scan, brain, seed=seed)
        core, rim = new[radius < 0.3], new[(radius > 0.85) & (radius < 0.95)]
        assert abs(np.median(core) - np.median(rim)) > 0.05, seed


def test_oedema_around_a_ring_is_not_counted_as_lesion():
    scan, brain = np.full((128, 128), 0.5, dtype=np.float32), np.ones((128, 128), dtype=bool)
    outside = []
    for seed in SEEDS:
        new, share = put(Ring(), scan, brain, seed=seed)
        outside.append(np.abs(new - scan)[share == 0].max())
    with_oedema = np.array(outside) > 0.01
    assert 0.2 < with_oedema.mean() < 0.8
    assert (np.array(outside)[~with_oedema] == 0).all()


def test_a_foreign_patch_is_tissue_of_the_donor():
    """The scan is dark throughout and the donor bright."""
    scan, donor = np.full((2, 64, 64), [[[0.2]], [[0.9]]], dtype=np.float32)
    brain = np.ones(scan.shape, dtype=bool)
    for seed in SEEDS:
        new, share = put(ForeignPatch(opacity=(1.0, 1.0)), scan, brain, donor=donor, seed=seed)
        np.testing.assert_allclose(new[share == 1], 0.9, atol=1e-6)
        half, share = put(ForeignPatch(opacity=(0.5, 0.5)), scan, brain, donor=donor, seed=seed)
        np.testing.assert_allclose(half[share == 1], 0.55, atol=1e-6)


def test_a_poisson_patch_takes_the_gradients_of_the_donor_and_not_its_brightness(healthy):
    scan, donor = np.full((2, 64, 64), [[[0.2]], [[0.9]]], dtype=np.float32)
    brain = np.ones(scan.shape, dtype=bool)
    for seed in SEEDS:
        new, share = put(ForeignPatch(poisson=True), scan, brain, donor=donor, seed=seed)
        np.testing.assert_allclose(new, scan, atol=2 / 255)
        assert (share == 0).all()
    textured, _ = healthy(64)
    shown = [put(ForeignPatch(poisson=True), scan, brain, donor=textured, seed=seed)[1].any() for seed in SEEDS]
    assert np.mean(shown) > 0.4


def test_a_poisson_patch_lies_where_it_was_cut_out(healthy, monkeypatch):
    """Tissue of the scan itself, put back where it came from, cannot be seen; a pixel off, it could."""
    monkeypatch.setattr("mriad.data.training.anomalies.generators._moved", lambda donor, rng: donor)
    scan, brain = healthy()
    for seed in range(60):
        new, _ = put(ForeignPatch(poisson=True), scan, brain, donor=scan, seed=seed)
        np.testing.assert_allclose(new, scan, atol=3 / 255)


def test_where_donor_and_scan_agree_nothing_is_anomalous():
    """A patch that nobody can see is not asked for."""
    scan, brain = np.full((64, 64), 0.4, dtype=np.float32), np.ones((64, 64), dtype=bool)
    for seed in SEEDS:
        new, share = put(ForeignPatch(), scan, brain, donor=scan, seed=seed)
        np.testing.assert_allclose(new, scan, atol=1e-6)
        assert (share == 0).all()


def test_a_deformation_keeps_intensities_within_those_of_the_scan(healthy):
    scan, brain = healthy()
    for seed in SEEDS:
        new, _ = put(Deformation(), scan, brain, seed=seed)
        assert new.min() >= scan.min() and new.max() <= scan.max()


def test_nothing_outside_the_brain_is_moved(healthy):
    scan, brain = healthy()
    for seed in SEEDS:
        new, _ = put(Deformation(), scan, brain, seed=seed)
        np.testing.assert_array_equal(new[~brain], scan[~brain])


def test_a_deformation_draws_tissue_in_or_pushes_it_away(monkeypatch):
    """A small spot in the middle of the region grows where tissue is pushed outwards, and shrinks where it is drawn."""
    y, x = np.mgrid[:128, :128]
    brain = np.hypot(y - 64, x - 64) < 60
    middle = np.hypot(y - 64, x - 64) < 1  # every region is centred here
    draw = Region.draw
    monkeypatch.setattr(Region, "draw", lambda brain, diameter, rng: draw(middle, diameter, rng))
    scan = (np.hypot(y - 64, x - 64) < 8).astype(np.float32)
    areas = np.array(
        [put(Deformation(diameter=(0.4, 0.4)), scan, brain, seed=seed)[0].sum() / scan.sum() for seed in SEEDS]
    )
    assert (areas > 1.2).any() and (areas < 0.9).any()


def test_a_deformation_of_no_strength_is_none(healthy):
    scan, brain = healthy()
    new, share = put(Deformation(strength=0.0), scan, brain)
    np.testing.assert_allclose(new, scan, atol=1e-6)
    assert (share == 0).all()


def test_inversion_turns_the_order_of_the_greys_round(healthy):
    scan, brain = healthy(128)
    for seed in SEEDS:
        new, share = put(Inversion(diameter=(0.3, 0.4)), scan, brain, seed=seed)
        inside = (share == 1) & (new > 0) & (new < 1)
        if inside.sum() > 20:
            assert np.corrcoef(new[inside], scan[inside])[0, 1] == pytest.approx(-1, abs=1e-3)


def slab_of(healthy, side=64, count=3):
    """(count, side, side) of a head that changes a little from slice to slice, and its brain."""
    (scan, brain), (other, _) = healthy(side), healthy(side, seed=1)
    return np.stack([0.9 * scan + 0.1 * (place / count) * other for place in range(count)]).astype(np.float32), brain


@pytest.mark.parametrize("count", [3, 7])
def test_through_a_slab_all_stays_in_its_range_and_the_share_in_the_brain(generator, healthy, count):
    slab, brain = slab_of(healthy, count=count)
    donor = np.ascontiguousarray(slab[:, ::-1])
    copies = slab.copy(), donor.copy()
    for seed in SEEDS:
        new, share = put(generator, slab, brain, donor=donor, seed=seed)
        assert new.shape == share.shape == slab.shape
        for slice_, its in zip(new, share, strict=True):
            assert_sound(slice_, its, brain)
    np.testing.assert_array_equal(copies[0], slab)
    np.testing.assert_array_equal(copies[1], donor)


@pytest.mark.parametrize("name", ["blob", "texture", "ring", "foreign_patch", "inversion"])
def test_an_anomaly_of_the_middle_continues_in_neighbours_and_is_no_larger_there(healthy, name):
    slab, brain = slab_of(healthy)
    slab[:] = slab[1]  # equal slices, so that the same change can be told
    continued = []
    for seed in range(60):
        new, share = put(GENERATORS[name], slab, brain, seed=seed, donor=np.ascontiguousarray(slab[:, ::-1]))
        inside = share > 0.5
        if not inside[1].any():
            continue
        for side in (0, 2):
            assert not (inside[side] & ~inside[1]).any()
            continued.append(bool(inside[side].any()))
            core = share[side] == 1
            if name != "ring" and core.any():  # there it is as in the middle
                np.testing.assert_allclose(new[side][core], new[1][core], atol=1e-5)
    assert 0.3 < np.mean(continued) < 1


def test_a_blob_is_as_bright_in_the_neighbours_as_in_the_middle(healthy):
    slab, brain = slab_of(healthy)
    seen = 0
    for seed in SEEDS:
        new, share = put(Blob(opacity=(1.0, 1.0)), slab, brain, seed=seed)
        whole = share == 1
        seen += whole[0].any() or whole[2].any()
        assert not whole.any() or np.ptp(new[whole]) < 1e-5
    assert seen > 5
