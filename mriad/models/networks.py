"""The plain networks, without loss or training."""

from __future__ import annotations

from collections.abc import Sequence

import torch
from torch import Tensor, nn
from torch.nn import functional as F

from mriad.errors import MriadError


class AutoencoderNetwork(nn.Module):
    """Three strided convolutions, a dense bottleneck, and the way back.

    Args:
        image_size: side of the input in pixels, a multiple of 8; the published network has 128.
        latent_dim: width of the bottleneck.
        channels_last: keep the weights of convolutions channels-last, which is faster where it was measured.
    """

    def __init__(self, *, image_size: int = 128, latent_dim: int = 256, channels_last: bool = True) -> None:
        super().__init__()
        require_multiple("model=ae", image_size, 8)
        side = image_size // 8
        flat = 128 * side * side
        self.encoder = nn.Sequential(
            nn.Conv2d(1, 32, 3, stride=2, padding=1),
            nn.ReLU(),
            nn.Conv2d(32, 64, 3, stride=2, padding=1),
            nn.ReLU(),
            nn.Conv2d(64, 128, 3, stride=2, padding=1),
            nn.ReLU(),
            nn.Flatten(),
            nn.Linear(flat, latent_dim),
            nn.ReLU(),
        )
        self.decoder = nn.Sequential(
            nn.Linear(latent_dim, flat),
            nn.ReLU(),
            nn.Unflatten(1, (128, side, side)),
            nn.ConvTranspose2d(128, 64, 3, stride=2, padding=1, output_padding=1),
            nn.ReLU(),
            nn.ConvTranspose2d(64, 32, 3, stride=2, padding=1, output_padding=1),
            nn.ReLU(),
            nn.ConvTranspose2d(32, 1, 3, stride=2, padding=1, output_padding=1),
            nn.Sigmoid(),
        )
        lay_out(self, channels_last)

    def forward(self, x: Tensor) -> Tensor:
        """Reconstruct x, (B, 1, S, S) in [0, 1]."""
        return self.decoder(self.encoder(x))


class VAENetwork(nn.Module):
    """A compact convolutional VAE: a strided convolution per width, a dense Gaussian latent, and the way back.

    Args:
        image_size: side of the input in pixels, a multiple of 2 ** len(widths).
        latent_dim: size of the latent code.
        widths: channels after each halving of the side.
        channels_last: keep the weights of convolutions channels-last, which is faster where it was measured.
    """

    def __init__(
        self,
        *,
        image_size: int = 128,
        latent_dim: int = 128,
        widths: Sequence[int] = (32, 64, 128, 128),
        channels_last: bool = True,
    ) -> None:
        super().__init__()
        require_widths("model.network.widths", widths)
        require_multiple("model=vae", image_size, 2 ** len(widths))
        self.latent_dim = latent_dim
        side = image_size // 2 ** len(widths)
        flat = widths[-1] * side * side
        down: list[nn.Module] = []
        for before, after in zip((1, *widths[:-1]), widths, strict=True):
            down += [
                nn.Conv2d(before, after, 3, stride=2, padding=1, bias=False),
                nn.BatchNorm2d(after),
                nn.LeakyReLU(0.2),
            ]
        self.encoder = nn.Sequential(*down, nn.Flatten())
        self.to_mu = nn.Linear(flat, latent_dim)
        self.to_logvar = nn.Linear(flat, latent_dim)
        up: list[nn.Module] = [nn.Linear(latent_dim, flat), nn.Unflatten(1, (widths[-1], side, side))]
        for before, after in zip(widths[::-1][:-1], widths[::-1][1:], strict=True):
            up += [_up(before, after), nn.BatchNorm2d(after), nn.LeakyReLU(0.2)]
        self.decoder = nn.Sequential(*up, _up(widths[0], 1, bias=True), nn.Sigmoid())
        lay_out(self, channels_last)

    def encode(self, x: Tensor) -> tuple[Tensor, Tensor]:
        """Mean and log-variance of the latent code, each (B, latent_dim); logvar within [-10, 10]."""
        features = self.encoder(x)
        return self.to_mu(features), self.to_logvar(features).clamp(-10, 10)

    def decode(self, z: Tensor) -> Tensor:
        """Image (B, 1, S, S) in [0, 1] of a latent code (B, latent_dim)."""
        return self.decoder(z)


class ResidualBlock(nn.Module):
    """conv-BN-LeakyReLU-conv-BN (3x3, no bias) added to its input, then LeakyReLU.

    Args:
        channels: channels of input and output.
    """

    def __init__(self, channels: int) -> None:
        super().__init__()
        self.body = nn.Sequential(
            nn.Conv2d(channels, channels, 3, padding=1, bias=False),
            nn.BatchNorm2d(channels),
            nn.LeakyReLU(0.2),
            nn.Conv2d(channels, channels, 3, padding=1, bias=False),
            nn.BatchNorm2d(channels),
        )

    def forward(self, x: Tensor) -> Tensor:
        """(B, C, H, W) to the same shape."""
        return nn.functional.leaky_relu(x + self.body(x), 0.2)


class ResidualVAENetwork(nn.Module):
    """The published residual VAE: 130,647,937 parameters at 224 px.

    Args:
        image_size: side of the input in pixels, a multiple of 32; 224 in the original.
        latent_dim: size of the latent code.
        hidden_dim: width of the dense layer on either side of it.
        dropout: dropout before the latent code.
    """

    def __init__(
        self, *, image_size: int = 224, latent_dim: int = 2048, hidden_dim: int = 4096, dropout: float = 0.1
    ) -> None:
        super().__init__()
        require_multiple("model=vae_residual", image_size, 32)
        self.latent_dim = latent_dim
        side = image_size // 32
        flat = 256 * side * side
        self.encoder = nn.Sequential(
            *_down_block(1, 32),
            *_down_block(32, 64),
            ResidualBlock(64),
            *_down_block(64, 128),
            ResidualBlock(128),
            *_down_block(128, 256),
            *_down_block(256, 256),
            nn.Flatten(),
            nn.Linear(flat, hidden_dim),
            nn.LeakyReLU(0.2),
            nn.Dropout(dropout),
        )
        self.to_mu = nn.Linear(hidden_dim, latent_dim)
        self.to_logvar = nn.Linear(hidden_dim, latent_dim)
        self.decoder = nn.Sequential(
            nn.Linear(latent_dim, hidden_dim),
            nn.LeakyReLU(0.2),
            nn.Linear(hidden_dim, flat),
            nn.LeakyReLU(0.2),
            nn.Unflatten(1, (256, side, side)),
            *_up_block(256, 256),
            *_up_block(256, 128),
            ResidualBlock(128),
            *_up_block(128, 64),
            ResidualBlock(64),
            *_up_block(64, 32),
            _up(32, 1, bias=True),
            nn.Sigmoid(),
        )

    def encode(self, x: Tensor) -> tuple[Tensor, Tensor]:
        """Mean and log-variance of the latent code, each (B, latent_dim); logvar within [-10, 10]."""
        features = self.encoder(x)
        return self.to_mu(features), self.to_logvar(features).clamp(-10, 10)

    def decode(self, z: Tensor) -> Tensor:
        """Image (B, 1, S, S) in [0, 1] of a latent code (B, latent_dim)."""
        return self.decoder(z)


def lay_out(network: nn.Module, channels_last: bool) -> None:
    """Keep the weights of convolutions channels-last, and with them what flows through, or as they are."""
    if channels_last:
        network.to(memory_format=torch.channels_last)  # type: ignore[call-overload]


def require_multiple(network: str, image_size: int, factor: int) -> None:
    """Raise a MriadError if ``image_size`` is not a positive multiple of ``factor``.

    Args:
        network: what cannot take another size, as the subject of a sentence.
        image_size: side in pixels.
        factor: by how much the network makes it smaller.
    """
    if image_size < factor or image_size % factor:
        near = max(factor, round(image_size / factor) * factor)
        raise MriadError(
            f"{network} cannot take data.image_size={image_size}: it must be a multiple of {factor}, such as {near}."
        )


def require_widths(option: str, widths: Sequence[int]) -> None:
    """Raise a MriadError if ``widths`` is not at least one number of channels."""
    if len(widths) == 0 or any(not isinstance(width, int) or width < 1 for width in widths):
        raise MriadError(
            f"{option}={list(widths)} is no list of numbers of channels; give one per level, as in {option}=[32,64]."
        )


def resized(maps: Tensor, like: Tensor) -> Tensor:
    """Maps (B, C, h, w), bilinearly resized to height and width of other ones (..., H, W)."""
    return F.interpolate(maps, size=like.shape[-2:], mode="bilinear", align_corners=False)


def reparameterise(mu: Tensor, logvar: Tensor) -> Tensor:
    """Sample z ~ N(mu, exp(logvar)); Kingma and Welling 2014. All (B, latent_dim)."""
    return mu + torch.randn_like(mu) * torch.exp(0.5 * logvar)


def _up(before: int, after: int, *, bias: bool = True) -> nn.ConvTranspose2d:
    return nn.ConvTranspose2d(before, after, 3, stride=2, padding=1, output_padding=1, bias=bias)


def _down_block(before: int, after: int) -> list[nn.Module]:
    return [nn.Conv2d(before, after, 3, stride=2, padding=1), nn.BatchNorm2d(after), nn.LeakyReLU(0.2)]


def _up_block(before: int, after: int) -> list[nn.Module]:
    return [_up(before, after), nn.BatchNorm2d(after), nn.LeakyReLU(0.2)]
