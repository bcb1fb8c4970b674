"""The baseline that only remembers: distance to the most similar healthy scan."""

from __future__ import annotations

from collections.abc import Iterable, Mapping
from typing import Any

import torch
from torch import Tensor
from torch.nn import functional as F

from mriad.errors import MriadError
from mriad.models.detector import ReconstructionDetector
from mriad.models.fitted import FittedDetector
from mriad.models.networks import resized
from mriad.scoring.assemble import slices_of


class Nearest(FittedDetector, ReconstructionDetector):
    """Compares a scan with the nearest train scan, both as small thumbnails.

    The anomaly score is the Euclidean distance between the two thumbnails; mask and pooling of the score have no part
    in it. The map shows where the distance comes from: the residual between the two thumbnails, both enlarged to the
    scan's size. Fine edges, which no thumbnail has, are thus no anomaly.

    Attributes:
        thumbnails: (n, thumbnail * thumbnail) in [0, 1], of the n train scans.

    Args:
        thumbnail: side of a thumbnail in pixels.
        **detector: see ``Detector``.

    Raises:
        MriadError: if ``thumbnail`` is no positive number.
    """

    thumbnails: Tensor

    def __init__(self, *, thumbnail: int = 16, **detector: Any) -> None:
        super().__init__(**detector)
        if not isinstance(thumbnail, int) or thumbnail < 1:
            raise MriadError(f"model.thumbnail={thumbnail} is no side in pixels; give 1 or more.")
        self._side = thumbnail
        self.register_buffer("thumbnails", torch.zeros(0, thumbnail * thumbnail))

    def fit_healthy(self, loader: Iterable[Mapping[str, Tensor]]) -> None:
        """Keep a thumbnail of each scan."""
        self.thumbnails = torch.cat([self._small(batch["image"]).flatten(1) for batch in loader]).to(self.thumbnails)

    def reconstruct(self, x: Tensor) -> Tensor:
        """The nearest train thumbnail, enlarged to the size of x; the first of several at the same distance."""
        nearest = self.thumbnails[self._distances(x).argmin(dim=1)]
        return resized(nearest.view(-1, 1, self._side, self._side), x)

    def anomaly_map(self, x: Tensor) -> Tensor:
        """Residual between the thumbnail of x and the nearest one, both enlarged, (B, 1, H, W)."""
        return self.score.residual(resized(self._small(x), x), self.reconstruct(x))

    def image_score(self, x: Tensor, anomaly_map: Tensor, mask: Tensor) -> Tensor:
        """Euclidean distance to the nearest train thumbnail, (B,), in [0, side of a thumbnail]; of volumes the mean."""
        if x.ndim == 4:
            return self._distances(x).amin(dim=1)
        slices = [torch.cat(list(slices_of(volume[None], planes=self.planes))) for volume in x]
        return torch.stack([self._distances(part).amin(dim=1).mean() for part in slices])

    def _distances(self, x: Tensor) -> Tensor:
        """Distances (B, n) to all train thumbnails."""
        if torch.compiler.is_exporting():  # which knows no distances
            apart = self._small(x).flatten(1).unsqueeze(1) - self.thumbnails
            return apart.square().sum(dim=2).sqrt()
        # a matrix product would be faster but inexact, and a copy of a train scan would not be at 0
        return torch.cdist(self._small(x).flatten(1), self.thumbnails, compute_mode="donot_use_mm_for_euclid_dist")

    def _small(self, x: Tensor) -> Tensor:
        return F.adaptive_avg_pool2d(x, self._side)
