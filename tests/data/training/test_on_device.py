"""Augmentation of tensors does what albumentations does to slices, in distribution."""

from pathlib import Path

import albumentations as A
import numpy as np
import pytest
import torch
from hydra.utils import instantiate
from omegaconf import OmegaConf

from benchmarks.heads import head
from mriad.data.training.augment import Augment
from mriad.errors import MriadError

DRAWS = 300
FILES = sorted((Path(__file__).parents[3] / "conf/augment").glob("*.yaml"))


def shipped() -> dict[str, A.BasicTransform]:
    """Every transform of every option file, by file and name."""
    found = {}
    for file in FILES:
        options = OmegaConf.load(file).get("transforms", [])
        for option in options:
            transform = instantiate(option)
            transform.p = 1.0
            found[f"{file.stem}-{type(transform).__name__}"] = transform
    return found


SHIPPED = shipped() | {
    "Affine-far": A.Affine(
        rotate=(60, 90), translate_percent=(0.1, 0.2), scale={"x": (0.5, 0.6), "y": (0.8, 0.9)}, p=1
    ),
    "Affine-shear": A.Affine(shear={"x": (10, 20), "y": (0, 0)}, p=1),
    "RandomBrightnessContrast-mean": A.RandomBrightnessContrast(brightness_by_max=False, p=1),
    "Illumination-darken": A.Illumination(mode="gaussian", effect_type="darken", p=1),
    "GaussianBlur-wide": A.GaussianBlur(blur_limit=0, sigma_limit=(1, 2), p=1),
}


@pytest.fixture(scope="module")
def scan() -> np.ndarray:
    """(64, 64) uint8, lopsided: a flip or a turn shows."""
    picture = head(3, size=64)
    picture[20:28, 34:44] = 250
    picture[40:44, 16:20] = 20
    return picture


def both_ways(transform: A.BasicTransform, scan: np.ndarray) -> tuple[np.ndarray, np.ndarray]:
    """The same slice augmented ``DRAWS`` times by albumentations and on tensors, (DRAWS, 64, 64) in [0, 1]."""
    torch.manual_seed(0)
    slices = np.stack([scan] * DRAWS)
    one_by_one = Augment(transforms=[transform])(slices).astype(np.float32) / 255
    tensors = torch.from_numpy(slices).unsqueeze(1).float() / 255
    # transforms whose slices share a draw need batches to have more than one
    at_once = torch.cat([Augment(transforms=[transform]).on_device(part) for part in tensors.split(1)])
    return one_by_one, at_once.squeeze(1).numpy()


@pytest.mark.parametrize("name", SHIPPED)
def test_a_transform_has_the_distribution_of_its_namesake(name: str, scan: np.ndarray) -> None:
    ours, theirs = both_ways(SHIPPED[name], scan)[::-1]
    assert ours.shape == theirs.shape and ours.min() >= 0 and ours.max() <= 1
    original = scan / np.float32(255)
    for summary in (
        lambda slices: np.abs(slices - original).mean(axis=(1, 2)),  # how much is changed
        lambda slices: slices.mean(axis=(1, 2)),  # brighter or darker
        lambda slices: np.abs(np.diff(slices, axis=2)).mean(axis=(1, 2)),  # sharper or softer
    ):
        one, other = (np.quantile(summary(slices), [0.1, 0.25, 0.5, 0.75, 0.9]) for slices in (ours, theirs))
        assert np.abs(one - other).max() < 0.005 + 0.15 * (other[-1] - other[0])
    assert np.abs(ours.mean(axis=0) - theirs.mean(axis=0)).mean() < 0.015  # where slices go on average
    spread, expected = ours.std(axis=0), theirs.std(axis=0)  # and how far they stray from there
    assert np.abs(spread - expected).mean() < 0.1 * expected.mean() + 0.004


@pytest.mark.parametrize("name", SHIPPED)
def test_slices_of_a_batch_are_drawn_each_for_itself(name: str, scan: np.ndarray) -> None:
    torch.manual_seed(0)
    transform = SHIPPED[name]
    batch = torch.from_numpy(np.stack([scan] * 8)).unsqueeze(1).float() / 255
    changed = Augment(transforms=[transform]).on_device(batch)
    assert changed.shape == batch.shape
    alike = isinstance(transform, A.HorizontalFlip | A.Downscale)  # nothing is drawn, or once for all
    assert torch.equal(changed[0], changed[1]) == alike


def test_a_share_of_the_slices_is_changed(scan: np.ndarray) -> None:
    torch.manual_seed(0)
    batch = torch.from_numpy(np.stack([scan] * 400)).unsqueeze(1).float() / 255
    flipped = (Augment(transforms=[A.HorizontalFlip(p=0.3)]).on_device(batch) != batch).flatten(1).any(dim=1)
    assert 0.22 < flipped.float().mean() < 0.38


def test_a_seed_repeats_a_batch(scan: np.ndarray) -> None:
    batch = torch.from_numpy(np.stack([scan] * 4)).unsqueeze(1).float() / 255
    augment = Augment(transforms=list(SHIPPED.values()))
    torch.manual_seed(1)
    first = augment.on_device(batch)
    torch.manual_seed(1)
    assert torch.equal(first, augment.on_device(batch))
    assert not torch.equal(first, augment.on_device(batch))


@pytest.mark.parametrize(
    ("transform", "sentence"),
    [
        (A.Rotate(), "there is no Rotate for slices on a device; drop it, or set data.on_device=false"),
        (A.Affine(translate_px=(2, 3)), "Affine .* takes translate_px="),
        (A.Affine(border_mode=1), "Affine for slices on a device takes border_mode=0 only, not 1"),
        (A.Affine(fill=255), "Affine .* takes fill=0 only, not 255"),
        (A.ElasticTransform(interpolation=0), "ElasticTransform .* takes interpolation=1 only, not 0"),
        (A.ShiftScaleRotate(), "there is no ShiftScaleRotate for slices on a device"),
        (A.Illumination(mode="linear"), "Illumination .* takes mode=gaussian only, not linear"),
        (A.Downscale(), "Downscale .* takes interpolation_pair=.* only"),
    ],
)
def test_what_is_not_there_is_told(transform: A.BasicTransform, sentence: str) -> None:
    with pytest.raises(MriadError, match=sentence):
        Augment(transforms=[transform]).on_device(torch.zeros(1, 1, 8, 8))
