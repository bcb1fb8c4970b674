"""The residual VAE that was published on the Nickparvar set: its network and its loss."""

from __future__ import annotations

from typing import Any

import torch
from torch import Tensor, nn
from torch.nn import functional as F

from mriad.models.networks import doubling, down_block, require_multiple, up_block
from mriad.models.vae import VAE, kl_terms
from mriad.scoring.residuals import ssim_map


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
            *down_block(1, 32),
            *down_block(32, 64),
            ResidualBlock(64),
            *down_block(64, 128),
            ResidualBlock(128),
            *down_block(128, 256),
            *down_block(256, 256),
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
            *up_block(256, 256),
            *up_block(256, 128),
            ResidualBlock(128),
            *up_block(128, 64),
            ResidualBlock(64),
            *up_block(64, 32),
            doubling(32, 1, bias=True),
            nn.Sigmoid(),
        )

    def encode(self, x: Tensor) -> tuple[Tensor, Tensor]:
        """Mean and log-variance of the latent code, each (B, latent_dim); logvar within [-10, 10]."""
        features = self.encoder(x)
        return self.to_mu(features), self.to_logvar(features).clamp(-10, 10)

    def decode(self, z: Tensor) -> Tensor:
        """Image (B, 1, S, S) in [0, 1] of a latent code (B, latent_dim)."""
        return self.decoder(z)


class ResidualVAE(VAE):
    """The published loss: foreground cross-entropy plus structural dissimilarity plus beta times the mean KL.

    Args:
        ssim_weight: weight of 1 - SSIM (11x11 uniform window).
        foreground_level: pixels of x brighter than this enter the cross-entropy.
        **vae: see ``VAE``.
    """

    def __init__(self, *, ssim_weight: float = 5.0, foreground_level: float = 0.05, **vae: Any) -> None:
        super().__init__(**vae)
        self.ssim_weight = ssim_weight
        self.foreground_level = foreground_level

    def reconstruction_loss(self, x: Tensor, reconstruction: Tensor) -> Tensor:
        """Binary cross-entropy averaged over the foreground, plus ``ssim_weight`` x (1 - SSIM)."""
        with torch.autocast(x.device.type, enabled=False):  # cross-entropy of probabilities needs float32
            entropy = F.binary_cross_entropy(reconstruction.clamp(0, 1), x, reduction="none")
            mask = x > self.foreground_level
            foreground = (entropy * mask).sum() / mask.sum().clamp(min=1)
            return foreground + self.ssim_weight * (1 - ssim_map(x, reconstruction).mean())

    def kl(self, mu: Tensor, logvar: Tensor, x: Tensor) -> Tensor:
        """KL divergence averaged over code and batch."""
        return kl_terms(mu, logvar).mean()
