"""A scan with what is strange in it laid over in colour."""

from __future__ import annotations

import numpy as np
from matplotlib.colors import Normalize

from mriad.plots.style import MAP_COLOURS

OPACITY = 0.7


def overlay(
    image: np.ndarray,
    anomaly_map: np.ndarray,
    *,
    map_scale: tuple[float, float],
    pixel_threshold: float,
) -> np.ndarray:
    """Blend the map over the scan where it is above the threshold, and leave the rest gray.

    Args:
        image: (H, W) in [0, 1].
        anomaly_map: (H, W), higher = stranger.
        map_scale: map values of the first and the last colour; values beyond take the nearer of the two.
        pixel_threshold: a pixel is coloured where its map value is greater.

    Returns:
        (H, W, 3) uint8 RGB.

    Raises:
        ValueError: if image and map differ in shape.
    """
    if image.shape != anomaly_map.shape:
        raise ValueError(f"image {image.shape} and anomaly map {anomaly_map.shape} differ in shape")
    gray = np.repeat(np.clip(image, 0, 1)[..., None], 3, axis=2)
    scale = Normalize(*map_scale, clip=True)
    colour = MAP_COLOURS(scale(anomaly_map))[..., :3]
    strange = (anomaly_map > float(pixel_threshold))[..., None]
    blended = np.where(strange, (1 - OPACITY) * gray + OPACITY * colour, gray)
    return np.rint(255 * blended).astype(np.uint8)
