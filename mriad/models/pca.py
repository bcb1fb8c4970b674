"""The linear autoencoder: principal components of healthy scans."""

from __future__ import annotations

from collections.abc import Iterable, Iterator, Mapping
from typing import Any

import torch
from sklearn.decomposition import IncrementalPCA
from torch import Tensor

from mriad.errors import MriadError
from mriad.models.detector import ReconstructionDetector
from mriad.models.fitted import FittedDetector


class PCA(FittedDetector, ReconstructionDetector):
    """Reconstructs a scan from its first principal components; fitted batch by batch after Ross et al. 2008.

    Attributes:
        mean: (S * S,) mean healthy scan.
        components: (n_components, S * S) orthonormal principal components, the strongest first.

    Args:
        n_components: number of components, the width of the bottleneck; no more than there are train scans.
        **detector: see ``Detector``.

    Raises:
        MriadError: if ``n_components`` is no positive number.
    """

    mean: Tensor
    components: Tensor

    def __init__(self, *, n_components: int = 64, **detector: Any) -> None:
        super().__init__(**detector)
        if not isinstance(n_components, int) or n_components < 1:
            raise MriadError(f"model.n_components={n_components} is no number of components; give 1 or more.")
        self._n_components = n_components
        self.register_buffer("mean", torch.zeros(0))
        self.register_buffer("components", torch.zeros(n_components, 0))

    def fit_healthy(self, loader: Iterable[Mapping[str, Tensor]]) -> None:
        """Find mean and components.

        Raises:
            MriadError: if there are fewer scans than components.
        """
        scans = (batch["image"].flatten(1) for batch in loader)
        pca = IncrementalPCA(n_components=self._n_components)
        for part in _parts(scans, least=self._n_components):
            if len(part) < self._n_components:
                raise MriadError(
                    f"{len(part)} train scans have no {self._n_components} principal components; "
                    f"set model.n_components={len(part)} or less, or add healthy scans."
                )
            pca.partial_fit(part.double().cpu().numpy())
        self.mean = torch.from_numpy(pca.mean_).to(self.mean)
        # contiguous as a loaded tensor is, so that products are summed in the same order after loading
        self.components = torch.from_numpy(pca.components_).to(self.components).contiguous()

    def reconstruct(self, x: Tensor) -> Tensor:
        """Projection of x on the components, within [0, 1]."""
        flat = x.flatten(1) - self.mean
        return (self.mean + flat @ self.components.T @ self.components).clamp(0, 1).view_as(x)


def _parts(scans: Iterable[Tensor], *, least: int) -> Iterator[Tensor]:
    """The scans (B, D) in larger parts, each of at least ``least``, if there are as many."""
    held: list[Tensor] = []
    for batch in scans:
        held.append(batch)
        if sum(map(len, held)) >= 4 * least:  # larger parts lose less of what earlier ones have shown
            together = torch.cat(held)
            yield together[:-least]
            held = [together[-least:]]
    if held:
        yield torch.cat(held)
