import math
from functools import partial
from types import SimpleNamespace

import pytest
import torch
from lightning.pytorch.trainer.states import TrainerFn
from scipy import ndimage
from slices import of_unknown_size
from torch import nn
from torch.nn import functional as F

from mriad.errors import MriadError
from mriad.models import SyntheticAnomaly
from mriad.models.synthetic_anomaly import turned
from mriad.models.unet import UNet
from mriad.scoring import Score


class Ramp(nn.Module):
    """Logits that rise from left to right, whatever it is shown, and with the scan's brightness."""

    def forward(self, x):
        return x + torch.linspace(-2, 2, x.shape[-1])


class Constant(nn.Module):
    def __init__(self, logit):
        super().__init__()
        self.logit = logit

    def forward(self, x):
        return torch.full_like(x, self.logit)


def segmenter(network, **options):
    optimizer = partial(torch.optim.Adam, lr=1e-2)
    return SyntheticAnomaly(network=network, score=Score(), optimizer=optimizer, **options)


def test_it_says_that_it_learns_masks():
    assert SyntheticAnomaly.learns_masks


def test_without_flipping_the_map_is_the_probability():
    x = torch.rand(2, 1, 8, 8)
    torch.testing.assert_close(segmenter(Ramp(), flip=False).anomaly_map(x), Ramp()(x).sigmoid())


def test_flipping_averages_a_scan_and_its_mirror_image():
    x = torch.rand(2, 1, 8, 8)
    mirrored = Ramp()(x.flip(-1)).sigmoid().flip(-1)
    torch.testing.assert_close(segmenter(Ramp()).anomaly_map(x), (Ramp()(x).sigmoid() + mirrored) / 2)


@pytest.mark.parametrize(("flip", "same"), [(True, True), (False, False)])
def test_flipping_makes_the_map_of_a_mirror_image_the_mirrored_map(flip, same):
    torch.manual_seed(0)
    detector = segmenter(UNet(image_size=16, widths=[4, 8]), flip=flip).eval()
    x = torch.rand(2, 1, 16, 16)
    with torch.no_grad():
        there, back = detector.anomaly_map(x), detector.anomaly_map(x.flip(-1)).flip(-1)
    assert torch.allclose(there, back, atol=1e-6) == same


@pytest.mark.parametrize("logit", [-1000.0, 0.0, 1000.0])
def test_a_map_is_a_probability(logit):
    anomaly_map = segmenter(Constant(logit)).anomaly_map(torch.rand(1, 1, 8, 8).bfloat16())
    assert anomaly_map.dtype == torch.float32
    torch.testing.assert_close(anomaly_map, torch.full((1, 1, 8, 8), float(logit > 0) or float(logit == 0) / 2))


def test_the_loss_is_cross_entropy_and_weighted_dice_over_all_pixels_and_of_each_sample():
    mask = torch.zeros(2, 1, 8, 8)
    mask[0, :, :4] = 1  # 32 of 128 pixels, all in one scan
    losses = segmenter(Constant(0.5), dice_weight=0.25).training_losses(
        {"image": torch.zeros(2, 1, 8, 8), "mask": mask}
    )
    p = torch.tensor(0.5).sigmoid().item()
    assert set(losses) == {"loss", "cross_entropy", "dice_loss"}
    over_all = 1 - (2 * 32 * p + 1) / (128 * p + 32 + 1)
    of_each = (1 - (2 * 32 * p + 1) / (64 * p + 32 + 1), 1 - 1 / (64 * p + 1))
    assert losses["dice_loss"].item() == pytest.approx((over_all + sum(of_each) / 2) / 2)
    entropy = F.binary_cross_entropy_with_logits(torch.full_like(mask, 0.5), mask).item()
    assert losses["cross_entropy"].item() == pytest.approx(entropy)
    assert losses["loss"].item() == pytest.approx(entropy + 0.25 * losses["dice_loss"].item())


def test_pixels_of_a_small_anomaly_weigh_more():
    mask = torch.zeros(2, 1, 8, 8)
    mask[0, 0, 0, 0], mask[1, 0, :5] = 1, 1  # 1 pixel and 40
    plain, weighted = (
        segmenter(Constant(-1.0), small_weight=weight).training_losses({"image": mask, "mask": mask})["cross_entropy"]
        for weight in (0, 60)
    )
    of_one = F.binary_cross_entropy_with_logits(torch.tensor(-1.0), torch.tensor(1.0))
    more = (1 * 60 / 21 + 40 * 60 / 60) * of_one / mask.numel()
    torch.testing.assert_close(weighted - plain, more)


@pytest.mark.parametrize("present", [True, False])
def test_a_perfect_answer_costs_nothing(present):
    mask = torch.zeros(2, 1, 8, 8)
    mask[:, :, :4] = float(present)

    class Perfect(nn.Module):
        def forward(self, x):
            return 200 * mask - 100

    losses = segmenter(Perfect()).training_losses({"image": mask, "mask": mask})
    assert losses["loss"].item() == pytest.approx(0, abs=1e-6)


def test_healthy_scans_cost_what_is_taken_for_anomalous_in_them():
    x = torch.rand(2, 1, 8, 8)
    quiet, loud = (segmenter(Constant(logit)).losses(x) for logit in (-5.0, 2.0))
    assert quiet["loss"] < loud["loss"]
    told = segmenter(Constant(2.0)).training_losses({"image": x, "mask": torch.zeros_like(x)})
    assert told == loud


def test_after_a_short_training_it_finds_a_planted_blob_and_nothing_in_a_healthy_scan():
    torch.manual_seed(0)
    detector = segmenter(UNet(image_size=32, widths=[8, 16]))
    optimizer = detector.configure_optimizers()
    y, x = torch.meshgrid(torch.arange(32), torch.arange(32), indexing="ij")

    def batch(count=16):
        centres = torch.randint(6, 26, (2, count, 1, 1))
        mask = (((y - centres[0]) ** 2 + (x - centres[1]) ** 2) < 16).float().unsqueeze(1)
        mask[: count // 4] = 0
        return {"image": 0.3 + 0.1 * torch.rand(count, 1, 32, 32) + 0.3 * mask, "mask": mask}

    for _ in range(60):
        loss = detector.training_losses(batch())["loss"]
        optimizer.zero_grad()
        loss.backward()
        optimizer.step()
    detector.eval()
    unseen = batch()
    with torch.no_grad():
        anomaly_map, scores = detector.scan(of_unknown_size(unseen["image"]))
    inside = unseen["mask"] == 1
    assert anomaly_map[inside].mean() > 0.8 > 0.1 > anomaly_map[~inside].mean()
    assert scores[4:].min() > scores[:4].max()


def test_a_quarter_turn_turns_every_pixel_and_comes_back():
    x = torch.rand(2, 1, 8, 8)
    quarter = turned(x, math.pi / 2)
    assert any(torch.allclose(quarter, x.rot90(times, (2, 3)), atol=1e-5) for times in (1, 3))
    torch.testing.assert_close(turned(quarter, -math.pi / 2), x, atol=1e-5, rtol=0)
    assert turned(x, 0.0) is x


def test_a_spot_stays_in_its_place_however_the_scan_is_turned():
    x = torch.zeros(1, 1, 33, 33)
    x[0, 0, 24:27, 10:13] = 2.0
    detector = segmenter(Ramp(), flip=False, turns=[0.3])
    shown = detector.anomaly_map(x) - detector.anomaly_map(0 * x)
    assert ndimage.center_of_mass(shown[0, 0].numpy()) == pytest.approx((25, 11), abs=0.2)


def test_the_map_is_the_mean_over_the_turns():
    x = torch.rand(2, 1, 16, 16)
    alone = [segmenter(Ramp(), turns=[angle]).anomaly_map(x) for angle in (0.0, 0.2, -0.2)]
    torch.testing.assert_close(segmenter(Ramp(), turns=[0.0, 0.2, -0.2]).anomaly_map(x), sum(alone) / 3)


def test_while_it_trains_it_looks_at_val_as_it_is():
    x = torch.rand(2, 1, 16, 16)
    detector = segmenter(Ramp(), turns=[0.0, 0.2])
    whole, plain = detector.anomaly_map(x), segmenter(Ramp()).anomaly_map(x)
    detector.trainer = SimpleNamespace(state=SimpleNamespace(fn=TrainerFn.FITTING))
    torch.testing.assert_close(detector.anomaly_map(x), plain)
    detector.trainer.state.fn = TrainerFn.VALIDATING
    torch.testing.assert_close(detector.anomaly_map(x), whole)


def test_no_turn_at_all_is_told():
    with pytest.raises(MriadError, match=r"model\.turns"):
        segmenter(Ramp(), turns=[])


def test_a_slab_has_the_map_and_the_mask_of_its_middle_slice():
    torch.manual_seed(0)
    detector = segmenter(UNet(image_size=16, widths=[4, 8], mirror=True, neighbours=1), turns=[0.0, 0.2])
    slabs, masks = torch.rand(3, 3, 16, 16), (torch.rand(3, 1, 16, 16) < 0.1).float()
    assert detector.anomaly_map(slabs).shape == (3, 1, 16, 16)
    detector.training_losses({"image": slabs, "mask": masks})["loss"].backward()
    healthy, told = detector.losses(slabs), detector.training_losses({"image": slabs, "mask": 0 * masks})
    torch.testing.assert_close(healthy["loss"], told["loss"])
