from functools import partial

import numpy as np
import pandas as pd
import pytest
import torch
from lightning import LightningDataModule, Trainer
from torch.utils.data import DataLoader

from mriad.callbacks import ThresholdCalibration
from mriad.errors import MriadError
from mriad.models import Autoencoder
from mriad.scoring import Score
from mriad.thresholds import Calibration, Conformal, Quantile, Youden


class Black(torch.nn.Module):
    """Reconstructs darkness, so that the map is the scan."""

    def __init__(self):
        super().__init__()
        self.zero = torch.nn.Parameter(torch.tensor(0.0))

    def forward(self, x):
        return x * self.zero


class Val(LightningDataModule):
    def __init__(self, images, labels):
        super().__init__()
        self.images, self.labels = images, labels
        self.groups = [f"p{row}" for row in range(len(labels))]

    def _loader(self):
        rows = torch.arange(len(self.labels))
        parts = rows.split(3)
        return DataLoader(
            [{"image": self.images[part], "label": torch.tensor(self.labels)[part], "row": part} for part in parts],
            batch_size=None,
        )

    train_dataloader = val_dataloader = _loader

    def scans(self, role):
        labels = np.array(self.labels)
        return pd.DataFrame(
            {
                "path": [f"{row}.png" for row in range(len(labels))],
                "group": self.groups,
                "class": np.where(labels == 1, "tumour", "healthy"),
                "label": labels,
                "role": role,
            }
        )


@pytest.fixture
def val():
    images = torch.rand(8, 1, 6, 6, generator=torch.Generator().manual_seed(0)) * 0.5
    labels = [0, 1, 0, 0, 1, 0, 0, 1]
    images[[1, 4, 7]] += 0.4
    return Val(images, labels)


def detector():
    return Autoencoder(network=Black(), score=Score(residual="l1"), optimizer=partial(torch.optim.SGD, lr=0.0))


def trainer(callback):
    return Trainer(
        accelerator="cpu",
        logger=False,
        enable_checkpointing=False,
        enable_progress_bar=False,
        enable_model_summary=False,
        max_epochs=1,
        callbacks=[callback],
    )


def calibrated(val, callback):
    model = detector()
    trainer(callback).validate(model, val, verbose=False)
    return Calibration.from_record(model.record["calibration"])


def test_the_rule_is_fitted_on_the_val_scores(val):
    found = calibrated(val, ThresholdCalibration(rule=Youden()))
    scores = val.images.mean(dim=(1, 2, 3)).numpy().astype(np.float64)
    expected = Youden().fit(scores, np.array(val.labels)).threshold_
    assert found.rule == "youden"
    assert found.threshold == pytest.approx(expected, rel=1e-6)
    assert found.decide(found.val_scores["score"].to_numpy()).tolist() == val.labels


@pytest.mark.parametrize("quantile", [0.5, 0.995])
def test_the_pixel_threshold_is_a_quantile_of_the_healthy_maps_all_pixels_together(val, quantile):
    found = calibrated(val, ThresholdCalibration(rule=Youden(), pixel_quantile=quantile))
    healthy = val.images[torch.tensor(val.labels) == 0].numpy()
    assert found.pixel_threshold == pytest.approx(np.quantile(healthy, quantile), rel=1e-6)


def test_the_groups_of_the_val_scans_are_counted_and_the_promise_is_kept(val):
    found = calibrated(val, ThresholdCalibration(rule=Conformal(alpha=0.2)))
    assert (found.promised_fpr, found.val_fpr) == (0.2, 0.0)
    val.groups = ["p0"] * 4 + ["p1"] * 4
    with pytest.raises(MriadError, match=r"needs 4 independent healthy scans .* val holds 2"):
        calibrated(val, ThresholdCalibration(rule=Conformal(alpha=0.2)))


def test_val_without_a_healthy_scan_is_told_in_a_sentence(val):
    val.labels = [1] * 8
    with pytest.raises(MriadError, match="needs healthy scans in val"):
        calibrated(val, ThresholdCalibration(rule=Quantile()))


def test_anomalous_maps_do_not_move_the_pixel_threshold(val):
    calm = calibrated(val, ThresholdCalibration(rule=Quantile()))
    val.images[torch.tensor(val.labels) == 1] *= 1000
    wild = calibrated(val, ThresholdCalibration(rule=Quantile()))
    assert (wild.pixel_threshold, wild.threshold) == (calm.pixel_threshold, calm.threshold)


def test_the_val_scores_are_kept_scan_by_scan(val):
    table = calibrated(val, ThresholdCalibration(rule=Youden())).val_scores
    assert table["path"].tolist() == [f"{row}.png" for row in range(8)]
    assert table["label"].tolist() == val.labels
    assert set(table["role"]) == {"val"}
    np.testing.assert_allclose(table["score"], val.images.mean(dim=(1, 2, 3)), rtol=1e-6)


def test_a_calibrated_checkpoint_can_be_read_without_running_code(val, tmp_path):
    model = detector()
    passes = trainer(ThresholdCalibration(rule=Youden()))
    passes.validate(model, val, verbose=False)
    passes.save_checkpoint(tmp_path / "best.ckpt", weights_only=True)
    record = torch.load(tmp_path / "best.ckpt", weights_only=True)["mriad"]["calibration"]
    assert record == model.record["calibration"]


def test_a_fit_calibrates_nothing(val):
    model = detector()
    trainer(ThresholdCalibration(rule=Youden())).fit(model, val)
    assert model.record == {}


def test_a_rule_that_needs_anomalies_says_so_at_the_end_of_the_pass(val):
    val.labels = [0] * 8
    with pytest.raises(MriadError, match="'youden' needs anomalous scans in val"):
        calibrated(val, ThresholdCalibration(rule=Youden()))


def test_scores_that_are_not_finite_are_not_calibrated_on(val):
    val.images[2] = float("nan")
    with pytest.raises(MriadError, match="1 of 8 val scores are not finite"):
        calibrated(val, ThresholdCalibration(rule=Youden()))


@pytest.mark.parametrize("quantile", [0, 1, 99.5])
def test_a_pixel_quantile_is_a_quantile(quantile):
    with pytest.raises(MriadError, match=f"pixel_quantile={quantile} is no quantile"):
        ThresholdCalibration(rule=Youden(), pixel_quantile=quantile)
