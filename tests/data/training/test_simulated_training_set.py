"""What data of volumes serve a model of simulated lesions."""

import numpy as np
import pandas as pd
import pytest
import torch
from whole_heads import save

from mriad.data.datamodule import MRIDataModule
from mriad.data.layouts import volumes
from mriad.data.preparing.preprocess import Preprocess
from mriad.data.preparing.volumes import PrepareVolume
from mriad.data.roles.splits import GroupedSplit
from mriad.data.training.augment import Augment
from mriad.data.training.simulation import Simulation
from mriad.errors import MriadError


@pytest.fixture
def module(tmp_path):
    """Builds a data module of ten small heads, eight of them healthy."""

    def build(*, contrast="T1", neighbours=1, **options):
        paths = [save(tmp_path / f"{n}.nii.gz", seed=n, lesion=n > 7) for n in range(10)]
        table = pd.DataFrame({"path": paths, "label": [0] * 8 + [1] * 2, "contrast": contrast})
        table.to_csv(tmp_path / "scans.csv", index=False)
        built = MRIDataModule(
            name="heads",
            layout=lambda root, download: volumes(root=root, download=download, contrast=None, manifest="scans.csv"),
            root=tmp_path,
            image_size=48,
            preprocess=PrepareVolume(image_size=48, depth=40, spacing=5.0),
            split=GroupedSplit(val=0.25, test=0.25),
            cache_dir=tmp_path / "cache",
            batch_size=6,
            anomalies=Simulation(contrasts={"T2": 1, "FLAIR": 1}, untouched=0.0),
            slices={"neighbours": neighbours},
            planes=("axial", "coronal", "sagittal"),
            **options,
        )
        built.setup()
        return built

    return build


@pytest.mark.parametrize("neighbours", [0, 1])
def test_batches_are_slabs_in_other_contrasts_with_masks_of_their_middle(module, neighbours):
    torch.manual_seed(0)
    datamodule = module(neighbours=neighbours, augment=Augment(transforms=[]))
    batches = [batch for _, batch in zip(range(6), datamodule.train_dataloader(), strict=False)]

    images, masks = (torch.cat([batch[name] for batch in batches]) for name in ("image", "mask"))
    assert images.shape == (36, 2 * neighbours + 1, 48, 48) and masks.shape == (36, 1, 48, 48)
    assert images.min() >= 0 and images.max() <= 1 and images.dtype == torch.float32
    assert set(masks.unique().tolist()) == {0.0, 1.0}
    assert torch.cat([batch["label"] for batch in batches]).sum() == 0
    shown = torch.from_numpy(np.stack([datamodule.cache.images[row] for row in torch.cat([b["row"] for b in batches])]))
    assert not torch.equal(images[:, neighbours].amax(dim=(1, 2)), shown.amax(dim=(1, 2, 3)) / 255)


def test_examples_are_of_each_contrast(module):
    found = module().training_set.anomaly_examples(3)

    assert list(found) == ["T2", "FLAIR"]
    assert all(images.shape == masks.shape == (3, 48, 48) for images, masks in found.values())


def test_what_trains_are_the_contrasts_that_are_drawn(module):
    assert module().training_set.trained_on()["contrasts"] == ["FLAIR", "T2"]


def test_scans_of_another_contrast_do_not_train(module):
    with pytest.raises(MriadError, match=r"T1-weighted scans .* 'heads' are FLAIR; choose T1-weighted ones"):
        module(contrast="FLAIR").train_dataloader()


def test_pictures_are_refused(tmp_path):
    with pytest.raises(MriadError, match="takes the tissues of volumes, and the scans of data set 'p' are pictures"):
        MRIDataModule(
            name="p",
            layout=lambda root, download: None,
            image_size=32,
            preprocess=Preprocess(image_size=32),
            split=GroupedSplit(),
            cache_dir=tmp_path,
            anomalies=Simulation(contrasts={"T1": 1}),
            slices={"neighbours": 1},
        )
