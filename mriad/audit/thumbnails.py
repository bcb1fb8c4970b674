"""The exact distance from each thumbnail to the nearest of others."""

from __future__ import annotations

import numpy as np
from numpy.typing import NDArray
from sklearn.metrics import pairwise_distances_argmin_min

from mriad.data.preparing.fingerprint import THUMBNAIL_SIZE, thumbnail
from mriad.data.preparing.packs import Rows

INTENSITIES = 255.0 * THUMBNAIL_SIZE
"""Divides a Euclidean distance between uint8 thumbnails into a root mean squared difference of intensity in [0, 1]."""


def thumbnails_of(images: Rows, rows: NDArray[np.int64]) -> NDArray[np.uint8]:
    """Shrink prepared scans the way the cache shrinks originals: a volume by its middle slice.

    Args:
        images: (N, *spatial) uint8; may be mapped from disk.
        rows: (n,) the scans to shrink.

    Returns:
        (n, 16, 16) uint8.
    """
    small = np.zeros((len(rows), THUMBNAIL_SIZE, THUMBNAIL_SIZE), dtype=np.uint8)
    for index, row in enumerate(rows):
        image = images[row]
        small[index] = thumbnail(image if image.ndim == 2 else image[len(image) // 2])
    return small


def nearest_distance(thumbnails: NDArray[np.uint8], among: NDArray[np.uint8]) -> NDArray[np.float64]:
    """Distance to the nearest of other thumbnails, by brute force and therefore exact.

    Memory stays small whatever the numbers of thumbnails are; identical ones are at 0.

    Args:
        thumbnails: (n, 16, 16) uint8, at least one.
        among: (m, 16, 16) uint8, at least one.

    Returns:
        (n,) root mean squared differences of intensity, in [0, 1].
    """
    flat, others = (stack.reshape(len(stack), -1).astype(np.float32) for stack in (thumbnails, among))
    distance = pairwise_distances_argmin_min(flat, others)[1]
    return np.asarray(distance, dtype=np.float64) / INTENSITIES
