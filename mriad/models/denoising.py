"""The denoising autoencoder."""

from __future__ import annotations

from typing import Any

import torch
from torch import Tensor, nn

from mriad.errors import MriadError
from mriad.models.detector import ReconstructionDetector
from mriad.models.networks import resized
from mriad.models.trained import TrainedDetector


class DenoisingAutoencoder(TrainedDetector, ReconstructionDetector):
    """Learns to take coarse noise off healthy scans; what it takes off a scan that has none is the anomaly.

    After Kascenas et al., Denoising Autoencoders for Unsupervised Anomaly Detection in Brain MRI, MIDL 2022: Gaussian
    noise on a coarse grid, bilinearly enlarged to the image, rolled at random, on the foreground only; squared error.
    All slices of a slab get the same noise, as an anomaly runs through them; that on the middle one is to be taken off.

    Args:
        network: maps (B, C, H, W) to (B, 1, H, W); with skips, since the noise and not a bottleneck keeps it from
            copying. Its ``neighbours`` say what C is.
        sigma: standard deviation of the noise on its grid, in intensities.
        resolution: side of that grid in knots.
        foreground_level: brightness in [0, 1] above which a pixel gets noise.
        **detector: see ``Detector``.

    Raises:
        MriadError: if the noise has a negative standard deviation or a grid without knots.
    """

    def __init__(
        self,
        *,
        network: nn.Module,
        sigma: float = 0.2,
        resolution: int = 16,
        foreground_level: float = 0.05,
        **detector: Any,
    ) -> None:
        super().__init__(**detector)
        if sigma < 0:
            raise MriadError(f"model.sigma={sigma} is no standard deviation of intensities; choose 0 or more.")
        if not isinstance(resolution, int) or resolution < 1:
            raise MriadError(f"model.resolution={resolution} is no number of knots; choose 1 or more.")
        self.network = network
        self.neighbours = getattr(network, "neighbours", 0)
        self._sigma, self._resolution, self._foreground_level = sigma, resolution, foreground_level

    def reconstruct(self, x: Tensor) -> Tensor:
        """The scan, denoised; in [0, 1]."""
        return self.network(x).clamp(0.0, 1.0)

    def losses(self, x: Tensor) -> dict[str, Tensor]:
        """Mean squared error, over the foreground, of the scan that noise was put on and taken off."""
        foreground = x > self._foreground_level
        restored = self.network(x + self._noise(x) * foreground)
        judged = self.judged(foreground)
        error = (restored - self.judged(x)).square() * judged
        return {"loss": error.sum() / judged.sum().clamp(min=1)}

    def _noise(self, x: Tensor) -> Tensor:
        """(B, 1, H, W)."""
        knots = torch.randn(len(x), 1, self._resolution, self._resolution, device=x.device) * self._sigma
        noise = resized(knots, x)
        shift = [int(torch.randint(side, ())) for side in x.shape[-2:]]
        return noise.roll(shift, dims=(-2, -1))
