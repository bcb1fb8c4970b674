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
        network: maps (B, C, *spatial) in [0, 1] to (B, 1, *spatial) in the same range; its ``neighbours`` say
            what C is.
        **detector: see ``Detector``.
    """

    def __init__(self, *, network: nn.Module, **detector: Any) -> None:
        super().__init__(**detector)
        self.network = network
        self.spatial_dims = getattr(network, "spatial_dims", 2)
        self.neighbours = getattr(network, "neighbours", 0)

    def reconstruct(self, x: Tensor) -> Tensor:
        """The network's output for x."""
        return self.network(x)

    def losses(self, x: Tensor) -> dict[str, Tensor]:
        """Mean squared error over all pixels that are judged."""
        return {"loss": F.mse_loss(self.reconstruct(x), self.judged(x))}
