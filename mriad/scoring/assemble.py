"""A volume in slices or slabs, and the maps of slices as one map of the volume."""

from __future__ import annotations

from collections.abc import Callable, Iterator, Sequence

import torch
from torch import Tensor
from torch.nn import functional as F

from mriad.geometry.planes import AXES, margins

_AT_ONCE = 32  # slices


def in_plane(volumes: Tensor, plane: str, *, neighbours: int = 0) -> Tensor:
    """Slices of volumes, as pictures are: upright, square; or slabs, each slice between its neighbours.

    Args:
        volumes: (B, 1, D, H, W), its axes running up, backwards and to the left; H = W >= D.
        plane: 'axial', 'coronal' or 'sagittal'.
        neighbours: k slices on each side that come along as channels; beyond the ends of a volume they are 0.

    Returns:
        (B * n, 2 k + 1, H, W), the n slices of one volume after the other, each the middle channel; coronal and
        sagittal ones have 0 above and below where the volume is less than H high.
    """
    slices = volumes.transpose(1, 2 + AXES[plane]).flatten(0, 1)
    if plane != "axial":
        side, depth = volumes.shape[-1], volumes.shape[2]
        slices = F.pad(slices.reshape(-1, 1, depth, side).flip(-2), (0, 0, *margins(depth, side)))
    if neighbours == 0:
        return slices
    stacks = F.pad(slices.view(volumes.shape[0], -1, *slices.shape[-2:]), (0, 0, 0, 0, neighbours, neighbours))
    return stacks.unfold(1, 2 * neighbours + 1, 1).movedim(-1, 2).flatten(0, 1)


def from_plane(slices: Tensor, plane: str, depth: int) -> Tensor:
    """The way back from ``in_plane`` of slices alone: volumes (B, 1, depth, H, W) of slices (B * n, 1, H, W)."""
    side = slices.shape[-1]
    if plane == "axial":
        return slices.reshape(-1, 1, depth, side, side)
    above, _ = margins(depth, side)
    upright = slices[:, :, above : above + depth].flip(-2)
    across = (1, side) if plane == "coronal" else (side, 1)
    return upright.reshape(-1, side, depth, *across).transpose(1, 2 + AXES[plane])


def slices_of(volumes: Tensor, *, planes: Sequence[str], neighbours: int = 0) -> Iterator[Tensor]:
    """Batches (n, 2 k + 1, H, W) of all slices of volumes (B, 1, D, H, W) that show something, plane by plane.

    Args:
        volumes, planes, neighbours: see ``assembled``.
    """
    for plane in planes:
        slabs = in_plane(volumes, plane, neighbours=neighbours)
        yield from slabs[shows(slabs[:, neighbours])].split(_AT_ONCE)


def assembled(
    anomaly_map: Callable[[Tensor], Tensor], volumes: Tensor, *, planes: Sequence[str], neighbours: int = 0
) -> Tensor:
    """Anomaly maps of volumes, of the maps of their slices; where several planes show a voxel, the mean of theirs.

    Args:
        anomaly_map: makes maps of slices, (n, 2 k + 1, H, W) to (n, 1, H, W) for the middle channel.
        volumes: (B, 1, D, H, W) in [0, 1], 0 where nothing is; H = W >= D.
        planes: of the slices.
        neighbours: k slices on each side that ``anomaly_map`` sees beside each, see ``in_plane``.

    Returns:
        (B, 1, D, H, W) float32; a slice on which there is nothing has a map of 0.
    """
    total = torch.zeros_like(volumes)
    for plane in planes:
        slabs = in_plane(volumes, plane, neighbours=neighbours)
        slices = slabs[:, neighbours : neighbours + 1]
        maps = torch.zeros_like(slices)
        if torch.compiler.is_exporting():  # a graph looks at all slices, for it cannot choose
            maps = torch.where(shows(slices).view(-1, 1, 1, 1), anomaly_map(slabs), maps)
        else:
            for part in shows(slices).nonzero().squeeze(1).split(_AT_ONCE):
                maps[part] = anomaly_map(slabs[part])
        total += from_plane(maps, plane, volumes.shape[2])
    return total / len(planes)


def shows(samples: Tensor) -> Tensor:
    """(n,) which of n slices or cubes show anything."""
    return samples.flatten(1).amax(dim=1) > 0
