import math
from functools import partial

import pytest
import torch
from lightning import Trainer, seed_everything
from sklearn.metrics import roc_auc_score
from slices import of_unknown_size
from torch import nn
from torch.utils.data import DataLoader

from mriad.callbacks import RandomStreams
from mriad.errors import MriadError
from mriad.models import FittedDetector, ReconstructionDetector, TrainedDetector
from mriad.scoring import Score


class Brightness(TrainedDetector):
    """Each pixel is as strange as it is bright; the loss is the mean brightness times a weight."""

    def __init__(self, **options):
        options = {"score": Score(), "optimizer": partial(torch.optim.SGD, lr=0.1), **options}
        super().__init__(**options)
        self.weight = nn.Parameter(torch.tensor(2.0))

    def anomaly_map(self, x):
        return x

    def losses(self, x):
        return {"loss": self.weight * x.mean(), "mean": x.mean()}


class Blur(ReconstructionDetector):
    """Reconstructs a scan as its mean, in half precision as under bf16."""

    def reconstruct(self, x):
        return x.mean(dim=(2, 3), keepdim=True).expand_as(x).bfloat16()


class MeanScan(FittedDetector, ReconstructionDetector):
    """Reconstructs every scan as the mean healthy one, and remembers how bright each was."""

    def __init__(self):
        super().__init__(score=Score(residual="l1"))
        self.register_buffer("mean", torch.zeros(1, 0, 4))
        self.register_buffer("brightness", torch.zeros(0))

    def fit_healthy(self, loader):
        images = torch.cat([batch["image"] for batch in loader])
        self.mean, self.brightness = images.mean(dim=0), images.mean(dim=(1, 2, 3))

    def reconstruct(self, x):
        return self.mean.expand_as(x)


def scans(labels, brightness, first=0):
    return {
        "image": torch.tensor(brightness, dtype=torch.float32).view(-1, 1, 1, 1).expand(-1, 1, 4, 4).clone(),
        "pixel_area": torch.full((len(labels),), torch.nan),
        "label": torch.tensor(labels),
        "row": torch.arange(first, first + len(labels)),
    }


def loader(*batches):
    return DataLoader(list(batches), batch_size=None)


def trainer(**options):
    return Trainer(
        accelerator="cpu",
        logger=False,
        enable_checkpointing=False,
        enable_progress_bar=False,
        enable_model_summary=False,
        **options,
    )


def validated(*batches, detector=None):
    return trainer().validate(detector or Brightness(), loader(*batches), verbose=False)[0]


def test_val_loss_sees_healthy_scans_only():
    calm = validated(scans([0, 1, 0, 1], [0.1, 0.2, 0.3, 0.4]))
    wild = validated(scans([0, 1, 0, 1], [0.1, 1e6, 0.3, -1e6]))
    assert wild["val/loss"] == calm["val/loss"] == pytest.approx(0.4)
    assert wild["val/mean"] == pytest.approx(0.2)


def test_val_loss_weighs_each_healthy_scan_alike_however_they_are_batched():
    spread = validated(scans([0, 1, 1, 1], [0.9, 0, 0, 0]), scans([0, 0, 0], [0.1, 0.2, 0.4], first=4))
    assert spread["val/mean"] == pytest.approx((0.9 + 0.1 + 0.2 + 0.4) / 4)


def test_a_batch_without_healthy_scans_is_skipped_by_the_losses():
    metrics = validated(scans([1, 1], [math.nan, 50.0]), scans([0, 0], [0.2, 0.4], first=2))
    assert metrics["val/loss"] == pytest.approx(0.6)


def test_val_auroc_is_that_of_all_val_scores():
    labels, brightness = [0, 1, 0, 1, 1, 0], [0.3, 0.2, 0.1, 0.9, 0.3, 0.5]
    metrics = validated(scans(labels[:4], brightness[:4]), scans(labels[4:], brightness[4:], first=4))
    assert metrics["val/auroc"] == pytest.approx(roc_auc_score(labels, brightness))


def test_val_auroc_is_that_of_this_pass_alone():
    detector = Brightness()
    validated(scans([0, 1], [0.9, 0.1]), detector=detector)
    assert validated(scans([0, 1], [0.1, 0.9]), detector=detector)["val/auroc"] == 1.0


@pytest.mark.parametrize("label", [0, 1])
def test_val_auroc_is_left_out_where_val_holds_one_label(label):
    metrics = validated(scans([label] * 3, [0.1, 0.2, 0.3]))
    assert ("val/auroc" in metrics, "val/loss" in metrics) == (False, label == 0)


def test_val_auroc_is_left_out_where_a_score_is_not_finite():
    assert set(validated(scans([0, 1], [0.1, math.nan]))) == {"val/loss", "val/mean"}


@pytest.mark.parametrize("first", [4, 1], ids=["a rank without healthy scans", "uneven shares"])
def test_val_metrics_of_two_processes_are_those_of_all_scans(on_two_ranks, first):
    labels, brightness = [0, 1, 0, 0, 1, 1], [0.3, 0.2, 0.1, 0.9, 0.3, 0.5]
    parts = [(labels[:first], brightness[:first]), (labels[first:], brightness[first:])]

    def work(rank):
        batches = [scans([label], [value]) for label, value in zip(*parts[rank], strict=True)]
        shared = trainer(strategy="ddp", devices=2, use_distributed_sampler=False)
        return shared.validate(Brightness(), loader(*batches), verbose=False)[0]

    alone = validated(scans(labels, brightness))
    for metrics in on_two_ranks(work):
        assert metrics == pytest.approx(alone, rel=1e-6)


class Noise(Brightness):
    """Learns from what it draws, and keeps it; has a buffer, which processes share while they train."""

    def __init__(self):
        super().__init__()
        self.register_buffer("steps", torch.zeros(()))

    def losses(self, x):
        if self.training:
            self.drawn = torch.rand(3)
        return {"loss": self.weight * self.drawn.mean()}


def test_processes_draw_noise_of_their_own_and_learn_one_network(on_two_ranks):
    def work(rank):
        seed_everything(0, verbose=False)
        detector = Noise()
        fit = trainer(
            strategy="ddp",
            devices=2,
            max_epochs=1,
            num_sanity_val_steps=0,
            use_distributed_sampler=False,
            callbacks=[RandomStreams(seed=0)],
        )
        val = [scans([0, 1], [0.1, 0.2])] * (2 - rank)  # one has more than the other
        fit.fit(detector, loader(scans([0, 0], [0.1, 0.2])), loader(*val))
        return detector.drawn.tolist(), detector.weight.item(), float(fit.callback_metrics["train/loss"])

    (drawn, weight, loss), (other, other_weight, other_loss) = on_two_ranks(work)
    assert drawn != other
    assert weight == other_weight == pytest.approx(2.0 - 0.1 * sum(drawn + other) / 6)
    assert loss == other_loss == pytest.approx(2.0 * sum(drawn + other) / 6)


def test_losses_of_training_are_logged_per_epoch():
    fit = trainer(max_epochs=1)
    fit.fit(Brightness(optimizer=partial(torch.optim.SGD, lr=0.0)), loader(scans([0], [0.2]), scans([0], [0.6])))
    assert {name: float(value) for name, value in fit.callback_metrics.items()} == pytest.approx(
        {"train/loss": 0.8, "train/mean": 0.4}
    )


def test_a_step_follows_the_loss():
    detector = Brightness()
    trainer(max_epochs=1).fit(detector, loader(scans([0], [0.5])))
    assert detector.weight.item() == pytest.approx(2.0 - 0.1 * 0.5)


def test_a_test_step_yields_rows_scores_and_maps_on_the_cpu():
    scanned = Brightness().test_step(scans([0, 1], [0.25, 0.75], first=7), 0)
    assert scanned["row"].tolist() == [7, 8]
    assert scanned["score"].tolist() == [0.25, 0.75]
    assert torch.equal(scanned["map"], torch.tensor([0.25, 0.75])[:, None, None].expand(2, 4, 4))


def test_the_score_is_pooled_from_the_map_after_post_processing():
    x = torch.zeros(1, 1, 4, 4)
    x[..., 0, 0] = 0.9
    x[..., 1, 1] = 0.01
    anomaly_map, score = Brightness(score=Score(mask="foreground", pooling="mean")).scan(of_unknown_size(x))
    assert score.item() == pytest.approx(0.9)
    assert anomaly_map[0, 0, 1, 1] == 0


def test_a_residual_is_taken_in_float32():
    x = torch.rand(2, 1, 4, 4, generator=torch.Generator().manual_seed(0))
    detector = Blur(score=Score(residual="l1"))
    anomaly_map, score = detector.scan(of_unknown_size(x))
    assert anomaly_map.dtype == score.dtype == torch.float32
    torch.testing.assert_close(anomaly_map, (x - x.mean(dim=(2, 3), keepdim=True).bfloat16().float()).abs())


def test_scores_do_not_depend_on_batch_mates():
    detector = Blur(score=Score(residual="mse", blur=1.0))
    x = torch.rand(3, 1, 8, 8, generator=torch.Generator().manual_seed(0))
    together = detector.scan(of_unknown_size(x))[1]
    torch.testing.assert_close(torch.cat([detector.scan(of_unknown_size(x[i : i + 1]))[1] for i in range(3)]), together)


def test_the_optimizer_gets_all_parameters_and_the_schedule_watches_val_loss():
    plain = Brightness().configure_optimizers()
    assert plain.param_groups[0]["params"][0].item() == 2.0
    detector = Brightness(scheduler=partial(torch.optim.lr_scheduler.ReduceLROnPlateau, patience=3))
    both = detector.configure_optimizers()
    assert both["lr_scheduler"]["monitor"] == "val/loss"
    assert both["lr_scheduler"]["scheduler"].optimizer is both["optimizer"]


def test_the_schedule_is_stepped_with_val_loss_after_each_epoch():
    # mode 'max' takes the falling loss for a plateau
    schedule = partial(torch.optim.lr_scheduler.ReduceLROnPlateau, mode="max", factor=0.5, patience=0)
    fit = trainer(max_epochs=3)
    batches = loader(scans([0], [0.5]))
    fit.fit(Brightness(scheduler=schedule), batches, batches)
    assert fit.optimizers[0].param_groups[0]["lr"] == pytest.approx(0.1 / 4)


def test_every_checkpoint_carries_the_record(tmp_path):
    detector = Brightness()
    detector.record = {"run_id": "r", "config": {"seed": 1, "widths": [4, 8]}}
    fit = trainer(max_epochs=1)
    fit.fit(detector, loader(scans([0], [0.5])))
    fit.save_checkpoint(tmp_path / "last.ckpt")
    content = torch.load(tmp_path / "last.ckpt", weights_only=True)
    assert content["mriad"] == {"run_id": "r", "config": {"seed": 1, "widths": [4, 8]}}
    assert content["state_dict"]["weight"] == detector.weight


def mean_scan():
    detector = MeanScan()
    detector.fit_healthy([scans([0, 0], [0.1, 0.3]), scans([0], [0.5])])
    return detector


def test_a_fitted_detector_is_validated_without_an_optimizer_or_a_loss():
    metrics = validated(scans([0, 1, 0, 1], [0.31, 0.9, 0.35, 0.0]), detector=mean_scan())
    assert metrics == {"val/auroc": 1.0}


def test_a_fitted_detector_goes_through_a_checkpoint(tmp_path):
    detector = mean_scan()
    detector.record = {"run_id": "r"}
    validate = trainer()
    validate.validate(detector, loader(scans([0, 1], [0.1, 0.2])), verbose=False)
    validate.save_checkpoint(tmp_path / "best.ckpt", weights_only=True)
    content = torch.load(tmp_path / "best.ckpt", weights_only=True)
    loaded = MeanScan()
    loaded.load_state_dict(content["state_dict"])
    assert content["mriad"] == {"run_id": "r"}
    torch.testing.assert_close(loaded.mean, torch.full((1, 4, 4), 0.3))
    torch.testing.assert_close(loaded.brightness, torch.tensor([0.1, 0.3, 0.5]))


def test_loading_does_not_tie_a_fitted_detector_to_what_it_was_loaded_from():
    stored = mean_scan().state_dict()
    loaded = MeanScan()
    loaded.load_state_dict(stored)
    loaded.brightness.zero_()
    assert stored["brightness"].sum() > 0


@pytest.mark.parametrize(
    ("wrong", "told"),
    [
        ({"mean": torch.zeros(1, 4, 5)}, "size mismatch for mean"),
        ({"mean": torch.zeros(4, 4)}, "size mismatch for mean"),
        ({"other": torch.zeros(1)}, "Unexpected key"),
        ({"mean": None}, "Missing key"),
    ],
)
def test_what_does_not_belong_to_a_fitted_detector_is_not_loaded(wrong, told):
    weights = {name: value for name, value in (mean_scan().state_dict() | wrong).items() if value is not None}
    with pytest.raises(RuntimeError, match=told):
        MeanScan().load_state_dict(weights)


def count_masks(monkeypatch):
    """The masks that are found from now on."""
    found, mask = [], Score.mask
    monkeypatch.setattr(Score, "mask", lambda score, x: found.append(score) or mask(score, x))
    return found


def test_what_counts_of_a_scan_is_found_once(monkeypatch):
    found = count_masks(monkeypatch)
    detector, batches = Brightness(score=Score(mask="foreground")), [scans([0, 0], [0.0, 0.4])] * 3
    maps = list(detector.maps(batches))
    assert len(found) == 3
    detector.scan(batches[0])
    assert len(found) == 4
    for anomaly_map, mask in maps:
        assert torch.equal(anomaly_map, batches[0]["image"])
        assert mask.flatten(1).any(dim=1).tolist() == [False, True]


@pytest.mark.parametrize("atlas", [True, False])
def test_only_an_atlas_learns_from_healthy_val_scans(atlas):
    assert Brightness(score=Score(atlas=atlas)).fits_scale == atlas


class Normalised(Brightness):
    """Normalises one value of each scan over the batch."""

    def __init__(self, **options):
        super().__init__(**options)
        self.norm = nn.BatchNorm1d(1)

    def losses(self, x):
        return {"loss": self.norm(x.mean(dim=(2, 3)) * self.weight).square().mean()}


@pytest.mark.parametrize("count", [1, 2])
def test_a_batch_of_one_ends_in_a_sentence_where_scans_are_normalised_over_it(count):
    fit = partial(trainer(max_epochs=1).fit, Normalised(), loader(scans([0] * count, [0.5] * count)))
    if count > 1:
        assert fit() is None
        return
    with pytest.raises(MriadError, match=r"^Normalised normalises .* raise data.batch_size to 2 or more, and add"):
        fit()


@pytest.mark.parametrize(
    ("option", "made"),
    [
        ("optimizer", partial(torch.optim.SGD, lr=-1.0)),
        ("scheduler", partial(torch.optim.lr_scheduler.StepLR, step_size=None, gama=0.1)),
    ],
)
def test_what_an_optimizer_refuses_is_told_with_its_option(option, made):
    with pytest.raises(MriadError, match=rf"^The options model.{option} cannot be used: "):
        trainer(max_epochs=1).fit(Brightness(**{option: made}), loader(scans([0, 0], [0.5, 0.5])))


@torch.inference_mode()
def test_a_volume_is_looked_at_slice_by_slice_and_scored_as_a_whole():
    volumes = torch.rand(2, 1, 4, 8, 8, generator=torch.Generator().manual_seed(1))
    volumes[0, 0, 1] = 0
    detector = Brightness(score=Score(mask="foreground", pooling="max", foreground_level=0.5))
    batch = {"image": volumes, "pixel_area": torch.full((2,), 8.0), "row": torch.arange(2)}
    scanned = detector.test_step(batch, 0)
    expected = volumes[:, 0] * (volumes[:, 0] > 0.5)
    assert torch.equal(scanned["map"], expected)
    assert torch.equal(scanned["score"], expected.flatten(1).amax(dim=1))
    by_slice = expected.flatten(2).amax(dim=2)
    by_slice[0, 1] = torch.nan  # nothing of it counts
    assert torch.equal(scanned["slice_score"].nan_to_num(), by_slice.nan_to_num())
    assert torch.equal(scanned["slice_score"].isnan(), by_slice.isnan())


class Rise(Brightness):
    """A pixel is as strange as it is brighter than in the slice before."""

    neighbours = 1

    def anomaly_map(self, x):
        return (self.judged(x) - x[:, :1]).clamp(min=0)


@torch.inference_mode()
def test_a_volume_is_looked_at_slab_by_slab_where_a_detector_sees_neighbours():
    volumes = torch.rand(2, 1, 4, 8, 8, generator=torch.Generator().manual_seed(1)) + 0.1
    found, _ = Rise().scan(of_unknown_size(volumes))
    before = torch.cat([torch.zeros_like(volumes[:, :, :1]), volumes[:, :, :-1]], dim=2)
    torch.testing.assert_close(found, (volumes - before).clamp(min=0))
    across, _ = Rise(planes=("coronal",)).scan(of_unknown_size(volumes))
    before = torch.cat([torch.zeros_like(volumes[:, :, :, :1]), volumes[:, :, :, :-1]], dim=3)
    torch.testing.assert_close(across, (volumes - before).clamp(min=0))


def test_val_losses_see_slabs_where_a_detector_sees_neighbours():
    seen = []
    detector = Rise()
    detector.losses = lambda x: seen.append(x) or {"loss": x.mean()}
    volumes = torch.rand(2, 1, 4, 8, 8) + 0.1
    batch = {"image": volumes, "label": torch.tensor([0, 1]), "row": torch.arange(2)}
    detector.validation_step(batch | {"pixel_area": torch.full((2,), 8.0)}, 0)
    (slabs,) = seen
    assert torch.equal(slabs[:, 1], volumes[0, 0])
    assert torch.equal(slabs[1:, 0], volumes[0, 0, :-1])


def test_losses_of_volumes_are_those_of_their_slices():
    volumes = torch.rand(3, 1, 4, 8, 8, generator=torch.Generator().manual_seed(1))
    volumes[1, 0, :2] = 0
    detector = Brightness()
    batch = {"image": volumes, "label": torch.tensor([0, 0, 1]), "row": torch.arange(3)}
    detector.validation_step(batch | {"pixel_area": torch.full((3,), 8.0)}, 0)
    assert [count for count, _ in detector._val_losses] == [6]
    slices = torch.cat([volumes[0, 0], volumes[1, 0, 2:]])[:, None]
    assert detector._val_losses[0][1]["loss"] == pytest.approx(float(detector.losses(slices)["loss"]))


@torch.inference_mode()
def test_a_volume_is_looked_at_and_learned_from_in_cubes_where_they_are_asked_for():
    pytest.importorskip("torchio")
    volumes = torch.rand(3, 1, 4, 8, 6, generator=torch.Generator().manual_seed(1))
    detector = Brightness(patches={"size": 4, "overlap": 0.5})
    detector.spatial_dims = 3
    batch = {"image": volumes, "label": torch.tensor([0, 0, 1]), "row": torch.arange(3)}
    scanned = detector.validation_step(batch | {"pixel_area": torch.full((3,), 8.0)}, 0)
    torch.testing.assert_close(scanned["map"], volumes[:, 0])
    torch.testing.assert_close(scanned["score"], volumes.flatten(1).mean(dim=1))
    assert scanned["slice_score"].shape == (3, 4)
    cubes = torch.cat([volumes[:2, ..., y : y + 4, x : x + 4] for y in (0, 2, 4) for x in (0, 2)])
    assert sum(count for count, _ in detector._val_losses) == len(cubes) == 12
    mean = sum(count * float(losses["mean"]) for count, losses in detector._val_losses) / 12
    assert mean == pytest.approx(float(cubes.mean()))
