"""Images that look unlike all others: another body part, another modality, a frame, an inverted image."""

from __future__ import annotations

import numpy as np
import pandas as pd
from numpy.typing import NDArray
from sklearn.neighbors import NearestNeighbors

from mriad.audit.thumbnails import INTENSITIES

_MOST = 10
_NEIGHBOUR = 5
_LEAST_Z = 2.5
_COMPARED = 10_000
_LEAST_DEVIATION = 1 / 255


def outliers_of(thumbnails: NDArray[np.uint8], clusters: NDArray[np.int64]) -> pd.DataFrame:
    """Find the scans whose thumbnail is far from those of all other scans.

    The distance is that to the fifth nearest thumbnail, counting one scan of each near-duplicate cluster, so that an
    odd image does not hide behind its copies, and an even choice of 10,000 of these where there are more. Its robust
    z-score is taken by median and median absolute deviation, of one grey level of 255 at least; above 2.5 an image is
    an outlier (Leys et al. 2013).

    Args:
        thumbnails: (n, 16, 16) uint8, of the whole images.
        clusters: (n,) near-duplicate cluster of each scan.

    Returns:
        the strangest first, at most 10: ``index`` into ``thumbnails``, ``distance`` (root mean squared difference of
        intensity, in [0, 1]) and ``z``; no rows where six scans or fewer are different.
    """
    chosen = np.unique(clusters, return_index=True)[1]
    if len(chosen) <= _NEIGHBOUR + 1:
        return pd.DataFrame({"index": np.zeros(0, dtype=int), "distance": np.zeros(0), "z": np.zeros(0)})
    flat = thumbnails[chosen].reshape(len(chosen), -1).astype(np.float32)
    compared = np.arange(0, len(flat), -(-len(flat) // _COMPARED))
    neighbours = NearestNeighbors(n_neighbors=_NEIGHBOUR + 1, algorithm="brute").fit(flat[compared])
    distances = neighbours.kneighbors(flat)[0].astype(float) / INTENSITIES
    with_itself = np.isin(np.arange(len(flat)), compared)
    distance = np.where(with_itself, distances[:, -1], distances[:, -2])
    deviation = np.abs(distance - np.median(distance))
    z = (distance - np.median(distance)) / max(1.4826 * float(np.median(deviation)), _LEAST_DEVIATION)
    found = pd.DataFrame({"index": chosen, "distance": distance, "z": z})
    return found[z > _LEAST_Z].nlargest(_MOST, "z").reset_index(drop=True)
