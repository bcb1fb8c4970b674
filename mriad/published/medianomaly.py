"""The autoencoder and the VAE of the MedIAnomaly benchmark; Cai et al., Medical Image Analysis 2025."""

from __future__ import annotations

import zlib

import torch
from torch import Tensor, nn

from mriad.errors import MriadError
from mriad.models.networks import require_multiple, set_memory_format
from mriad.models.vae import CompactVAE, kl_terms

_WIDTHS = (16, 32, 64, 64)  # channels after each halving of the side


class MedIAnomalyNetwork(nn.Module):
    """Four strided convolutions, a narrow bottleneck, and the way back; 2.35 million parameters at 64 px.

    It works in [-1, 1] inside and ends without an activation, so a reconstruction may leave [0, 1] a little.

    Args:
        image_size: side of the input in pixels, a multiple of 16; 64 in the benchmark.
        latent_dim: width of the bottleneck; 16 in the benchmark.
        channels_last: keep the weights of convolutions channels-last, which is faster where it was measured.
    """

    def __init__(self, *, image_size: int = 64, latent_dim: int = 16, channels_last: bool = True) -> None:
        super().__init__()
        require_multiple("model=ae_medianomaly", image_size, 16)
        self.encoder = _encoder(image_size, latent_dim)
        self.decoder = _decoder(image_size, latent_dim)
        set_memory_format(self, channels_last)

    def forward(self, x: Tensor) -> Tensor:
        """Reconstruct x, (B, 1, S, S) in [0, 1]."""
        return (self.decoder(self.encoder(2 * x - 1)) + 1) / 2


class MedIAnomalyVAENetwork(nn.Module):
    """The same with a Gaussian code.

    Args:
        image_size: side of the input in pixels, a multiple of 16; 64 in the benchmark.
        latent_dim: size of the latent code; 16 in the benchmark.
        channels_last: keep the weights of convolutions channels-last, which is faster where it was measured.
    """

    def __init__(self, *, image_size: int = 64, latent_dim: int = 16, channels_last: bool = True) -> None:
        super().__init__()
        require_multiple("model=vae_medianomaly", image_size, 16)
        self.latent_dim = latent_dim
        self.encoder = _encoder(image_size, 2 * latent_dim)
        self.decoder = _decoder(image_size, latent_dim)
        set_memory_format(self, channels_last)

    def encode(self, x: Tensor) -> tuple[Tensor, Tensor]:
        """Mean and log-variance of the latent code of x (B, 1, S, S) in [0, 1], each (B, latent_dim)."""
        mu, logvar = self.encoder(2 * x - 1).chunk(2, dim=1)
        return mu, logvar

    def decode(self, z: Tensor) -> Tensor:
        """Image (B, 1, S, S), about [0, 1], of a latent code (B, latent_dim)."""
        return (self.decoder(z) + 1) / 2


class MedIAnomalyVAE(CompactVAE):
    """Mean squared error plus beta times the mean KL divergence; the code is sampled in evaluation too.

    The benchmark weights the KL term by 0.005 beside an error of images in [-1, 1]. Here images lie in [0, 1], where
    the error is a quarter of that: beta = 0.00125 is the same loss.

    What is sampled for a scan is drawn from the scan's own bits, so that it scores the same in every batch.
    """

    def reconstruct(self, x: Tensor) -> Tensor:
        """Decoded sample of the code of x."""
        if torch.compiler.is_exporting():
            raise MriadError("it draws its code by the bits of a scan")
        mu, logvar = self.network.encode(x)
        noise = torch.stack([_noise_of(scan, mu.shape[1]) for scan in x.cpu()]).to(mu)
        return self.network.decode(mu + noise * torch.exp(0.5 * logvar))

    def kl(self, mu: Tensor, logvar: Tensor, x: Tensor) -> Tensor:
        """KL divergence averaged over code and batch."""
        return kl_terms(mu, logvar).mean()


def _noise_of(scan: Tensor, latent_dim: int) -> Tensor:
    seed = zlib.crc32(scan.float().contiguous().numpy().tobytes())
    return torch.randn(latent_dim, generator=torch.Generator().manual_seed(seed))


def _encoder(image_size: int, outputs: int) -> nn.Sequential:
    flat = _WIDTHS[-1] * (image_size // 16) ** 2
    layers: list[nn.Module] = []
    for before, after in zip((1, *_WIDTHS[:-1]), _WIDTHS, strict=True):
        convolution = nn.Conv2d(before, after, 4, stride=2, padding=1, bias=False)
        layers += [convolution, nn.BatchNorm2d(after), nn.ReLU()]
    return nn.Sequential(*layers, nn.Flatten(), *_dense(flat, flat), nn.Linear(flat, outputs))


def _decoder(image_size: int, inputs: int) -> nn.Sequential:
    side = image_size // 16
    flat = _WIDTHS[-1] * side**2
    layers: list[nn.Module] = [*_dense(inputs, flat), nn.Linear(flat, flat), nn.Unflatten(1, (_WIDTHS[-1], side, side))]
    for before, after in zip(_WIDTHS[:0:-1], _WIDTHS[-2::-1], strict=True):
        up = nn.ConvTranspose2d(before, after, 4, stride=2, padding=1, bias=False)
        layers += [up, nn.BatchNorm2d(after), nn.ReLU()]
    return nn.Sequential(*layers, nn.ConvTranspose2d(_WIDTHS[0], 1, 4, stride=2, padding=1))


def _dense(inputs: int, outputs: int) -> list[nn.Module]:
    return [nn.Linear(inputs, outputs), nn.BatchNorm1d(outputs), nn.ReLU()]
