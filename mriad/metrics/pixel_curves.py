"""Areas under curves over pixels, from counts of lesion and background pixels at falling levels.

Levels run along the last axis; leading axes, such as resamples, are measured side by side.
"""

from __future__ import annotations

from dataclasses import dataclass

import numpy as np
from numpy.typing import NDArray

AUPRO_MAX_FPR = 0.3

Floats = NDArray[np.float64]
Counts = NDArray[np.integer] | Floats


@dataclass(frozen=True)
class Lesion:
    """Lesion pixels at or above each of L levels, from high to low; all of them at the last."""

    reached: Counts  # (..., L) number of lesion pixels at or above the level
    overlap: Floats  # (..., L) share of a region at or above the level, mean over regions

    @property
    def total(self) -> Counts:
        """(...) lesion pixels."""
        return self.reached[..., -1]

    @property
    def gained(self) -> Counts:
        """(..., L) lesion pixels between a level and the next higher one."""
        return np.diff(self.reached, prepend=0, axis=-1)


@dataclass(frozen=True)
class Background:
    """Background pixels above, and at or above, each level of the lesion."""

    above: Counts  # (..., L)
    reached: Counts  # (..., L)
    total: Counts  # (...)

    def __add__(self, other: Background) -> Background:
        return Background(self.above + other.above, self.reached + other.reached, self.total + other.total)


def average_precision(lesion: Lesion, background: Background) -> Floats:
    """(...) average precision as in scikit-learn."""
    precision = lesion.reached / np.maximum(lesion.reached + background.reached, 1)
    return np.vecdot(lesion.gained, precision) / lesion.total


def auroc(lesion: Lesion, background: Background) -> Floats:
    """(...) area under the ROC curve: the Mann-Whitney statistic with ties halved."""
    misplaced = np.vecdot(lesion.gained, (background.above + background.reached) / 2)
    return 1 - misplaced / (background.total * lesion.total)


def dice_by_level(lesion: Lesion, background: Background) -> Floats:
    """(..., L) Dice when pixels at or above each level are called anomalous."""
    return 2 * lesion.reached / (lesion.reached + background.reached + np.expand_dims(lesion.total, -1))


def best_dice(lesion: Lesion, background: Background) -> Floats:
    """(...) the best Dice of any threshold."""
    # Between two levels a lower threshold only adds false positives, so the best threshold is a level.
    return np.max(dice_by_level(lesion, background), axis=-1)


def aupro(lesion: Lesion, background: Background) -> Floats:
    """(...) area under overlap by false positive rate, up to ``AUPRO_MAX_FPR`` and divided by it.

    Linear where lesion and background pixels tie. Bergmann et al., The MVTec Anomaly Detection Dataset, IJCV 2021.
    """
    before = np.concatenate([np.zeros_like(lesion.overlap[..., :1]), lesion.overlap[..., :-1]], axis=-1)
    end = np.ones_like(before[..., :1])
    total = np.expand_dims(background.total, -1)
    rate = np.concatenate([_interleave(background.above, background.reached) / total, end], axis=-1)
    overlap = np.concatenate([_interleave(before, lesion.overlap), end], axis=-1)

    start, width = rate[..., :-1], np.diff(rate, axis=-1)
    inside = np.clip(AUPRO_MAX_FPR - start, 0, width)
    slope = np.divide(np.diff(overlap, axis=-1), width, out=np.zeros_like(width), where=width > 0)
    return np.vecdot(inside, overlap[..., :-1] + slope * inside / 2) / AUPRO_MAX_FPR


def _interleave(first: Counts, second: Counts) -> Floats:
    return np.stack([first, second], axis=-1).reshape(*np.shape(first)[:-1], -1).astype(np.float64)
