import itertools

import numpy as np
import pytest
import torch
from scipy import ndimage

from mriad.data.synthetic.contrast import TISSUES, Sequence, Tissue
from mriad.data.training.simulation import Simulation
from mriad.data.training.simulation.acquisition import CONTRASTS, Look, draw_sequence
from mriad.data.training.simulation.fields import smooth_field
from mriad.data.training.simulation.lesions import Lesions
from mriad.data.training.simulation.tissues import TissueMap
from mriad.errors import MriadError
from mriad.geometry.planes import slab_of

SPACING = 2.0
LEVELS = {"fluid": 40, "grey": 120, "white": 200}


@pytest.fixture(scope="module")
def volume():
    """A brain without skull: cortex around white matter around two ventricles, 2 mm."""
    z, y, x = np.meshgrid(*(np.arange(-40, 40),) * 3, indexing="ij")
    radius = np.sqrt((z / 28) ** 2 + (y / 36) ** 2 + (x / 30) ** 2)
    levels = np.zeros(radius.shape, dtype=np.uint8)
    levels[radius < 1.0] = LEVELS["fluid"]
    levels[radius < 0.95] = LEVELS["grey"]
    levels[radius < 0.82] = LEVELS["white"]
    for side in (-7, 7):
        levels[np.sqrt((z / 6) ** 2 + (y / 14) ** 2 + ((x - side) / 4) ** 2) < 1] = LEVELS["fluid"]
    return levels


@pytest.fixture(scope="module")
def tissues(volume):
    return TissueMap(volume, spacing=SPACING)


def simulation(**options):
    return Simulation(contrasts={"T1": 1, "FLAIR": 1}, **options)


def test_tissues_are_those_of_the_levels(volume, tissues):
    slab = tissues.slab(volume, "axial", 40, 1)

    for name, level in LEVELS.items():
        share = getattr(slab, name)[slab.levels == np.float32(level) / 255]
        assert share.size and share.mean() > 0.95
    assert np.allclose(slab.fluid + slab.grey + slab.white, slab.brain, atol=1e-6)


def test_places_are_measured_in_mm(volume, tissues):
    slab = tissues.slab(volume, "axial", 40, 0)

    assert abs(slab.depth[0, 40, 40] - 2 * 28) < 6  # of the shortest way out, upwards
    assert slab.ventricles[0, 40, 47] <= 2  # inside one
    assert abs(slab.ventricles[0, 40, 61] - 2 * 10) < 5  # ten voxels to the side of it


@pytest.mark.parametrize("plane", ["axial", "coronal", "sagittal"])
def test_slabs_lie_as_those_that_networks_see(volume, tissues, plane):
    slab = tissues.slab(volume, plane, 36, 1)

    assert np.array_equal(np.round(255 * slab.levels), slab_of(volume, plane, 36, 1))
    assert np.array_equal(slab.brain, slab.levels > 0)
    near = ndimage.binary_dilation(slab.ventricles <= 2, iterations=2)
    assert near[slab.fluid * (slab.depth > 20) > 0.9].mean() > 0.9  # what is fluid deep inside is a ventricle


def test_fields_are_smooth_and_of_one_scale():
    rng = np.random.default_rng(0)
    field = np.concatenate([smooth_field((3, 64, 64), 6.0, rng) for _ in range(20)])

    assert abs(field.std() - 1) < 0.15 and abs(field.mean()) < 0.15
    assert np.abs(np.diff(field, axis=-1)).mean() < 0.4


@pytest.mark.parametrize(
    ("contrast", "order"),
    [
        ("T1", "fluid grey white"),
        ("T2", "white grey fluid"),
        ("FLAIR", "fluid white grey"),
        ("DWI", "fluid white grey"),
    ],
)
def test_tissues_have_the_order_of_the_contrast(contrast, order):
    rng = np.random.default_rng(0)
    for _ in range(50):
        look = Look.draw(contrast, rng)
        signals = [getattr(look, name) for name in order.split()]
        assert all(brighter > 0.85 * darker for darker, brighter in itertools.pairwise(signals))


def test_gliosis_is_bright_in_flair_and_dark_in_t1():
    rng = np.random.default_rng(0)
    gliosis = Tissue(density=0.85, t1=1600, t2=180, diffusion=1.1)
    for _ in range(50):
        flair, t1 = Look.draw("FLAIR", rng), Look.draw("T1", rng)
        assert flair.signal(gliosis) > max(flair.grey, flair.white)
        assert t1.signal(gliosis) < t1.white


def test_a_fresh_infarct_is_bright_where_diffusion_counts():
    sequence = draw_sequence("DWI", np.random.default_rng(0))
    fresh = Tissue(density=0.9, t1=1800, t2=150, diffusion=0.4)

    assert sequence.signal(fresh) > 1.3 * sequence.signal(TISSUES["grey"])
    assert sequence.signal(TISSUES["csf"]) < 0.5 * sequence.signal(TISSUES["grey"])
    assert Sequence(contrast="T2", tr=4000, te=90).signal(fresh) == pytest.approx(
        0.9 * np.exp(-90 / 150) * (1 - np.exp(-4000 / 1800))
    )


def test_a_mask_marks_what_was_changed(volume, tissues):
    slab = tissues.slab(volume, "axial", 40, 1)
    lesions = Lesions(visible=(0.2, 0.2), any_signal=0.2, several=0.0)  # a second one may hide the first
    shares = []
    for seed in range(40):
        rng = np.random.default_rng(seed)
        look = Look.draw("FLAIR", rng)
        image = look.healthy(slab, rng)
        new, mask = lesions.put_into(image, slab, look, rng)
        assert not (mask & ~slab.brain).any()
        if mask.any():
            shares.append((np.abs(new - image)[mask] > 0.1).mean())  # 0.75 of it by 0.2 where it lets nothing through
    assert len(shares) > 30
    assert np.mean(np.array(shares) > 0.75) > 0.9  # but where a rim passes into its core


def test_some_lesions_are_a_few_mm_wide_and_some_hug_the_ventricles(volume, tissues):
    torch.manual_seed(0)
    slabs = [tissues.slab(volume, "axial", 40, 1)] * 300
    _, masks = simulation(untouched=0.0, several=0.0)(slabs)
    sizes = np.array([mask.sum() * SPACING**2 for mask in masks if mask.any()])
    ventricles = slabs[0].ventricles[1]
    hugging = [mask.any() and ventricles[mask].mean() < 8 for mask in masks]

    assert (sizes < np.pi * 3**2).mean() > 0.05
    assert (sizes > np.pi * 15**2).mean() > 0.05
    assert np.mean(hugging) > 0.05


def test_the_same_seed_gives_the_same_slabs(volume, tissues):
    slabs = [tissues.slab(volume, "coronal", 40, 1)] * 4
    made = []
    for _ in range(2):
        torch.manual_seed(3)
        made.append(simulation()(slabs))

    assert np.array_equal(made[0][0], made[1][0]) and np.array_equal(made[0][1], made[1][1])
    assert made[0][0].shape == (4, 3, 80, 80) and made[0][0].dtype == np.uint8
    assert made[0][1].shape == (4, 80, 80) and made[0][1].dtype == bool
    assert torch.randint(2**31, ()) != 0  # the generator goes on


def test_untouched_slabs_have_no_mask(volume, tissues):
    _, masks = simulation(untouched=1.0)([tissues.slab(volume, "axial", 40, 0)] * 8)

    assert not masks.any()


def test_stripping_leaves_the_brain_or_somewhat_less_or_somewhat_more(volume, tissues):
    slab = tissues.slab(volume, "axial", 40, 1)
    images, masks = simulation(stripped=1.0)([slab] * 30)
    left = (images > 0).sum(axis=(1, 2, 3)) / slab.brain.sum()

    around = ndimage.binary_dilation(slab.brain, np.ones((1, 3, 3)), iterations=2)
    assert not images[:, ~around].any()
    assert 0.8 < left.min() < 0.97 and left.max() > 1.02
    assert masks.any() and not masks[:, ~slab.brain[1]].any()


def test_a_window_shows_what_lies_about_the_brain_in_some_batches(volume, tissues):
    slabs = [tissues.slab(volume, "axial", 40, 1)] * 2
    made = simulation(window=48)
    torch.manual_seed(0)
    sides = [made(slabs)[0].shape[-1] for _ in range(24)]

    assert set(sides) == {48, 80} and sides.count(48) > 12
    cut = slabs[0].window(48)
    assert cut.brain.shape == cut.fluid.shape == cut.depth.shape == (3, 48, 48)
    assert cut.brain.sum() > 0.6 * slabs[0].brain.sum()
    assert slabs[0].window(500).brain.shape == (3, 80, 80)


def test_examples_show_each_contrast_that_is_drawn(volume, tissues):
    shown = Simulation(contrasts={"T1": 1, "T2": 0, "DWI": 2}).examples([tissues.slab(volume, "axial", 40, 1)] * 2)

    assert list(shown) == ["T1", "DWI"]
    assert shown["DWI"][0].shape == (2, 3, 80, 80)


def test_a_slab_beyond_the_brain_is_left_alone(volume, tissues):
    images, masks = simulation(stripped=1.0)([tissues.slab(volume, "axial", 2, 1)] * 3)

    assert not images.any() and not masks.any()


@pytest.mark.parametrize(
    ("options", "said"),
    [
        ({"contrasts": {"T3": 1}}, "T3"),
        ({"contrasts": {}}, "no contrast with a weight"),
        ({"contrasts": {"T1": 0}}, "no contrast with a weight"),
        ({"untouched": 1.5}, "untouched=1.5 is no share"),
        ({"several": 1.0}, "several=1.0 is no chance"),
        ({"visible": [0.3, 0.1]}, r"visible=\[0.3, 0.1\] is no range"),
        ({"noise": [0, 10]}, r"noise=\[0, 10\] is no range"),
        ({"visible": 0.2}, "visible=0.2 is no range"),
        ({"window": 0}, "window=0 is no side of a window"),
    ],
)
def test_options_that_make_no_sense_are_refused(options, said):
    with pytest.raises(MriadError, match=said):
        Simulation(**{"contrasts": dict.fromkeys(CONTRASTS, 1), **options})


def test_iron_darkens_tissue_deep_in_the_brain_alone(volume, tissues):
    slab = tissues.slab(volume, "axial", 40, 1)

    def darker(contrast):
        looks = []
        for share in (0.0, 1.0):
            rng = np.random.default_rng(3)
            looks.append(Look.draw(contrast, rng).healthy(slab, rng, iron=share))
        plain, iron = looks
        return (iron < plain - 0.01) & slab.brain

    # of T1 nothing is drawn, so that not even the random numbers differ
    assert not darker("T1").any()
    found = darker("T2")
    assert found.any()
    assert slab.depth[found].min() >= 20
    assert (slab.fluid[found] < 1).all()
