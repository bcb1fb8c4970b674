"""A small U-Net that never works at full resolution."""

from __future__ import annotations

import itertools
import math
from collections.abc import Sequence

import torch
from torch import Tensor, nn
from torch.nn import functional as F

from mriad.errors import MriadError
from mriad.models.networks import require_multiple, require_widths

_BACKGROUND = 0.05  # of the range of a scan
_LEAST_DEVIATION = 0.05  # of the same: what differs by less is noise


class UNet(nn.Module):
    """U-Net (Ronneberger et al. 2015) for one image or slab in and one image out, cut to what a CPU trains in minutes.

    Two by two pixels are folded into channels before the first convolution and unfolded behind the last (sub-pixel
    convolution, Shi et al. 2016), so that the dearest level of a U-Net is left out. Skips are added, not concatenated.
    Memory is laid out channels last.

    Args:
        image_size: side of the input in pixels, a multiple of 2 ** len(widths).
        widths: channels at each level, from half the side downwards.
        depth: convolutions of each level on the way down; on the way up it has one.
        prior: probability in (0, 1) that a pixel is given before anything is learned, by the bias behind the last
            convolution (Lin et al. 2017, focal loss). Where few pixels are anomalous and the first guess is a half, the
            first epochs teach every feature to say "healthy", and the strangest pixels all reach the same bound, where
            no feature says it. None: no guess, for what is no logit.
        mirror: show the network the scan's left-right mirror image beside it: a head is nearly symmetric whatever the
            contrast, a lesion is not.
        neighbours: k slices on each side of the one that is answered for that are seen beside it; C = 2 k + 1 channels.
        relative: divide what it sees by twice the median of what is no background there: what is bright is then what is
            brighter than most of the head, wherever a window lies; an upper percentile would change with a lesion.
        local: side in pixels, odd, of the neighbourhood by whose mean and standard deviation each pixel is measured, as
            something more that is seen of each slice (local contrast normalisation, Jarrett et al. 2009, with a box);
            a small spot stands out alike in every contrast then. None: nothing more.

    Raises:
        MriadError: if there is no level, a level has no convolution, the size does not fit, the prior is none, or the
            neighbourhood has no middle.
    """

    def __init__(
        self,
        *,
        image_size: int = 128,
        widths: Sequence[int] = (32, 64, 128, 256),
        depth: int = 2,
        prior: float | None = None,
        mirror: bool = False,
        neighbours: int = 0,
        relative: bool = False,
        local: int | None = None,
    ) -> None:
        super().__init__()
        require_widths("model.network.widths", widths)
        require_multiple(f"A U-Net of {len(widths)} levels", image_size, 2 ** len(widths))
        if not isinstance(depth, int) or depth < 1:
            raise MriadError(f"model.network.depth={depth} is no number of convolutions; give 1 or more.")
        if prior is not None and not 0 < prior < 1:
            raise MriadError(f"model.network.prior={prior} is no probability; choose one between 0 and 1, or null.")
        if local is not None and not (isinstance(local, int) and local > 1 and local % 2):
            raise MriadError(f"model.network.local={local} is no side with a middle; give an odd one from 3, or null.")
        self._mirror, self.neighbours, self._relative, self._local = mirror, neighbours, relative, local
        folded = 4 * (2 if mirror else 1) * (1 if local is None else 2) * (2 * neighbours + 1)
        levels = zip((folded, *widths[:-1]), widths, strict=True)
        self.down = nn.ModuleList(
            nn.Sequential(_convolution(before, after), *(_convolution(after, after) for _ in range(depth - 1)))
            for before, after in levels
        )
        self.lift = nn.ModuleList(nn.Conv2d(below, here, 1) for here, below in itertools.pairwise(widths))
        self.up = nn.ModuleList(_convolution(width, width) for width in widths[:-1])
        self.last = nn.Conv2d(widths[0], 4, 1)
        if prior is not None:
            nn.init.constant_(self.last.bias, math.log(prior / (1 - prior)))  # type: ignore[arg-type]
        self.to(memory_format=torch.channels_last)  # type: ignore[call-overload]

    def forward(self, x: Tensor) -> Tensor:
        """(B, C, S, S) to (B, 1, S, S), without an activation behind the last convolution."""
        if self._relative:
            x = _relative(x)
        if self._local is not None:
            x = torch.cat([x, _local_contrast(x, self._local)], dim=1)
        if self._mirror:
            x = torch.cat([x, x.flip(-1)], dim=1)
        features = F.pixel_unshuffle(x, 2).contiguous(memory_format=torch.channels_last)
        skips = []
        for level, down in enumerate(self.down):
            features = down(F.max_pool2d(features, 2) if level else features)
            skips.append(features)
        features = skips.pop()
        for lift, up, skip in zip(self.lift[::-1], self.up[::-1], skips[::-1], strict=True):
            features = up(F.interpolate(lift(features), scale_factor=2.0) + skip)
        return F.pixel_shuffle(self.last(features), 2)


def _relative(x: Tensor) -> Tensor:
    """x (B, C, S, S) in [0, 1] over twice the median of each one's pixels above the background; in [0, 2]."""
    flat = x.flatten(1)
    shows = flat > _BACKGROUND
    if torch.compiler.is_exporting():  # ONNX has no median
        ordered = torch.where(shows, flat, torch.inf).sort(dim=1).values
        count = shows.sum(dim=1, keepdim=True)
        median = ordered.gather(1, (count - 1).clamp(min=0) // 2)
        median = torch.where(count > 0, median, 0.5)
    else:
        median = torch.where(shows, flat, torch.nan).nanmedian(dim=1).values.nan_to_num(0.5)
    return (x / (2 * median.view(-1, 1, 1, 1))).clamp(max=2.0)


def _local_contrast(x: Tensor, side: int) -> Tensor:
    """Standard deviations by which pixels of x (B, C, S, S) differ from those around them, halved; in [-2, 2]."""
    mean = _box(x, side)
    deviation = (_box(x * x, side) - mean * mean).clamp(min=0).sqrt()
    return ((x - mean) / (deviation + _LEAST_DEVIATION)).clamp(-4, 4) / 2


def _box(x: Tensor, side: int) -> Tensor:
    """Mean of the side by side pixels around each one, with 0 around the image; of running sums, as pooling is slow."""
    half = side // 2
    for axis, around in ((-1, (half + 1, half)), (-2, (0, 0, half + 1, half))):
        sums, length = F.pad(x, around).cumsum(axis), x.shape[axis]
        x = (sums.narrow(axis, side, length) - sums.narrow(axis, 0, length)) / side
    return x


def _convolution(before: int, after: int) -> nn.Sequential:
    return nn.Sequential(
        nn.Conv2d(before, after, 3, padding=1, bias=False), nn.BatchNorm2d(after), nn.ReLU(inplace=True)
    )
