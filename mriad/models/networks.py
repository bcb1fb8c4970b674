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
        neighbours: k slices on each side of the one that comes back that are seen beside it; C = 2 k + 1 channels.
        channels_last: keep the weights of convolutions channels-last, which is faster where it was measured.
    """

    def __init__(
        self, *, image_size: int = 128, latent_dim: int = 256, neighbours: int = 0, channels_last: bool = True
    ) -> None:
        super().__init__()
        require_multiple("model=ae", image_size, 8)
        self.neighbours = neighbours
        side = image_size // 8
        flat = 128 * side * side
        self.encoder = nn.Sequential(
            nn.Conv2d(2 * neighbours + 1, 32, 3, stride=2, padding=1),
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
        set_memory_format(self, channels_last)

    def forward(self, x: Tensor) -> Tensor:
        """Reconstruct the middle channel (B, 1, S, S) of x (B, C, S, S) in [0, 1]."""
        return self.decoder(self.encoder(x))


class VAENetwork(nn.Module):
    """A compact convolutional VAE: a strided convolution per width, a dense Gaussian latent, and the way back.

    Args:
        image_size: side of the input in pixels, a multiple of 2 ** len(widths).
        latent_dim: size of the latent code.
        widths: channels after each halving of the side.
        neighbours: k slices on each side of the one that comes back that are seen beside it; C = 2 k + 1 channels.
        channels_last: keep the weights of convolutions channels-last, which is faster where it was measured.
    """

    def __init__(
        self,
        *,
        image_size: int = 128,
        latent_dim: int = 128,
        widths: Sequence[int] = (32, 64, 128, 128),
        neighbours: int = 0,
        channels_last: bool = True,
    ) -> None:
        super().__init__()
        require_widths("model.network.widths", widths)
        require_multiple("model=vae", image_size, 2 ** len(widths))
        self.latent_dim, self.neighbours = latent_dim, neighbours
        side = image_size // 2 ** len(widths)
        flat = widths[-1] * side * side
        down: list[nn.Module] = []
        for before, after in zip((2 * neighbours + 1, *widths[:-1]), widths, strict=True):
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
            up += [doubling(before, after), nn.BatchNorm2d(after), nn.LeakyReLU(0.2)]
        self.decoder = nn.Sequential(*up, doubling(widths[0], 1, bias=True), nn.Sigmoid())
        set_memory_format(self, channels_last)

    def encode(self, x: Tensor) -> tuple[Tensor, Tensor]:
        """Mean and log-variance of the latent code of x (B, C, S, S), each (B, latent_dim); logvar within [-10, 10]."""
        features = self.encoder(x)
        return self.to_mu(features), self.to_logvar(features).clamp(-10, 10)

    def decode(self, z: Tensor) -> Tensor:
        """Image (B, 1, S, S) in [0, 1] of a latent code (B, latent_dim)."""
        return self.decoder(z)


def set_memory_format(network: nn.Module, channels_last: bool) -> None:
    """Keep the weights of convolutions channels-last, and with them what flows through, or as they are."""
    if channels_last:
        network.to(memory_format=torch.channels_last)  # type: ignore[call-overload]


def require_multiple(network: str, image_size: int, factor: int, *, option: str = "data.image_size") -> None:
    """Raise a MriadError if ``image_size`` is not a positive multiple of ``factor``.

    Args:
        network: what cannot take another size, as the subject of a sentence.
        image_size: side in pixels.
        factor: by how much the network makes it smaller.
        option: where the side is set.
    """
    if image_size < factor or image_size % factor:
        near = max(factor, round(image_size / factor) * factor)
        raise MriadError(
            f"{network} cannot take {option}={image_size}: it must be a multiple of {factor}, such as {near}."
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


def doubling(before: int, after: int, *, bias: bool = True) -> nn.ConvTranspose2d:
    """A transposed convolution that doubles the side."""
    return nn.ConvTranspose2d(before, after, 3, stride=2, padding=1, output_padding=1, bias=bias)


def down_block(before: int, after: int) -> list[nn.Module]:
    """Layers that halve the side."""
    return [nn.Conv2d(before, after, 3, stride=2, padding=1), nn.BatchNorm2d(after), nn.LeakyReLU(0.2)]


def up_block(before: int, after: int) -> list[nn.Module]:
    """Layers that double the side."""
    return [doubling(before, after), nn.BatchNorm2d(after), nn.LeakyReLU(0.2)]
