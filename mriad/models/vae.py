"""Variational autoencoders: what they share, and the compact one."""

from __future__ import annotations

from abc import abstractmethod
from typing import Any, Protocol

import torch
from torch import Tensor
from torch.nn import functional as F

from mriad.models.detector import ReconstructionDetector
from mriad.models.networks import reparameterise
from mriad.models.trained import TrainedDetector


class EncoderDecoder(Protocol):
    """A network with a Gaussian latent code."""

    latent_dim: int

    def encode(self, x: Tensor) -> tuple[Tensor, Tensor]:
        """Mean and log-variance (B, latent_dim) of the code of x (B, C, H, W)."""
        ...

    def decode(self, z: Tensor) -> Tensor:
        """Image (B, 1, H, W) in [0, 1] of z (B, latent_dim)."""
        ...


class VAE(TrainedDetector, ReconstructionDetector):
    """Reconstruction loss plus beta times the KL divergence to N(0, 1); Kingma and Welling 2014, Higgins et al. 2017.

    The code is sampled in training and its mean is used in evaluation. During training beta rises linearly from 0;
    validation always uses the final beta, so that ``val/loss`` means the same in every epoch.

    Args:
        network: encoder and decoder; its ``neighbours`` say how many channels C it takes.
        beta: weight of the KL term.
        warmup_epochs: epochs over which beta rises; 0 for none.
        **detector: see ``Detector``.
    """

    def __init__(self, *, network: EncoderDecoder, beta: float, warmup_epochs: int = 0, **detector: Any) -> None:
        super().__init__(**detector)
        self.network = network
        self.spatial_dims = getattr(network, "spatial_dims", 2)
        self.neighbours = getattr(network, "neighbours", 0)
        self.beta = beta
        self.warmup_epochs = warmup_epochs

    def reconstruct(self, x: Tensor) -> Tensor:
        """Decoded mean of the code of x."""
        return self.network.decode(self.network.encode(x)[0])

    def encode(self, x: Tensor) -> Tensor:
        """Mean of the code of x, (B, latent_dim)."""
        return self.network.encode(x)[0]

    def decode(self, z: Tensor) -> Tensor:
        """Image (B, 1, H, W) of a code (B, latent_dim)."""
        return self.network.decode(z)

    def prior_samples(self, count: int, *, seed: int = 0) -> Tensor:
        """Images (count, 1, H, W) decoded from codes drawn from N(0, 1)."""
        generator = torch.Generator().manual_seed(seed)
        return self.decode(torch.randn(count, self.network.latent_dim, generator=generator).to(self.device))

    def losses(self, x: Tensor) -> dict[str, Tensor]:
        """Total loss, its reconstruction part and the unweighted KL part."""
        mu, logvar = self.network.encode(x)
        z = reparameterise(mu, logvar) if self.training else mu
        scan = self.judged(x)
        reconstruction = self.reconstruction_loss(scan, self.network.decode(z).float())
        kl = self.kl(mu.float(), logvar.float(), scan)
        return {"loss": reconstruction + self.current_beta * kl, "reconstruction": reconstruction, "kl": kl}

    @property
    def current_beta(self) -> float:
        """Beta of this epoch."""
        if not self.training or self.warmup_epochs == 0:
            return self.beta
        return self.beta * min(1.0, self.current_epoch / self.warmup_epochs)

    @abstractmethod
    def reconstruction_loss(self, x: Tensor, reconstruction: Tensor) -> Tensor:
        """Scalar; both (B, 1, H, W) in [0, 1]."""

    @abstractmethod
    def kl(self, mu: Tensor, logvar: Tensor, x: Tensor) -> Tensor:
        """Scalar KL divergence of N(mu, exp(logvar)) to N(0, 1), mu and logvar (B, latent_dim), x (B, 1, H, W)."""


class CompactVAE(VAE):
    """Mean squared error per pixel plus beta times the KL divergence per pixel.

    This is the Gaussian VAE divided by the number of pixels: beta = 2 sigma^2 for decoder noise of standard deviation
    sigma, so beta = 0.005 stands for a noise of 0.05 in images within [0, 1].
    """

    def reconstruction_loss(self, x: Tensor, reconstruction: Tensor) -> Tensor:
        """Mean squared error over all pixels."""
        return F.mse_loss(reconstruction, x)

    def kl(self, mu: Tensor, logvar: Tensor, x: Tensor) -> Tensor:
        """KL divergence summed over the code, divided by the pixels of a scan, averaged over the batch."""
        return kl_terms(mu, logvar).sum(dim=1).mean() / x[0].numel()


def kl_terms(mu: Tensor, logvar: Tensor) -> Tensor:
    """KL divergence of N(mu, exp(logvar)) to N(0, 1) per dimension; all (B, latent_dim)."""
    return -0.5 * (1 + logvar - mu.square() - logvar.exp())
