"""A volume in slices, and the maps of slices as one map of the volume."""

from __future__ import annotations

from collections.abc import Callable, Iterator, Sequence

import torch
from torch import Tensor
from torch.nn import functional as F

from mriad.geometry.planes import AXES, margins

_AT_ONCE = 32  # slices


def in_plane(volumes: Tensor, plane: str) -> Tensor:
    """Slices of volumes, as pictures are: upright, square.

    Args:
        volumes: (B, 1, D, H, W), its axes running up, backwards and to the left; H = W >= D.
        plane: 'axial', 'coronal' or 'sagittal'.

    Returns:
        (B * n, 1, H, W), the n slices of one volume after the other; coronal and sagittal ones have 0 above and below
        where the volume is less than H high.
    """
    slices = volumes.transpose(1, 2 + AXES[plane]).flatten(0, 1)
    if plane == "axial":
        return slices
    side, depth = volumes.shape[-1], volumes.shape[2]
    return F.pad(slices.reshape(-1, 1, depth, side).flip(-2), (0, 0, *margins(depth, side)))


def from_plane(slices: Tensor, plane: str, depth: int) -> Tensor:
    """The way back from ``in_plane``: volumes (B, 1, depth, H, W) of slices (B * n, 1, H, W)."""
    side = slices.shape[-1]
    if plane == "axial":
        return slices.reshape(-1, 1, depth, side, side)
    above, _ = margins(depth, side)
    upright = slices[:, :, above : above + depth].flip(-2)
    across = (1, side) if plane == "coronal" else (side, 1)
    return upright.reshape(-1, side, depth, *across).transpose(1, 2 + AXES[plane])


def slices_of(volumes: Tensor, *, planes: Sequence[str]) -> Iterator[Tensor]:
    """Batches (n, 1, H, W) of all slices of volumes (B, 1, D, H, W) that show something, plane by plane."""
    for plane in planes:
        slices = in_plane(volumes, plane)
        yield from slices[_shows(slices)].split(_AT_ONCE)


def assembled(anomaly_map: Callable[[Tensor], Tensor], volumes: Tensor, *, planes: Sequence[str]) -> Tensor:
    """Anomaly maps of volumes, of the maps of their slices; where several planes show a voxel, the mean of theirs.

    Args:
        anomaly_map: makes maps of slices, (n, 1, H, W) to the same shape.
        volumes: (B, 1, D, H, W) in [0, 1], 0 where nothing is; H = W >= D.
        planes: of the slices.

    Returns:
        (B, 1, D, H, W) float32; a slice on which there is nothing has a map of 0.
    """
    total = torch.zeros_like(volumes)
    for plane in planes:
        slices = in_plane(volumes, plane)
        maps = torch.zeros_like(slices)
        shown = _shows(slices).nonzero().squeeze(1)
        for part in shown.split(_AT_ONCE):
            maps[part] = anomaly_map(slices[part])
        total += from_plane(maps, plane, volumes.shape[2])
    return total / len(planes)


def _shows(slices: Tensor) -> Tensor:
    """(n,) which slices show anything."""
    return slices.flatten(1).amax(dim=1) > 0
