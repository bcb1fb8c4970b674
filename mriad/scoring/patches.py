"""A volume in cubes that overlap, and the maps of the cubes as one map of the volume."""

from __future__ import annotations

from collections.abc import Callable, Iterator, Mapping
from dataclasses import dataclass
from functools import cached_property
from typing import Any

import torch
from torch import Tensor

from mriad.errors import MriadError
from mriad.scoring.assemble import shows

_AT_ONCE = 2**21  # voxels, about those of one whole head


@dataclass(frozen=True, kw_only=True)
class PatchGrid:
    """Where the cubes of a volume lie that a detector sees one by one: evenly, the last of a row at its very end.

    Args:
        size: side of a cube in voxels.
        overlap: share of a cube that its next neighbour covers too, in [0, 1).

    Raises:
        MriadError: if a number is out of range, or TorchIO is missing.
    """

    size: int
    overlap: float = 0.5

    def __post_init__(self) -> None:
        if isinstance(self.size, bool) or not isinstance(self.size, int) or self.size < 2:
            raise MriadError(
                f"data.patches.size={self.size} is no side of a cube in voxels; give 2 or more, or null for whole "
                "volumes."
            )
        if isinstance(self.overlap, bool) or not isinstance(self.overlap, int | float) or not 0 <= self.overlap < 1:
            raise MriadError(
                f"data.patches.overlap={self.overlap} is no share of a cube; choose one from 0 to below 1."
            )
        _ = self._torchio  # a training need not begin without it

    @classmethod
    def of(cls, options: Mapping[str, Any] | None) -> PatchGrid | None:
        """The grid of the options ``size`` and ``overlap``; None for whole volumes, where ``size`` is None."""
        return None if options is None or options.get("size") is None else cls(**options)

    def cubes(self, volumes: Tensor) -> Iterator[Tensor]:
        """Batches (n, 1, S, S, S) of all cubes of volumes (B, 1, D, H, W) that show something."""
        for volume in volumes:
            for places in self._batches(self._sampler(volume)):
                cubes = _cut(volume, places)
                if len(shown := cubes[shows(cubes)]):
                    yield shown

    def assembled(self, anomaly_map: Callable[[Tensor], Tensor], volumes: Tensor) -> Tensor:
        """Anomaly maps of volumes, of the maps of their cubes.

        Where several cubes show a voxel, it has the mean of their maps, weighted by Hann windows: a cube counts most in
        its middle and hardly at its faces, so that these do not show.

        Args:
            anomaly_map: makes maps of cubes, (n, 1, S, S, S) to the same shape.
            volumes: (B, 1, D, H, W) in [0, 1], 0 where nothing is.

        Returns:
            (B, 1, D, H, W) float32; a cube in which there is nothing has a map of 0.
        """
        return torch.stack([self._map_of(volume, anomaly_map) for volume in volumes])

    def middle(self, volumes: Tensor) -> Tensor:
        """The cubes (B, 1, S, S, S) in the middle of volumes (B, 1, D, H, W)."""
        corner = [(side - self.size) // 2 for side in volumes.shape[2:]]
        return volumes[:, :, *(slice(start, start + self.size) for start in corner)]

    def _map_of(self, volume: Tensor, anomaly_map: Callable[[Tensor], Tensor]) -> Tensor:
        """Map of one volume, both (1, D, H, W)."""
        sampler = self._sampler(volume)
        aggregator = self._torchio.GridAggregator(sampler, overlap_mode="hann")
        for places in self._batches(sampler):
            cubes = _cut(volume, places)
            maps = torch.zeros_like(cubes, dtype=torch.float32)
            shown = shows(cubes)
            if shown.any():
                maps[shown] = anomaly_map(cubes[shown]).float()
            aggregator.add_batch(maps, places)
        return aggregator.get_output_tensor().to(volume.device)

    def _sampler(self, volume: Tensor) -> Any:
        overlap = 2 * int(self.overlap * self.size / 2)  # an even number is asked for
        subject = self._torchio.Subject(volume=self._torchio.ScalarImage(tensor=volume.cpu()))
        return self._torchio.GridSampler(subject, self.size, overlap)

    def _batches(self, sampler: Any) -> tuple[Tensor, ...]:
        """(n, 6) first voxels of cubes and the first ones after them, as many at once as memory shall hold."""
        return torch.from_numpy(sampler.locations).split(max(1, _AT_ONCE // self.size**3))

    @cached_property
    def _torchio(self) -> Any:
        try:
            import torchio  # takes its time to import, which whole volumes need not wait for
        except ImportError as error:
            raise MriadError(
                f"data.patches.size={self.size} needs TorchIO, which cannot be imported ({error}): pip install "
                "'mriad[patches]', or set data.patches.size=null for whole volumes."
            ) from error
        return torchio


def _cut(volume: Tensor, places: Tensor) -> Tensor:
    """(n, 1, S, S, S) cubes of a volume (1, D, H, W)."""
    return torch.stack([volume[:, i:to_i, j:to_j, k:to_k] for i, j, k, to_i, to_j, to_k in places.tolist()])
