"""Random remapping of intensities: what the same head might look like in another contrast."""

from __future__ import annotations

import numpy as np
from numpy.typing import NDArray
from scipy.interpolate import PchipInterpolator

_AIR = 0.04, 0.10  # below the first every contrast is dark, above the second the curve holds


def monotone_curve(rng: np.random.Generator) -> NDArray[np.uint8]:
    """A smooth rising curve: tissues keep their order and change their distances, as between scanners or echo times.

    Returns:
        (256,) new value of each grey value.
    """
    knots = int(rng.integers(3, 7))
    steps = rng.uniform(0.1, 1.0, size=knots)
    return _table(np.concatenate([[0.0], steps.cumsum() / steps.sum()]))


def any_curve(rng: np.random.Generator) -> NDArray[np.uint8]:
    """A smooth curve through random heights: tissues in any order, as between T1 and T2; air stays dark.

    After the random intensities per tissue of SynthSeg (Billot et al. 2023), with grey values in place of labels.

    Returns:
        (256,) new value of each grey value.
    """
    knots = int(rng.integers(3, 6))
    heights = rng.uniform(0.0, 1.0, size=knots + 1)
    return _table(heights / heights.max())


def _table(heights: NDArray[np.float64]) -> NDArray[np.uint8]:
    values = np.linspace(0.0, 1.0, 256)
    curve = PchipInterpolator(np.linspace(0.0, 1.0, len(heights)), heights)(values)
    gate = np.clip((values - _AIR[0]) / (_AIR[1] - _AIR[0]), 0.0, 1.0)
    return np.round(255 * np.clip(curve * gate, 0.0, 1.0)).astype(np.uint8)
