"""Volumes whose slices train a detector of two dimensions."""

from collections.abc import Callable
from functools import partial
from pathlib import Path

import nibabel
import numpy as np
import pytest
import torch
import whole_heads

from mriad.data.datamodule import MRIDataModule
from mriad.data.layouts import volumes
from mriad.data.preparing.volumes import PrepareVolume
from mriad.data.roles.splits import GroupedSplit
from mriad.geometry.planes import slice_of

PLANES = ("axial", "sagittal")


@pytest.fixture
def module(tmp_path: Path) -> Callable[..., MRIDataModule]:
    """8 healthy heads, and 6 with a lesion, of which 3 are in the labelled pool and 2 of these train."""
    root = tmp_path / "scans"
    for seed in range(8):
        whole_heads.save(root / f"healthy/{seed}.nii.gz", seed)
    for seed in range(8, 14):
        healthy, placed = whole_heads.head(seed)
        levels, _ = whole_heads.head(seed, lesion=True)
        whole_heads.save(root / f"tumour/{seed}.nii.gz", seed, lesion=True)
        mask = root / f"masks/tumour/{seed}.nii.gz"
        mask.parent.mkdir(parents=True, exist_ok=True)
        nibabel.Nifti1Image(((levels != healthy) & (levels > 800)).astype(np.uint8), placed).to_filename(mask)

    def make(*, patches: dict[str, float] | None = None, **slices: int) -> MRIDataModule:
        made = MRIDataModule(
            name="heads",
            layout=partial(volumes, healthy="healthy"),
            root=root,
            image_size=32,
            preprocess=PrepareVolume(image_size=32, depth=24, spacing=8.0),
            split=GroupedSplit(labelled=3),
            cache_dir=tmp_path / "cache",
            planes=PLANES,
            slices={"every": 24, **slices},
            labelled_train=0 if patches else 2,
            labelled_share=0.3,
            patches=patches,
        )
        made.training_set.spatial_dims = 3 if patches else 2
        made.setup()
        return made

    return make


def served(datamodule: MRIDataModule) -> list[np.ndarray]:
    """Images, masks, labels and rows of an epoch."""
    torch.manual_seed(0)
    batches = list(datamodule.train_dataloader())
    return [torch.cat([batch[key] for batch in batches]).numpy() for key in ("image", "mask", "label", "row")]


def test_slabs_train_with_the_masks_and_in_the_order_of_their_middle_slices(module):
    alone, slabs = served(module()), served(module(neighbours=2))
    assert slabs[0].shape == (len(alone[0]), 5, 32, 32)
    np.testing.assert_array_equal(slabs[0][:, 2:3], alone[0])
    for one, other in zip(alone[1:], slabs[1:], strict=True):
        np.testing.assert_array_equal(one, other)


def test_labelled_volumes_train_with_each_slice_that_shows_their_lesion(module):
    datamodule = module()
    labelled = datamodule.training_set.labelled_rows()
    assert len(labelled) == 2 and set(labelled) <= set(datamodule.rows("labelled"))
    images, masks, labels, rows = served(datamodule)
    assert set(rows) == set(labelled) | set(datamodule.rows("train"))
    np.testing.assert_array_equal(labels, np.isin(rows, labelled))
    assert labels.mean() == pytest.approx(0.3, abs=0.05)
    np.testing.assert_array_equal(masks.any(axis=(1, 2, 3)), labels == 1)
    for row in labelled:
        volume = datamodule.cache.masks_of(np.array([row]))[0]
        slices = [slice_of(volume, plane, n) for plane in PLANES for n in range(24 if plane == "axial" else 32)]
        shown = {slice_.tobytes() for slice_ in slices if slice_.any()}
        assert {mask.tobytes() for mask in masks[rows == row, 0].astype(bool)} == shown
    assert images.shape[1:] == masks.shape[1:] == (1, 32, 32)


def test_cubes_train_a_detector_of_cubes_and_whole_volumes_are_tested(module: Callable[..., MRIDataModule]) -> None:
    made = module(patches={"size": 16, "overlap": 0.5, "per_scan": 3, "least_brain": 0.2})
    batches = list(made.train_dataloader())
    rows = torch.cat([batch["row"] for batch in batches]).numpy()
    np.testing.assert_array_equal(np.sort(rows), np.repeat(made.rows("train"), 3))
    assert {batch["image"].shape[1:] for batch in batches} == {(1, 16, 16, 16)}
    assert next(iter(made.test_dataloader()))["image"].shape == (1, 1, 24, 32, 32)
    assert made.training_set.anomaly_examples() == {}
