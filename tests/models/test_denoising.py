from functools import partial

import pytest
import torch
from torch import nn

from mriad.errors import MriadError
from mriad.models import DenoisingAutoencoder
from mriad.models.unet import UNet
from mriad.scoring import Score


class Watch(nn.Module):
    """Remembers what it is shown, and gives it back shifted."""

    def __init__(self, shift=0.0):
        super().__init__()
        self.shift = shift
        self.seen = []

    def forward(self, x):
        self.seen.append(x.clone())
        return x + self.shift


def dae(network, *, residual="mse", **options):
    optimizer = partial(torch.optim.Adam, lr=5e-3)
    return DenoisingAutoencoder(network=network, score=Score(residual=residual), optimizer=optimizer, **options)


def noise_of(x, **options):
    """What is put on the scans x in one training step."""
    network = Watch()
    dae(network, **options).losses(x)
    return network.seen[0] - x


def test_noise_is_put_on_the_foreground_alone():
    torch.manual_seed(0)
    x = torch.zeros(4, 1, 32, 32)
    x[..., 8:24, 8:24] = 0.5
    x[..., :2] = 0.04  # not quite air
    noise = noise_of(x, foreground_level=0.05)
    assert (noise[x < 0.05] == 0).all()
    assert (noise[x == 0.5] != 0).float().mean() > 0.99


@pytest.mark.parametrize("sigma", [0.1, 0.3])
def test_sigma_is_the_deviation_of_the_noise_on_its_grid(sigma):
    torch.manual_seed(0)
    x = torch.full((200, 1, 16, 16), 0.5)
    noise = noise_of(x, sigma=sigma, resolution=16)  # a knot at each pixel
    assert noise.std().item() == pytest.approx(sigma, rel=0.03)
    assert noise.mean().item() == pytest.approx(0, abs=0.02 * sigma)


def test_between_the_knots_noise_is_interpolated():
    """It is coarse: neighbouring pixels are alike, those a knot apart are not; no pixel is beyond what a knot has."""
    torch.manual_seed(0)
    noise = noise_of(torch.full((100, 1, 64, 64), 0.5), sigma=0.2, resolution=8)
    assert 0.08 < noise.std() < 0.2

    def likeness(distance):
        pairs = torch.stack([noise[..., distance:].flatten(), noise[..., :-distance].flatten()])
        return torch.corrcoef(pairs)[0, 1]

    assert likeness(1) > 0.95
    assert likeness(20).abs() < 0.1


def test_each_scan_has_noise_of_its_own_and_each_step_too():
    torch.manual_seed(0)
    x = torch.full((2, 1, 16, 16), 0.5)
    first, second = noise_of(x), noise_of(x)
    assert not torch.equal(first[0], first[1])
    assert not torch.equal(first, second)


def test_torchs_seed_decides_the_noise():
    x = torch.full((2, 1, 16, 16), 0.5)
    torch.manual_seed(3)
    first = noise_of(x)
    torch.manual_seed(3)
    assert torch.equal(first, noise_of(x))


def test_the_noise_is_rolled_so_that_its_knots_lie_anywhere():
    """Interpolated noise varies most on its knots: over many steps each pixel must have its share of that."""
    torch.manual_seed(0)
    x = torch.full((1, 1, 32, 32), 0.5)
    steps = torch.cat([noise_of(x, resolution=4) for _ in range(800)])
    spread = steps.std(dim=0)
    assert spread.min() > 0.75 * spread.max()


def test_the_loss_is_the_mean_squared_error_over_the_foreground():
    x = torch.zeros(2, 1, 8, 8)
    x[..., :4] = 0.5
    losses = dae(Watch(shift=0.3), sigma=0.0).losses(x)
    assert set(losses) == {"loss"}
    assert losses["loss"].item() == pytest.approx(0.09)


def test_a_black_scan_has_no_loss():
    loss = dae(Watch(shift=0.3)).losses(torch.zeros(2, 1, 8, 8))["loss"]
    assert loss.item() == 0


def test_reconstructing_adds_no_noise_and_stays_in_range():
    network = Watch(shift=0.7)
    x = torch.rand(2, 1, 8, 8)
    reconstruction = dae(network).reconstruct(x)
    assert torch.equal(network.seen[0], x)
    assert torch.equal(reconstruction, (x + 0.7).clamp(0, 1))


@pytest.mark.parametrize(("residual", "expected"), [("l1", 0.1), ("mse", 0.01), ("negative", 0.1), ("positive", 0.0)])
def test_the_map_is_the_residual_to_the_reconstruction(residual, expected):
    x = torch.full((1, 1, 8, 8), 0.5)
    anomaly_map = dae(Watch(shift=0.1), residual=residual).anomaly_map(x)
    torch.testing.assert_close(anomaly_map, torch.full_like(x, expected))


def test_a_planted_patch_is_the_strangest_of_a_scan_after_a_short_training():
    torch.manual_seed(0)
    y, x = torch.meshgrid(torch.linspace(-1, 1, 32), torch.linspace(-1, 1, 32), indexing="ij")
    head = (y**2 + x**2 < 0.8).float()
    level = 0.4 + 0.1 * torch.rand(32, 1, 1, 1)
    healthy = level * head
    detector = dae(UNet(image_size=32, widths=[8, 16]), sigma=0.3, resolution=8)
    optimizer = detector.configure_optimizers()
    for _ in range(120):
        loss = detector.losses(healthy[torch.randint(32, (16,))])["loss"]
        optimizer.zero_grad()
        loss.backward()
        optimizer.step()
    sick = healthy[:8].clone()
    sick[..., 12:17, 14:19] = 0.9
    detector.eval()
    with torch.no_grad():
        maps = detector.anomaly_map(sick)[:, 0] * head  # what it makes of air has no loss
    inside = torch.zeros(32, 32, dtype=torch.bool)
    inside[12:17, 14:19] = True
    strangest = maps.flatten(1).argmax(dim=1)
    assert inside.flatten()[strangest].all()
    assert maps[:, inside].mean() > 5 * maps[:, ~inside & (head == 1)].mean()


@pytest.mark.parametrize("options", [{"sigma": -0.1}, {"resolution": 0}, {"resolution": 2.5}])
def test_noise_that_cannot_be_is_told(options):
    with pytest.raises(MriadError, match=rf"model\.{next(iter(options))}=\S+ is no .*; choose [01] or more"):
        dae(Watch(), **options)


class Middle(Watch):
    """Gives the middle slice back shifted."""

    neighbours = 1

    def forward(self, x):
        return super().forward(x)[:, 1:2]


def test_all_slices_of_a_slab_have_the_same_noise():
    torch.manual_seed(0)
    x = torch.full((2, 3, 16, 16), 0.5)
    network = Middle()
    dae(network).losses(x)
    noise = network.seen[0] - x
    assert noise.abs().max() > 0.1
    assert torch.equal(noise[:, 0], noise[:, 1]) and torch.equal(noise[:, 1], noise[:, 2])
    assert not torch.equal(noise[0], noise[1])


def test_noise_is_to_be_taken_off_the_middle_slice_over_its_foreground():
    x = torch.zeros(2, 3, 8, 8)
    x[:, 0] = 0.9
    x[:, 1, :, :4] = 0.5
    detector = dae(Middle(shift=0.3), sigma=0.0)
    assert detector.neighbours == 1
    assert detector.losses(x)["loss"].item() == pytest.approx(0.09)
    assert detector.anomaly_map(x).shape == (2, 1, 8, 8)
