from functools import partial

import pytest
import torch
from torch import nn

from mriad.errors import MriadError
from mriad.published.medianomaly import MedIAnomalyNetwork, MedIAnomalyVAE, MedIAnomalyVAENetwork
from mriad.scoring import Score


@pytest.fixture
def scans():
    return torch.rand(6, 1, 32, 32, generator=torch.Generator().manual_seed(0))


def vae(**options):
    torch.manual_seed(0)
    network = MedIAnomalyVAENetwork(image_size=32, latent_dim=3)
    return MedIAnomalyVAE(
        network=network, beta=0.5, score=Score(), optimizer=partial(torch.optim.SGD, lr=0.1), **options
    )


def told(layer):
    match layer:
        case nn.Conv2d() | nn.ConvTranspose2d():
            shape = (layer.kernel_size[0], layer.stride[0], layer.padding[0], layer.bias is not None)
            return (type(layer).__name__, layer.in_channels, layer.out_channels, *shape)
        case nn.Linear():
            return ("Linear", layer.in_features, layer.out_features)
        case nn.BatchNorm1d() | nn.BatchNorm2d():
            return (type(layer).__name__, layer.num_features)
    return (type(layer).__name__,)


def test_the_network_is_that_of_the_benchmark():
    network = MedIAnomalyNetwork()
    down = [
        step
        for before, after in ((1, 16), (16, 32), (32, 64), (64, 64))
        for step in (("Conv2d", before, after, 4, 2, 1, False), ("BatchNorm2d", after), ("ReLU",))
    ]
    up = [
        step
        for before, after in ((64, 64), (64, 32), (32, 16))
        for step in (("ConvTranspose2d", before, after, 4, 2, 1, False), ("BatchNorm2d", after), ("ReLU",))
    ]
    dense = [("BatchNorm1d", 1024), ("ReLU",)]
    assert list(map(told, network.encoder)) == [
        *down,
        ("Flatten",),
        ("Linear", 1024, 1024),
        *dense,
        ("Linear", 1024, 16),
    ]
    assert list(map(told, network.decoder)) == [
        ("Linear", 16, 1024),
        *dense,
        ("Linear", 1024, 1024),
        ("Unflatten",),
        *up,
        ("ConvTranspose2d", 16, 1, 4, 2, 1, True),
    ]
    assert sum(weights.numel() for weights in network.parameters()) == 2_351_185


def test_the_network_sees_and_draws_images_in_minus_one_to_one():
    network = MedIAnomalyNetwork(image_size=32, latent_dim=3)
    seen = []
    network.encoder = nn.Module()
    network.encoder.forward = lambda x: seen.append(x) or x
    network.decoder = nn.Module()
    network.decoder.forward = lambda z: torch.full_like(z, -1.0)
    drawn = network(torch.tensor([0.0, 0.5, 1.0]).view(1, 1, 1, 3))
    torch.testing.assert_close(seen[0].flatten(), torch.tensor([-1.0, 0.0, 1.0]))
    assert drawn.eq(0).all()


@pytest.mark.parametrize("network", [MedIAnomalyNetwork, MedIAnomalyVAENetwork])
@pytest.mark.parametrize("size", [0, 24, 65])
def test_a_size_that_cannot_be_halved_four_times_is_refused(network, size):
    with pytest.raises(MriadError, match="multiple of 16"):
        network(image_size=size)


def test_other_sizes_keep_their_shape(scans):
    assert MedIAnomalyNetwork(image_size=32, latent_dim=5)(scans).shape == scans.shape


def test_the_loss_is_a_quarter_of_the_benchmarks(scans):
    """Benchmark: MSE of images in [-1, 1] plus 0.005 x mean KL; ours has beta = 0.00125."""
    detector = vae().eval()
    detector.beta = 0.00125
    mu, logvar = detector.network.encode(scans)
    reconstruction = detector.network.decode(mu)
    kl = -0.5 * (1 + logvar - mu**2 - logvar.exp()).mean()
    theirs = ((2 * scans - 1) - (2 * reconstruction - 1)).square().mean() + 0.005 * kl
    torch.testing.assert_close(4 * detector.losses(scans)["loss"], theirs)


def test_evaluation_samples_the_code(scans):
    detector = vae().eval()
    with torch.inference_mode():
        mean = detector.decode(detector.encode(scans))
        assert not torch.allclose(detector.reconstruct(scans), mean, atol=1e-4)


def test_a_scan_is_sampled_alike_in_every_batch(scans):
    detector = vae().eval()
    with torch.inference_mode():
        together = detector.reconstruct(scans)
        alone = torch.cat([detector.reconstruct(scan[None]) for scan in scans.flip(0)]).flip(0)
    torch.testing.assert_close(together, alone, atol=1e-5, rtol=0)


def test_scans_are_sampled_with_noise_of_their_own():
    """Standard normal noise, seen through a network that passes on what it is given."""

    class Passing(nn.Module):
        latent_dim = 64

        def encode(self, x):
            return torch.zeros(len(x), 64), torch.zeros(len(x), 64)

        def decode(self, z):
            return z

    detector = vae()
    detector.network = Passing()
    noise = detector.reconstruct(torch.rand(200, 1, 4, 4, generator=torch.Generator().manual_seed(1)))
    assert abs(noise.mean()) < 0.05 and abs(noise.std() - 1) < 0.05
    assert torch.corrcoef(noise)[0, 1:].abs().max() < 0.6
