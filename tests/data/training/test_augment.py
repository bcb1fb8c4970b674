import warnings
from pathlib import Path

import albumentations as A
import hydra
import numpy as np
import pytest
import torch
from hydra.utils import instantiate
from omegaconf import OmegaConf

from mriad.data.training.augment import Augment, RandomContrast

CONF = Path(__file__).parents[3] / "conf"
OPTIONS = sorted(file.stem for file in (CONF / "augment").glob("*.yaml"))


def slices(count: int = 6, size: int = 48) -> np.ndarray:
    """Asymmetric heads: an ellipse with a brighter spot at its upper left."""
    row, column = np.indices((size, size)) / size
    head = ((row - 0.5) / 0.4) ** 2 + ((column - 0.5) / 0.3) ** 2 <= 1
    spot = np.hypot(row - 0.35, column - 0.4) < 0.08
    image = (120 * head + 100 * spot + 20 * head * np.sin(9 * row)).astype(np.uint8)
    return np.stack([image] * count)


def augment_of(option: str) -> Augment | None:
    """The augmentation of conf/augment/<option>.yaml; what albumentations warns of is an error."""
    with hydra.initialize_config_dir(str(CONF), version_base="1.3"):
        cfg = hydra.compose("train", overrides=[f"augment={option}"])
    OmegaConf.set_struct(cfg, False)
    with warnings.catch_warnings():
        warnings.simplefilter("error")
        return instantiate(cfg.data.augment)


def run(augment: Augment, *, seed: int, batches: int = 1) -> np.ndarray:
    torch.manual_seed(seed)
    return np.concatenate([augment(slices()) for _ in range(batches)])


def test_the_options_are_those_that_are_documented():
    assert OPTIONS == ["contrast", "flip", "mild", "moved", "none", "strong"]


@pytest.mark.parametrize("option", [option for option in OPTIONS if option != "none"])
def test_every_option_is_accepted_by_albumentations_and_keeps_shape_and_type(option):
    augment = augment_of(option)
    assert isinstance(augment, Augment)
    with warnings.catch_warnings():
        warnings.simplefilter("error")
        out = run(augment, seed=0, batches=8)
    assert out.shape == (48, 48, 48)
    assert out.dtype == np.uint8
    changed = [bool((image != slices(1)[0]).any()) for image in out]
    assert any(changed)
    # a head stays a head: neither moved out of the slice nor washed out
    if option == "contrast":  # whose greys change places: then it keeps its shape
        likeness = [np.corrcoef(image.ravel() > 15, slices(1).ravel() > 15)[0, 1] for image in out]
        assert np.median(likeness) > 0.6
    else:
        assert min(np.corrcoef(image.ravel(), slices(1).ravel())[0, 1] for image in out) > 0.6


def test_the_option_none_is_no_augmentation():
    assert augment_of("none") is None


@pytest.mark.parametrize("option", [option for option in OPTIONS if option != "none"])
def test_torchs_seed_alone_decides(option):
    augment = augment_of(option)
    np.random.seed(0)
    first = run(augment, seed=3, batches=2)
    np.random.seed(1)
    np.testing.assert_array_equal(first, run(augment_of(option), seed=3, batches=2))
    assert (first != run(augment, seed=4, batches=2)).any()


def test_slices_of_a_batch_and_batches_are_augmented_each_on_its_own():
    augment = augment_of("strong")
    torch.manual_seed(0)
    first, second = augment(slices()), augment(slices())
    assert (first != second).any()
    assert len({image.tobytes() for image in first}) > 1


def test_torchs_generator_moves_by_one_draw_whatever_the_chain():
    after = []
    for augment in (augment_of("flip"), augment_of("strong")):
        torch.manual_seed(7)
        augment(slices())
        after.append(float(torch.rand(())))
    torch.manual_seed(7)
    torch.randint(2**31, ())
    assert after == [float(torch.rand(()))] * 2


def test_a_flip_mirrors_left_and_right():
    out = run(Augment(transforms=[A.HorizontalFlip(p=1)]), seed=0)
    np.testing.assert_array_equal(out, slices()[:, :, ::-1])


def test_transforms_are_applied_in_their_order():
    invert_then_zero = [A.InvertImg(p=1), A.MultiplicativeNoise(multiplier=(0, 0), p=1)]
    assert run(Augment(transforms=invert_then_zero), seed=0).max() == 0
    assert run(Augment(transforms=invert_then_zero[::-1]), seed=0).min() == 255


def test_the_slices_themselves_are_left_as_they_were():
    images = slices()
    images.setflags(write=False)
    before = images.copy()
    augment_of("strong")(images)
    np.testing.assert_array_equal(images, before)


def top_left(count: int = 6, size: int = 48) -> np.ndarray:
    masks = np.zeros((count, size, size), dtype=bool)
    masks[:, 4:20, 4:12] = True
    return masks


@pytest.mark.parametrize("option", [option for option in OPTIONS if option != "none"])
def test_masks_come_back_as_masks_and_the_slices_are_those_without_masks(option):
    augment = augment_of(option)
    torch.manual_seed(0)
    alone = augment(slices())
    torch.manual_seed(0)
    images, masks = augment(slices(), top_left())
    np.testing.assert_array_equal(images, alone)
    assert masks.shape == images.shape and masks.dtype == bool
    assert masks.any(axis=(1, 2)).all()


@pytest.mark.parametrize(
    "transform",
    [
        RandomContrast(p=1),
        A.RandomGamma(gamma_limit=(50, 200), p=1),
        A.GaussNoise(std_range=(0.01, 0.04), p=1),
        A.GaussianBlur(blur_limit=(3, 5), p=1),
    ],
)
def test_what_changes_intensities_leaves_masks_where_they_are(transform):
    images, masks = Augment(transforms=[transform])(slices(), top_left())
    assert (images != slices()).any()
    np.testing.assert_array_equal(masks, top_left())


def test_what_moves_a_scan_moves_its_mask():
    images, masks = Augment(transforms=[A.HorizontalFlip(p=1), A.Affine(translate_px=(0, 5), p=1)])(
        top_left().astype(np.uint8) * 255, top_left()
    )
    assert (masks != top_left()).any(axis=(1, 2)).all()
    np.testing.assert_array_equal(masks, images > 127)


@pytest.mark.parametrize("reorder", [0.0, 1.0])
def test_another_contrast_sends_equal_greys_to_equal_greys_and_air_to_black(reorder):
    images = run(Augment(transforms=[RandomContrast(reorder=reorder, p=1)]), seed=0, batches=5)
    assert images.dtype == np.uint8
    assert len({image.tobytes() for image in images}) == len(images)
    before = slices(1)[0]
    for image in images:
        assert (image[before == 0] == 0).all()
        for grey in np.unique(before):
            assert len(np.unique(image[before == grey])) == 1


def test_only_a_contrast_that_may_reorder_changes_the_order_of_tissues():
    def turned(reorder: float) -> float:
        """Share of slices in which some pixel got darker than one that was darker before."""
        order = np.argsort(slices(1)[0].ravel(), kind="stable")
        images = run(Augment(transforms=[RandomContrast(reorder=reorder, p=1)]), seed=0, batches=10)
        return float(np.mean([(np.diff(image.ravel()[order].astype(int)) < 0).any() for image in images]))

    assert turned(0.0) == 0
    assert 0.2 < turned(0.5) < 0.8
    assert turned(1.0) > 0.5


def test_a_share_of_the_slices_keeps_its_contrast():
    images = run(Augment(transforms=[RandomContrast(p=0.5)]), seed=0, batches=20)
    assert (images == slices(1)).all(axis=(1, 2)).mean() == pytest.approx(0.5, abs=0.15)


@pytest.mark.parametrize("option", [option for option in OPTIONS if option != "none"])
@pytest.mark.parametrize("count", [3, 7])
def test_slices_of_a_slab_go_through_the_same_change(option, count):
    """Equal slices stay equal, and are those that a slice alone becomes."""
    augment = augment_of(option)
    for seed in range(5):
        torch.manual_seed(seed)
        alone, moved = augment(slices(), top_left())
        torch.manual_seed(seed)
        slabs, masks = augment(slices()[:, None].repeat(count, axis=1), top_left())
        assert slabs.shape == (6, count, 48, 48) and masks.shape == (6, 48, 48)
        for channel in range(count):
            np.testing.assert_array_equal(slabs[:, channel], alone)
        np.testing.assert_array_equal(masks, moved)


def test_slices_of_a_slab_that_differ_are_moved_alike():
    images = np.stack([slices(2), slices(2)[:, ::-1], 2 * (slices(2) // 4)], axis=1)
    flipped = Augment(transforms=[A.HorizontalFlip(p=1)])(images)
    np.testing.assert_array_equal(flipped, images[..., ::-1])
