import pytest
import torch
from omegaconf import OmegaConf

from mriad.errors import MriadError
from mriad.experiment import held_out as room
from mriad.experiment.held_out import held_out
from mriad.models import Intensity
from mriad.models.detector import Detector
from mriad.scoring import Score


class Oracle(Detector):
    """Knows the lesions of the built-in heads: what is a map of it scores 1."""

    spatial_dims = 3

    def __init__(self, masks):
        super().__init__(score=Score())
        self._masks = iter(masks)

    def anomaly_map(self, x):
        return next(self._masks)


@pytest.fixture
def volumes(tmp_path, monkeypatch):
    """Options of data of volumes, and a built-in set of two heads."""
    monkeypatch.setattr(room, "_HEADS", {"healthy_subjects": 1, "diseased_subjects": 2, "spacing": 4.0, "seed": 1})
    preprocess = {
        "_target_": "mriad.data.preparing.volumes.PrepareVolume",
        "image_size": 64,
        "depth": 48,
        "spacing": 4.0,
    }
    options = {
        "_target_": "mriad.data.datamodule.MRIDataModule",
        "name": "mine",
        "root": "/nowhere",
        "layout": {"_target_": "mriad.data.layouts.volumes", "_partial_": True, "contrast": "T1"},
        "image_size": 64,
        "preprocess": preprocess,
        "split": None,
        "cache_dir": str(tmp_path),
    }
    return OmegaConf.create(options)


def test_nothing_is_measured_unless_it_is_asked_for(volumes):
    assert held_out(Intensity(score=Score()), volumes) == {}


@pytest.mark.slow
def test_each_contrast_has_its_pixel_ap_and_all_their_mean(volumes):
    volumes.val_on = ["T1", "FLAIR"]
    found = held_out(Intensity(score=Score(mask="foreground")), volumes)

    assert set(found) == {"held_out/T1/pixel_ap", "held_out/FLAIR/pixel_ap", "held_out/pixel_ap"}
    assert all(0 < value < 1 for value in found.values())
    mean = (found["held_out/T1/pixel_ap"] + found["held_out/FLAIR/pixel_ap"]) / 2
    assert found["held_out/pixel_ap"] == pytest.approx(mean)


@pytest.mark.slow
def test_who_knows_the_lesions_is_right_about_all(volumes):
    datamodule, rows = room.built_in(volumes, "T2")
    masks = torch.from_numpy(datamodule.cache.masks_of(rows)).float()[:, None, None]

    assert room._pixel_ap(Oracle(masks), datamodule, rows) == pytest.approx(1.0)


def test_an_unknown_contrast_is_refused(volumes):
    volumes.val_on = ["T9"]
    with pytest.raises(MriadError, match="T9"):
        held_out(Intensity(score=Score()), volumes)
