from functools import partial

import numpy as np
import pytest
import torch
from scipy.ndimage import uniform_filter
from slices import of_unknown_size
from torch import nn

from mriad.models import CompactVAE
from mriad.models.networks import VAENetwork
from mriad.published.residual_vae import ResidualVAE, ResidualVAENetwork
from mriad.scoring import Score

LATENT = 3


class Given(nn.Module):
    """A network whose code and image are given."""

    latent_dim = LATENT

    def __init__(self, mu, logvar, image):
        super().__init__()
        self.mu, self.logvar, self.image = mu, logvar, image

    def encode(self, x):
        return self.mu, self.logvar

    def decode(self, z):
        return self.image


def build(kind, network, **options):
    common = {"beta": 0.005, "score": Score(), "optimizer": partial(torch.optim.SGD, lr=0.1)}
    return kind(network=network, **{**common, **options})


def small(kind):
    torch.manual_seed(0)
    if kind is ResidualVAE:
        return build(kind, ResidualVAENetwork(image_size=32, latent_dim=LATENT, hidden_dim=8))
    return build(kind, VAENetwork(image_size=32, latent_dim=LATENT, widths=(4, 8)))


@pytest.fixture
def given():
    rng = np.random.default_rng(0)
    x = (rng.random((2, 1, 20, 20)) * (rng.random((2, 1, 20, 20)) > 0.3)).astype(np.float32)
    image = rng.uniform(0.05, 0.95, x.shape).astype(np.float32)
    mu = rng.normal(size=(2, LATENT)).astype(np.float32)
    logvar = rng.normal(size=(2, LATENT)).astype(np.float32)
    return x, image, mu, logvar


def network_of(given):
    _, image, mu, logvar = (torch.from_numpy(part) for part in given)
    return Given(mu, logvar, image)


def kl_terms(mu, logvar):
    """KL(N(mu, s^2) || N(0, 1)) of each number of the code."""
    mu, variance = np.float64(mu), np.exp(np.float64(logvar))
    return 0.5 * (variance + mu**2 - 1 - np.log(variance))


def ssim(a, b):
    a, b = np.float64(a), np.float64(b)

    def mean(image):
        return uniform_filter(image, 11, mode="mirror")

    mu_a, mu_b = mean(a), mean(b)
    var_a, var_b, cov = mean(a * a) - mu_a**2, mean(b * b) - mu_b**2, mean(a * b) - mu_a * mu_b
    return (2 * mu_a * mu_b + 1e-4) * (2 * cov + 9e-4) / ((mu_a**2 + mu_b**2 + 1e-4) * (var_a + var_b + 9e-4))


def test_the_residual_loss_is_the_published_one(given):
    x, image, mu, logvar = given
    p = np.float64(image)
    entropy = -(x * np.log(p) + (1 - x) * np.log(1 - p))
    foreground = entropy[x > 0.05].mean()
    similarity = np.mean([ssim(a[0], b[0]) for a, b in zip(x, image, strict=True)])
    kl = kl_terms(mu, logvar).mean()
    losses = build(ResidualVAE, network_of(given)).eval().losses(torch.from_numpy(x))
    assert losses["kl"].item() == pytest.approx(kl, rel=1e-5)
    assert losses["reconstruction"].item() == pytest.approx(foreground + 5 * (1 - similarity), rel=1e-4)
    assert losses["loss"].item() == pytest.approx(foreground + 5 * (1 - similarity) + 0.005 * kl, rel=1e-4)


def test_background_pixels_enter_the_residual_loss_by_ssim_alone(given):
    x, *_ = given
    vae = build(ResidualVAE, network_of(given), ssim_weight=0.0).eval()
    brighter = vae.network.image.clone()
    brighter[torch.from_numpy(x) <= 0.05] = 0.99
    before = vae.losses(torch.from_numpy(x))["loss"]
    vae.network.image = brighter
    torch.testing.assert_close(vae.losses(torch.from_numpy(x))["loss"], before)


def test_a_batch_without_foreground_has_a_finite_residual_loss():
    black = torch.zeros(1, 1, 20, 20)
    network = Given(torch.zeros(1, LATENT), torch.zeros(1, LATENT), torch.zeros_like(black))
    assert build(ResidualVAE, network).eval().losses(black)["loss"].item() == pytest.approx(0.0, abs=1e-5)


def test_the_residual_loss_stays_finite_where_the_reconstruction_is_surely_wrong():
    x = torch.ones(1, 1, 20, 20)
    network = Given(torch.zeros(1, LATENT), torch.zeros(1, LATENT), torch.zeros_like(x))
    assert build(ResidualVAE, network).eval().losses(x)["reconstruction"].isfinite()


def test_the_residual_loss_under_bf16_autocast_is_close_to_float32():
    vae = small(ResidualVAE).eval()
    x = torch.rand(2, 1, 32, 32, generator=torch.Generator().manual_seed(0))
    plain = vae.losses(x)["loss"]
    with torch.autocast("cpu", dtype=torch.bfloat16):
        autocast = vae.losses(x)["loss"]
    assert autocast.dtype == torch.float32
    assert autocast.item() == pytest.approx(plain.item(), rel=0.02)


def test_the_compact_loss_is_mean_squared_error_and_kl_per_pixel(given):
    x, image, mu, logvar = given
    error = ((np.float64(x) - image) ** 2).mean()
    kl = kl_terms(mu, logvar).sum(axis=1).mean() / 400
    losses = build(CompactVAE, network_of(given), beta=0.3).eval().losses(torch.from_numpy(x))
    assert losses["reconstruction"].item() == pytest.approx(error, rel=1e-5)
    assert losses["kl"].item() == pytest.approx(kl, rel=1e-5)
    assert losses["loss"].item() == pytest.approx(error + 0.3 * kl, rel=1e-5)


@pytest.mark.parametrize("kind", [CompactVAE, ResidualVAE])
def test_a_standard_normal_code_costs_nothing(kind, given):
    x, image, *_ = given
    network = Given(torch.zeros(2, LATENT), torch.zeros(2, LATENT), torch.from_numpy(image))
    assert build(kind, network).eval().losses(torch.from_numpy(x))["kl"].item() == pytest.approx(0.0, abs=1e-7)


@pytest.mark.parametrize("kind", [CompactVAE, ResidualVAE])
def test_the_code_is_sampled_in_training_and_its_mean_is_used_in_evaluation(kind):
    vae = small(kind)
    x = torch.rand(4, 1, 32, 32, generator=torch.Generator().manual_seed(1))
    for module in vae.modules():
        if isinstance(module, nn.Dropout):
            module.p = 0.0  # only the code may be random
    vae.eval()
    assert torch.equal(vae.losses(x)["loss"], vae.losses(x)["loss"])
    assert torch.equal(vae.scan(of_unknown_size(x))[0], vae.scan(of_unknown_size(x))[0])
    assert torch.equal(vae.reconstruct(x), vae.decode(vae.encode(x)))
    vae.train()
    assert vae.losses(x)["reconstruction"] != vae.losses(x)["reconstruction"]


@pytest.mark.parametrize(
    ("epoch", "warmup", "expected"),
    [(0, 20, 0.0), (1, 20, 0.00025), (10, 20, 0.0025), (20, 20, 0.005), (77, 20, 0.005), (0, 0, 0.005)],
)
def test_beta_rises_linearly_in_training(given, monkeypatch, epoch, warmup, expected):
    vae = build(ResidualVAE, network_of(given), warmup_epochs=warmup).train()
    monkeypatch.setattr(ResidualVAE, "current_epoch", epoch)
    assert vae.current_beta == pytest.approx(expected)
    losses = vae.losses(torch.from_numpy(given[0]))
    assert (losses["loss"] - losses["reconstruction"]).item() == pytest.approx(expected * losses["kl"].item(), abs=1e-6)


def test_validation_uses_the_final_beta_in_every_epoch(given):
    vae = build(ResidualVAE, network_of(given), warmup_epochs=20).eval()
    assert vae.current_epoch == 0
    assert vae.current_beta == 0.005


@pytest.mark.parametrize("kind", [CompactVAE, ResidualVAE])
def test_every_parameter_is_trained(kind):
    vae = small(kind).train()
    vae.losses(torch.rand(4, 1, 32, 32))["loss"].backward()
    without = [name for name, p in vae.named_parameters() if p.grad is None or not p.grad.isfinite().all()]
    assert without == []


def test_prior_samples_are_images_that_a_seed_repeats():
    vae = small(CompactVAE).eval()
    torch.manual_seed(1)
    first = vae.prior_samples(4)
    torch.manual_seed(2)
    assert torch.equal(vae.prior_samples(4), first)
    assert first.shape == (4, 1, 32, 32)
    assert not torch.equal(vae.prior_samples(4, seed=1), first)


def test_a_score_does_not_depend_on_batch_mates():
    vae = small(CompactVAE).eval()
    x = torch.rand(3, 1, 32, 32, generator=torch.Generator().manual_seed(0))
    alone = torch.cat([vae.scan(of_unknown_size(x[i : i + 1]))[1] for i in range(3)])
    torch.testing.assert_close(alone, vae.scan(of_unknown_size(x))[1], atol=1e-6, rtol=1e-5)


def test_a_slab_is_judged_by_its_middle_slice(given):
    x, image, *_ = given
    network = network_of(given)
    network.neighbours = 1
    slabs = torch.cat([torch.rand(2, 1, 20, 20), torch.from_numpy(x), torch.rand(2, 1, 20, 20)], dim=1)
    alone = build(CompactVAE, network_of(given), beta=0.3).eval().losses(torch.from_numpy(x))
    vae = build(CompactVAE, network, beta=0.3).eval()
    assert vae.losses(slabs) == alone
    assert torch.equal(vae.anomaly_map(slabs), vae.score.residual(torch.from_numpy(x), torch.from_numpy(image)))
