from functools import partial
from types import SimpleNamespace

import numpy as np
import pandas as pd
import pytest
import torch
from lightning import LightningDataModule, Trainer
from slices import of_unknown_size
from torch.utils.data import DataLoader

from mriad.callbacks import ScanScores, ThresholdCalibration
from mriad.errors import MriadError
from mriad.models import Autoencoder
from mriad.scoring import Score
from mriad.scoring.postprocess import Median, SmallestComponent
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
        self.pixel_area = torch.full((len(labels),), torch.nan)

    def _loader(self):
        rows = torch.arange(len(self.labels))
        known = {"image": self.images, "pixel_area": self.pixel_area}
        columns = known | {"label": torch.tensor(self.labels), "row": rows}
        parts = rows.split(3)
        return DataLoader([{name: values[part] for name, values in columns.items()} for part in parts], batch_size=None)

    train_dataloader = val_dataloader = test_dataloader = _loader

    def whole(self, role):
        return self._loader()

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


def detector(**score):
    score = Score(**{"residual": "l1", **score})
    return Autoencoder(network=Black(), score=score, optimizer=partial(torch.optim.SGD, lr=0.0))


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


def test_the_level_for_lesions_leaves_healthy_val_scans_one_component_each(val):
    val.images[:] = 0.1
    val.images[..., 0, 0] = torch.linspace(0.2, 0.27, 8)[:, None]
    val.images[torch.tensor(val.labels) == 0, ..., 3, 3] = 0.15
    val.images[torch.tensor(val.labels) == 1, ..., ::2, ::2] = 0.9
    found = calibrated(val, ThresholdCalibration(rule=Youden()))
    assert found.lesion_level == pytest.approx(0.15)


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
    assert table["label"].tolist() == val.labels
    np.testing.assert_allclose(table["score"], val.images.mean(dim=(1, 2, 3)), rtol=1e-6)


def test_a_calibrated_checkpoint_can_be_read_without_running_code(val, tmp_path):
    model = detector()
    passes = trainer(ThresholdCalibration(rule=Youden()))
    passes.validate(model, val, verbose=False)
    passes.save_checkpoint(tmp_path / "best.ckpt", weights_only=True)
    record = torch.load(tmp_path / "best.ckpt", weights_only=True)["mriad"]["calibration"]
    assert record == model.record["calibration"]


WITH_ATLAS = {"atlas": True, "postprocess": [Median(size=3)], "pooling": "top_fraction", "fraction": 0.2}


@pytest.fixture
def many():
    """Healthy scans that vary more and more from left to right; anomalous ones with one spot at the calm left."""
    images = 0.3 + 0.02 * torch.randn(40, 1, 12, 12, generator=torch.Generator().manual_seed(0)) * torch.arange(1, 13)
    labels = [0] * 32 + [1] * 8
    images[32:, ..., 4:8, 1:4] += 0.15
    return Val(images.clamp(0, 1), labels)


def test_calibration_with_an_atlas_is_on_what_a_test_and_a_prediction_give(many, tmp_path):
    model = detector(**WITH_ATLAS)
    calibrating = ThresholdCalibration(rule=Youden())
    passes = trainer(calibrating)
    passes.validate(model, many, verbose=False)
    passes.save_checkpoint(tmp_path / "best.ckpt", weights_only=True)

    loaded, scores = detector(**WITH_ATLAS), ScanScores()
    loaded.load_state_dict(torch.load(tmp_path / "best.ckpt", weights_only=True)["state_dict"])
    trainer(scores).test(loaded, many, verbose=False)
    np.testing.assert_array_equal(scores.scores, calibrating.scores)
    np.testing.assert_array_equal(scores.maps, calibrating.maps)
    found = Calibration.from_record(model.record["calibration"])
    assert found.val_scores["score"].tolist() == scores.scores.tolist()
    assert found.pixel_threshold == pytest.approx(np.quantile(scores.maps[:32], 0.995), rel=1e-6)

    with torch.inference_mode():
        maps, predicted = loaded.eval().scan(of_unknown_size(many.images))
    np.testing.assert_allclose(predicted.numpy(), calibrating.scores, rtol=1e-5)
    np.testing.assert_allclose(maps[:, 0].numpy(), calibrating.maps, rtol=1e-4, atol=1e-5)


def test_an_atlas_finds_at_a_calm_place_what_would_be_nothing_elsewhere(many):
    plain, atlas = (detector(**WITH_ATLAS | {"atlas": atlas}) for atlas in (False, True))
    auroc = [
        trainer(ThresholdCalibration(rule=Youden())).validate(model, many, verbose=False)[0]["val/auroc"]
        for model in (plain, atlas)
    ]
    assert auroc[0] < 0.9
    assert auroc[1] > 0.98


def test_an_atlas_is_of_the_healthy_scans_alone(many):
    calm, wild = detector(**WITH_ATLAS), detector(**WITH_ATLAS)
    trainer(ThresholdCalibration(rule=Youden())).validate(calm, many, verbose=False)
    many.images[32:] = 1.0
    trainer(ThresholdCalibration(rule=Youden())).validate(wild, many, verbose=False)
    assert torch.equal(wild.score.atlas.mean, calm.score.atlas.mean)
    assert torch.equal(wild.score.atlas.spread, calm.score.atlas.spread)
    assert calm.score.atlas.spread[:, -1].mean() > 3 * calm.score.atlas.spread[:, 0].mean()


def test_calibrating_again_gives_the_same(many):
    model, records = detector(**WITH_ATLAS), []
    for _ in range(2):
        trainer(ThresholdCalibration(rule=Youden())).validate(model, many, verbose=False)
        records.append(model.record["calibration"])
    assert records[0] == records[1]


def test_where_the_area_of_a_pixel_is_known_steps_get_it_in_both_passes(val):
    """Of the pixels above 0.25 those are kept whose scan has large pixels; the atlas sees no other."""
    val.images[:] = 0.0
    val.images[..., 2:4, 2:4] = 0.5
    val.pixel_area = torch.tensor([2.0, torch.nan, 0.1, 2.0, 0.1, 2.0, 2.0, torch.nan])
    model = detector(atlas=True, postprocess=[SmallestComponent(area=3.5, threshold=0.25)])
    calibrating = ThresholdCalibration(rule=Youden())
    trainer(calibrating).validate(model, val, verbose=False)
    lesion = calibrating.maps[:, 2, 2]
    assert (lesion == lesion.max()).tolist() == [True, True, False, True, False, True, True, True]
    assert lesion[2] == lesion[4]
    assert model.score.atlas.mean[2, 2].item() == pytest.approx((4 * 0.5 + 0.25) / 5, rel=1e-5)


def test_a_fit_makes_no_atlas(many):
    model = detector(atlas=True)
    trainer(ThresholdCalibration(rule=Youden())).fit(model, many)
    assert not model.score.atlas.is_fitted


def test_an_atlas_without_a_healthy_scan_is_told_in_a_sentence(val):
    val.labels = [1] * 8
    with pytest.raises(MriadError, match=r"score\.atlas=true needs healthy scans in val"):
        trainer(ThresholdCalibration(rule=Quantile())).validate(detector(atlas=True), val, verbose=False)


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


def with_masks(val, masks):
    """Val scans of which those in ``masks``, by row, have a lesion mask."""
    val.cache = SimpleNamespace(
        has_mask=lambda rows: np.isin(rows, list(masks)),
        masks_of=lambda rows: np.array([masks[row] for row in rows], dtype=bool).reshape(-1, 6, 6),
    )
    return val


def spots(*rows):
    """A mask of 2 x 2 pixels for each row."""
    mask = np.zeros((6, 6), dtype=bool)
    mask[2:4, 2:4] = True
    return dict.fromkeys(rows, mask)


def test_by_dice_the_pixel_threshold_cuts_out_the_masks_of_val(val):
    """The spots are brighter than the scans they lie in, but not than the scan without a mask."""
    masks = spots(1, 4)
    for row, mask in masks.items():
        val.images[row, 0] *= 0.3
        val.images[row, 0, mask] = 0.5
    found = calibrated(with_masks(val, masks), ThresholdCalibration(rule=Youden(), pixel_rule="dice"))
    maps = val.images[[1, 4], 0].numpy()
    np.testing.assert_array_equal(maps > found.pixel_threshold, list(masks.values()))


def test_the_best_dice_is_that_of_all_masked_scans_together(val):
    masks = spots(1, 4, 7)
    found = calibrated(with_masks(val, masks), ThresholdCalibration(rule=Youden(), pixel_rule="dice"))
    maps, lesions = val.images[[1, 4, 7], 0].numpy(), np.stack(list(masks.values()))

    def dice(threshold):
        called = maps > threshold
        return 2 * (called & lesions).sum() / (called.sum() + lesions.sum())

    best = max(dice(np.nextafter(value, np.float32(-1))) for value in np.unique(maps))
    assert dice(found.pixel_threshold) == pytest.approx(best)


@pytest.mark.parametrize("masks", [{}, {1: np.zeros((6, 6)), 7: np.zeros((6, 6))}], ids=["no_mask", "no_lesion"])
def test_without_a_lesion_in_a_mask_the_quantile_is_taken(val, masks):
    found = calibrated(with_masks(val, masks), ThresholdCalibration(rule=Youden(), pixel_rule="dice"))
    assert found.pixel_threshold == calibrated(val, ThresholdCalibration(rule=Youden())).pixel_threshold


def test_by_the_quantile_no_mask_is_asked_for(val):
    plain = calibrated(val, ThresholdCalibration(rule=Youden())).pixel_threshold
    with_masks(val, spots(1, 4))
    assert calibrated(val, ThresholdCalibration(rule=Youden(), pixel_rule="quantile")).pixel_threshold == plain


def test_by_components_it_is_the_level_for_lesions(val):
    found = calibrated(val, ThresholdCalibration(rule=Youden(), pixel_rule="components"))
    plain = calibrated(val, ThresholdCalibration(rule=Youden()))
    assert found.pixel_threshold == found.lesion_level == plain.lesion_level != plain.pixel_threshold


def test_masks_move_no_score(val):
    plain = calibrated(val, ThresholdCalibration(rule=Youden()))
    found = calibrated(with_masks(val, spots(1, 4)), ThresholdCalibration(rule=Youden(), pixel_rule="dice"))
    assert found.threshold == plain.threshold


def test_an_unknown_pixel_rule_is_told():
    with pytest.raises(MriadError, match=r"pixel_rule=iou is unknown; choose quantile, dice or components\."):
        ThresholdCalibration(rule=Youden(), pixel_rule="iou")


@pytest.mark.parametrize("quantile", [0, 1, 99.5])
def test_a_pixel_quantile_is_a_quantile(quantile):
    with pytest.raises(MriadError, match=f"pixel_quantile={quantile} is no quantile"):
        ThresholdCalibration(rule=Youden(), pixel_quantile=quantile)
