"""Head masks from pixels alone, for scans without a segmentation."""

from __future__ import annotations

import numpy as np
from numpy.typing import NDArray
from PIL import Image
from scipy import ndimage

_LONGEST_SIDE = 128  # the mask is found on a small copy: speed, and thin text disappears


def head_mask(image: NDArray[np.float32]) -> NDArray[np.bool_]:
    """Pixels of the head: the largest component that differs from the background, holes filled.

    The background is what the image border shows, so bright backgrounds work too.

    Args:
        image: (H, W) intensities, any range.

    Returns:
        (H, W) boolean mask; all True where no head stands out from the background.
    """
    height, width = image.shape
    scale = min(1.0, _LONGEST_SIDE / max(height, width))
    small = image
    if scale < 1:
        size = (max(1, round(width * scale)), max(1, round(height * scale)))
        small = np.asarray(Image.fromarray(image).resize(size, Image.Resampling.BOX))
    mask = _small_head_mask(small)
    if mask.shape != image.shape:
        mask = np.asarray(Image.fromarray(mask).resize((width, height), Image.Resampling.NEAREST))
    return mask


def _small_head_mask(image: NDArray[np.float32]) -> NDArray[np.bool_]:
    border = np.concatenate([image[0], image[-1], image[:, 0], image[:, -1]])
    background = float(np.median(border))
    contrast = np.abs(image - background)
    # a tenth of the bright end: above JPEG noise, below dark grey matter
    foreground = contrast > 0.1 * float(np.percentile(contrast, 99))
    foreground = ndimage.binary_opening(foreground, iterations=1)
    labels, count = ndimage.label(foreground)
    if count == 0:
        return np.ones(image.shape, dtype=bool)
    largest = int(np.bincount(labels.ravel())[1:].argmax()) + 1
    mask: NDArray[np.bool_] = ndimage.binary_fill_holes(labels == largest)
    if mask.mean() < 0.05:
        return np.ones(image.shape, dtype=bool)
    return mask
