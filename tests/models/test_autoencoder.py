from functools import partial

import pytest
import torch
from torch import nn

from mriad.models import Autoencoder
from mriad.models.networks import AutoencoderNetwork
from mriad.scoring import Score


class Half(nn.Module):
    def forward(self, x):
        return x / 2


def autoencoder(network, **score):
    return Autoencoder(network=network, score=Score(**score), optimizer=partial(torch.optim.Adam, lr=3e-3))


def test_the_loss_is_the_mean_squared_error_over_all_pixels():
    x = torch.tensor([0.0, 0.4, 0.8, 1.0]).view(2, 1, 1, 2)
    losses = autoencoder(Half()).losses(x)
    assert set(losses) == {"loss"}
    assert losses["loss"].item() == pytest.approx((0.2**2 + 0.4**2 + 0.5**2) / 4)


@pytest.mark.parametrize(("residual", "expected"), [("l1", [0.0, 0.2]), ("mse", [0.0, 0.04])])
def test_the_map_is_the_residual_to_the_reconstruction(residual, expected):
    x = torch.tensor([0.0, 0.4]).view(1, 1, 1, 2)
    assert autoencoder(Half(), residual=residual).anomaly_map(x).flatten().tolist() == pytest.approx(expected)


def test_it_learns_the_scan_that_it_is_shown():
    torch.manual_seed(0)
    detector = autoencoder(AutoencoderNetwork(image_size=16, latent_dim=8))
    x = torch.zeros(2, 1, 16, 16)
    x[..., 4:12, 4:12] = 0.8
    optimizer = detector.configure_optimizers()
    losses = []
    for _ in range(60):
        loss = detector.losses(x)["loss"]
        optimizer.zero_grad()
        loss.backward()
        optimizer.step()
        losses.append(loss.item())
    assert losses[-1] < losses[0] / 5


def test_a_slab_is_judged_by_its_middle_slice():
    """The network gives back the mean of what it is shown."""

    class Mean(nn.Module):
        neighbours = 1

        def forward(self, x):
            return x.mean(dim=1, keepdim=True)

    detector = autoencoder(Mean(), residual="l1")
    x = torch.tensor([0.1, 0.5, 0.3]).view(1, 3, 1, 1).expand(2, 3, 4, 4)
    assert detector.neighbours == 1
    assert detector.losses(x)["loss"].item() == pytest.approx(0.2**2)
    torch.testing.assert_close(detector.anomaly_map(x), torch.full((2, 1, 4, 4), 0.2))
