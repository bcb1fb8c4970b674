"""How a reconstruction differs from its scan, pixel by pixel."""

from __future__ import annotations

from collections.abc import Callable

import torch
from torch import Tensor
from torch.nn import functional as F
from torchmetrics.functional.image import structural_similarity_index_measure

Residual = Callable[[Tensor, Tensor], Tensor]


def squared_error(x: Tensor, reconstruction: Tensor) -> Tensor:
    """(x - reconstruction)^2; both (B, 1, *spatial), result likewise, in [0, 1] for inputs in [0, 1]."""
    return (x - reconstruction).square()


def absolute_error(x: Tensor, reconstruction: Tensor) -> Tensor:
    """|x - reconstruction|; both (B, 1, *spatial), result likewise, in [0, 1] for inputs in [0, 1]."""
    return (x - reconstruction).abs()


def positive_error(x: Tensor, reconstruction: Tensor) -> Tensor:
    """max(x - reconstruction, 0): what is brighter than healthy; all (B, 1, *spatial), in [0, 1] as inputs are."""
    return (x - reconstruction).clamp(min=0)


def negative_error(x: Tensor, reconstruction: Tensor) -> Tensor:
    """max(reconstruction - x, 0): what is darker than healthy; all (B, 1, *spatial), in [0, 1] as inputs are."""
    return (reconstruction - x).clamp(min=0)


def gradient_error(x: Tensor, reconstruction: Tensor) -> Tensor:
    """L1 distance of the two images' gradients, in [0, 1] per axis for inputs in [0, 1]; all (B, 1, *spatial).

    Gradients are central differences, per pixel, with the border repeated. A lesion shows by its outline.
    """
    axes = range(2, x.ndim)
    difference = F.pad(x - reconstruction, [1] * 2 * len(axes), mode="replicate")
    inside = [slice(1, -1) if axis in axes else slice(None) for axis in range(x.ndim)]

    def central(axis: int) -> Tensor:
        after, before = inside.copy(), inside.copy()
        after[axis], before[axis] = slice(2, None), slice(None, -2)
        return (difference[tuple(after)] - difference[tuple(before)]) / 2

    return sum((central(axis).abs() for axis in axes), start=torch.zeros_like(x))


def structural_dissimilarity(x: Tensor, reconstruction: Tensor) -> Tensor:
    """1 - SSIM, in [0, 2]; both (B, 1, *spatial) in [0, 1], result likewise. Uniform 11x11 window; Wang et al. 2004."""
    return 1.0 - ssim_map(x, reconstruction)


def ssim_map(x: Tensor, reconstruction: Tensor) -> Tensor:
    """Structural similarity around each pixel, in [-1, 1]; uniform 11x11 window, inputs (B, 1, *spatial) in [0, 1]."""
    return similarity(reconstruction, x, size=11)


def similarity(images: Tensor, others: Tensor, *, size: int) -> Tensor:
    """Structural similarity around each pixel of each channel, in [-1, 1]; Wang et al. 2004.

    Args:
        images, others: (B, C, *spatial), values that span about 1.
        size: side of the uniform window in pixels, odd.
    """
    with torch.autocast(images.device.type, enabled=False):  # variances in bf16 are noise
        if torch.compiler.is_exporting():
            return _similarity_in_a_graph(images.float(), others.float(), size)
        _, full = structural_similarity_index_measure(
            images.float(),
            others.float(),
            gaussian_kernel=False,
            kernel_size=size,
            data_range=1.0,
            reduction="none",
            return_full_image=True,
        )
    assert isinstance(full, torch.Tensor)
    return full


def _similarity_in_a_graph(images: Tensor, others: Tensor, size: int) -> Tensor:
    """The same without torchmetrics, which splits by a number of scans that a graph does not know."""
    pool = F.avg_pool2d if images.ndim == 4 else F.avg_pool3d
    one, two = (F.pad(part, [size // 2] * 2 * (part.ndim - 2), mode="reflect") for part in (images, others))
    mean_one, mean_two = pool(one, size, 1), pool(two, size, 1)
    spread_one = (pool(one.square(), size, 1) - mean_one.square()).clamp(min=0)
    spread_two = (pool(two.square(), size, 1) - mean_two.square()).clamp(min=0)
    shared = pool(one * two, size, 1) - mean_one * mean_two
    means = (2 * mean_one * mean_two + 0.01**2) / (mean_one.square() + mean_two.square() + 0.01**2)
    return means * (2 * shared + 0.03**2) / (spread_one + spread_two + 0.03**2)


def equalize(images: Tensor, x: Tensor, level: float) -> Tensor:
    """Histogram-equalise images by the histogram of the scans that they belong to.

    A value becomes the share of the scan's foreground that is no brighter, so that the foreground of x itself is spread
    evenly over (0, 1] and its background is 0. The histogram has a bin for each of the 256 levels of an 8-bit scan;
    between levels the share is interpolated. Gonzalez and Woods, Digital Image Processing, section 3.3.

    Args:
        images: (B, 1, *spatial) in [0, 1]: x, or its reconstruction.
        x: scans (B, 1, *spatial) in [0, 1].
        level: brightness above which a pixel is foreground.

    Returns:
        (B, 1, *spatial) in [0, 1]; 0 for a scan without foreground.
    """
    bins = (x.nan_to_num().clamp(0, 1) * 255).round().long().flatten(1)
    counted = (x > level).flatten(1).to(x)
    histogram = x.new_zeros(x.shape[0], 256).scatter_add_(1, bins, counted)
    share = histogram.cumsum(dim=1) / counted.sum(dim=1, keepdim=True).clamp(min=1)
    position = (images.clamp(0, 1) * 255).flatten(1)
    below = position.nan_to_num().floor().long().clamp(max=254)  # NaN stays NaN in the weights
    return torch.lerp(share.gather(1, below), share.gather(1, below + 1), position - below).view_as(images)


def gaussian_blur(x: Tensor, sigma: float) -> Tensor:
    """Gaussian filter of standard deviation ``sigma`` pixels, cut at 3 sigma, border repeated; (B, 1, *spatial)."""
    *deep, down, across = (_gaussian_weights(side, sigma).to(x) for side in x.shape[2:])
    x = down @ x @ across.T  # 3 to 25 times as fast on a CPU as convolving one channel
    for weights in deep:
        x = (weights @ x.flatten(3)).view_as(x)
    return x


def _gaussian_weights(side: int, sigma: float) -> Tensor:
    """(side, side) weights of a filtered line: row i holds what each pixel adds to pixel i."""
    reach = max(1, round(3 * sigma))
    offsets = torch.arange(-reach, reach + 1)
    kernel = torch.exp(-0.5 * (offsets / sigma).square())
    pixels = (torch.arange(side)[:, None] + offsets).clamp(0, side - 1)
    return torch.zeros(side, side).scatter_add_(1, pixels, (kernel / kernel.sum()).expand(side, -1))


RESIDUALS: dict[str, Residual] = {
    "mse": squared_error,
    "l1": absolute_error,
    "ssim": structural_dissimilarity,
    "gradient": gradient_error,
    "positive": positive_error,
    "negative": negative_error,
}
