"""What augmentation does to slices, for whole batches of tensors on the device where they lie.

Images are (B, 1, S, S) float32 in [0, 1]; ranges are (low, high), drawn evenly for each slice from torch's generator.
"""

from __future__ import annotations

from collections.abc import Mapping
from functools import cache

import numpy as np
import torch
from torch import Tensor
from torch.nn import functional as F

from mriad.data.training.contrast import any_curve, monotone_curve

Range = tuple[float, float]

_CURVES = 512  # of each kind, drawn once: drawing one takes longer than a network takes for a slice


def chance(images: Tensor, p: float) -> Tensor:
    """(B, 1, 1, 1) booleans, true with probability ``p``."""
    return _drawn(images, (0.0, 1.0)) < p


def affine(
    images: Tensor, *, scale: Mapping[str, Range], rotate: Range, shear: Mapping[str, Range], shift: Mapping[str, Range]
) -> Tensor:
    """Scaled, turned, sheared and shifted about the middle, in this order; bilinear, 0 where there was nothing.

    Args:
        scale: factors along 'x' and 'y'.
        rotate: degrees, counterclockwise.
        shear: degrees along 'x' and 'y'.
        shift: shares of the side along 'x' and 'y', cut to whole pixels.
    """
    side = images.shape[-1]
    angle = _drawn(images, rotate).deg2rad()
    width, height = (_drawn(images, scale[axis]) for axis in "xy")
    lean = [-_drawn(images, shear[axis]).deg2rad().tan() for axis in "xy"]
    moved = [(_drawn(images, shift[axis]) * side).trunc().flatten() * 2 / side for axis in "xy"]
    one, none = torch.ones_like(angle), torch.zeros_like(angle)
    scaled = _matrix([[width, none], [none, height]])
    turned = _matrix([[angle.cos(), angle.sin()], [-angle.sin(), angle.cos()]])
    sheared = _matrix([[one, lean[0]], [lean[1], one]])
    back = torch.linalg.inv(sheared @ turned @ scaled)  # to where a pixel comes from
    theta = torch.cat([back, -back @ torch.stack(moved, dim=-1)[..., None]], dim=-1)
    return _read(images, F.affine_grid(theta, list(images.shape), align_corners=False))


def elastic(images: Tensor, *, alpha: float, sigma: float) -> Tensor:
    """Displaced by noise with a largest value of ``alpha`` pixels, smoothed by a Gaussian of ``sigma`` pixels."""
    side = images.shape[-1]
    noise = torch.randn(len(images), 2, side, side, device=images.device)
    noise = noise / noise.abs().amax(dim=(1, 2, 3), keepdim=True)
    taps = _gaussian(torch.full((len(images),), sigma, device=images.device), round(4 * sigma))
    pixels = alpha * torch.cat([_smoothed(field, taps, "replicate") for field in noise.split(1, dim=1)], dim=1)
    middles = (torch.arange(side, device=images.device) + 0.5) * 2 / side - 1
    here = torch.stack(torch.meshgrid(middles, middles, indexing="xy"), dim=-1)
    return _read(images, here + pixels.permute(0, 2, 3, 1) * 2 / side)


def remapped(images: Tensor, *, reorder: float) -> Tensor:
    """Grey values through random curves of ``training.contrast``; a share ``reorder`` may change their order."""
    curves = _curves(images.device)
    kind = chance(images, reorder).flatten().long()
    chosen = curves[kind, torch.randint(_CURVES, (len(images),), device=images.device)]
    level = images.flatten(1) * 255
    below = level.floor().long().clamp(0, 254)
    low, high = chosen.gather(1, below), chosen.gather(1, below + 1)
    return (low + (high - low) * (level - below)).view_as(images)


def brightness_contrast(images: Tensor, *, brightness: Range, contrast: Range, by_mean: bool) -> Tensor:
    """Times 1 + contrast, plus brightness, which counts in means of the slice where ``by_mean`` says so."""
    unit = images.mean(dim=(1, 2, 3), keepdim=True) if by_mean else 1.0
    return images * (1 + _drawn(images, contrast)) + _drawn(images, brightness) * unit


def gamma(images: Tensor, *, exponent: Range) -> Tensor:
    """To the power of the exponent."""
    return images ** _drawn(images, exponent)


def illuminated(images: Tensor, *, strength: Range, darker: float, centre: Range, width: Range) -> Tensor:
    """Times a smooth field: 1 plus a Gaussian hill of ``strength``, or a hollow with probability ``darker``.

    Args:
        centre: place of the hill along each side, as a share of it.
        width: standard deviation of the hill as a share of the side.
    """
    side = images.shape[-1]
    place = torch.arange(side, device=images.device) / side
    x, y = (_drawn(images, centre) for _ in range(2))
    distance = (place.view(1, 1, 1, -1) - x).square() + (place.view(1, 1, -1, 1) - y).square()
    hill = torch.exp(-distance / (2 * _drawn(images, width).square()))
    return images * (1 + _drawn(images, strength) * torch.where(chance(images, darker), -1.0, 1.0) * hill)


def coarser(images: Tensor, *, scale: Range) -> Tensor:
    """Reduced by area to ``scale`` of the side and enlarged again; the scale is one for the batch."""
    low, high = scale
    side = round(images.shape[-1] * (low + (high - low) * float(torch.rand(()))))
    small = F.interpolate(images, size=(side, side), mode="area")
    return F.interpolate(small, size=images.shape[-2:], mode="bilinear", align_corners=False)


def blurred(images: Tensor, *, size: tuple[int, int], sigma: Range) -> Tensor:
    """Smoothed by a Gaussian filter.

    Args:
        size: pixels of the filter, drawn from low to high; an even one counts as the next, 0 as 7 sigma.
        sigma: standard deviation in pixels.
    """
    deviation = _drawn(images, sigma).flatten()
    drawn = torch.randint(size[0], size[1] + 1, (len(images),), device=images.device)
    reach = torch.where(drawn == 0, (3.5 * deviation).long(), drawn // 2)
    most = max(size[1] // 2, int(3.5 * sigma[1]) if size[0] == 0 else 0)
    return _smoothed(images, _gaussian(deviation, most, reach), "reflect")


def noisy(images: Tensor, *, std: Range, mean: Range) -> Tensor:
    """Plus Gaussian noise, each pixel its own."""
    return images + _drawn(images, mean) + _drawn(images, std) * torch.randn_like(images)


def _drawn(images: Tensor, limits: Range) -> Tensor:
    """(B, 1, 1, 1) numbers, one for each slice."""
    low, high = limits
    return low + (high - low) * torch.rand(len(images), 1, 1, 1, device=images.device)


def _matrix(entries: list[list[Tensor]]) -> Tensor:
    """(B, 2, 2) of entries (B, 1, 1, 1)."""
    return torch.stack([torch.stack([entry.flatten() for entry in row], dim=-1) for row in entries], dim=-2)


def _read(images: Tensor, places: Tensor) -> Tensor:
    """Slices read at places (B, S, S, 2) in [-1, 1], bilinear, 0 outside."""
    return F.grid_sample(images, places, align_corners=False)


def _gaussian(sigma: Tensor, most: int, reach: Tensor | None = None) -> Tensor:
    """(B, 2 most + 1) normalised taps, cut off behind ``reach`` (B,) pixels."""
    steps = torch.arange(-most, most + 1, device=sigma.device)
    taps = torch.exp(-0.5 * (steps / sigma[:, None]).square())
    if reach is not None:
        taps = taps * (steps.abs() <= reach[:, None])
    return taps / taps.sum(dim=1, keepdim=True)


def _smoothed(images: Tensor, taps: Tensor, border: str) -> Tensor:
    """Each slice filtered along both sides with its own taps (B, K)."""
    count, reach = len(images), taps.shape[1] // 2
    channels = F.pad(images, (reach,) * 4, mode=border).transpose(0, 1)
    across = F.conv2d(channels, taps.view(count, 1, 1, -1), groups=count)
    return F.conv2d(across, taps.view(count, 1, -1, 1), groups=count).transpose(0, 1)


@cache
def _curves(device: torch.device) -> Tensor:
    """(2, _CURVES, 256) new values of the grey values: by curves that keep the order of the tissues, and by any."""
    rng = np.random.default_rng(0)
    tables = [[kind(rng) for _ in range(_CURVES)] for kind in (monotone_curve, any_curve)]
    return torch.from_numpy(np.array(tables)).float().to(device) / 255
