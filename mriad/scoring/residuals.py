"""How a reconstruction differs from its scan, pixel by pixel."""

from __future__ import annotations

from collections.abc import Callable

import torch
from torch import Tensor
from torch.nn import functional as F
from torchmetrics.functional.image import structural_similarity_index_measure

Residual = Callable[[Tensor, Tensor], Tensor]


def squared_error(x: Tensor, reconstruction: Tensor) -> Tensor:
    """(x - reconstruction)^2; both (B, 1, H, W), result likewise, in [0, 1] for inputs in [0, 1]."""
    return (x - reconstruction).square()


def absolute_error(x: Tensor, reconstruction: Tensor) -> Tensor:
    """|x - reconstruction|; both (B, 1, H, W), result likewise, in [0, 1] for inputs in [0, 1]."""
    return (x - reconstruction).abs()


def structural_dissimilarity(x: Tensor, reconstruction: Tensor) -> Tensor:
    """1 - SSIM, in [0, 2]; both (B, 1, H, W) in [0, 1], result likewise. Uniform 11x11 window; Wang et al. 2004."""
    return 1.0 - ssim_map(x, reconstruction)


def ssim_map(x: Tensor, reconstruction: Tensor) -> Tensor:
    """Structural similarity around each pixel, in [-1, 1]; uniform 11x11 window, inputs (B, 1, H, W) in [0, 1]."""
    with torch.autocast(x.device.type, enabled=False):  # variances in bf16 are noise
        _, full = structural_similarity_index_measure(
            reconstruction,
            x,
            gaussian_kernel=False,
            kernel_size=11,
            data_range=1.0,
            reduction="none",
            return_full_image=True,
        )
    assert isinstance(full, torch.Tensor)
    return full


def gaussian_blur(x: Tensor, sigma: float) -> Tensor:
    """Gaussian filter of standard deviation ``sigma`` pixels, cut at 3 sigma, border repeated; (B, 1, H, W)."""
    reach = max(1, round(3 * sigma))
    offsets = torch.arange(-reach, reach + 1, device=x.device, dtype=x.dtype)
    kernel = torch.exp(-0.5 * (offsets / sigma).square())
    kernel = kernel / kernel.sum()
    padded = F.pad(x, [reach] * 4, mode="replicate")
    return F.conv2d(F.conv2d(padded, kernel.view(1, 1, 1, -1)), kernel.view(1, 1, -1, 1))


RESIDUALS: dict[str, Residual] = {
    "mse": squared_error,
    "l1": absolute_error,
    "ssim": structural_dissimilarity,
}
