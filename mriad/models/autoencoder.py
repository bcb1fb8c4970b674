"""The plain convolutional autoencoder."""

from __future__ import annotations

from typing import Any

from torch import Tensor, nn
from torch.nn import functional as F

from mriad.models.detector import ReconstructionDetector
from mriad.models.trained import TrainedDetector


class Autoencoder(TrainedDetector, ReconstructionDetector):
    """Reconstructs through a bottleneck; mean squared error.

    Args:
        network: maps (B, 1, *spatial) in [0, 1] to the same shape and range.
        **detector: see ``Detector``.
    """

    def __init__(self, *, network: nn.Module, **detector: Any) -> None:
        super().__init__(**detector)
        self.network = network
        self.spatial_dims = getattr(network, "spatial_dims", 2)

    def reconstruct(self, x: Tensor) -> Tensor:
        """The network's output for x."""
        return self.network(x)

    def losses(self, x: Tensor) -> dict[str, Tensor]:
        """Mean squared error over all pixels."""
        return {"loss": F.mse_loss(self.reconstruct(x), x)}
