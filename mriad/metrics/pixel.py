"""How well anomaly maps point out lesions, pixel by pixel.

Recall changes at the value of a lesion pixel and nowhere else, so every curve here is exact once we know, for
each distinct lesion value (a *level*), how many background pixels lie above it and how many reach it. Lesion
pixels are few: the background needs one plain sort and no index array, and healthy scans only add to counts.
"""

from __future__ import annotations

from dataclasses import dataclass

import numpy as np
from scipy import ndimage

from mriad.errors import MriadError

AUPRO_MAX_FPR = 0.3
EIGHT_NEIGHBOURS = np.ones((3, 3), dtype=bool)


def pixel_metrics(
    maps: np.ndarray,
    masks: np.ndarray,
    *,
    threshold: float,
    healthy_maps: np.ndarray | None = None,
) -> dict[str, float]:
    """Measure anomaly maps of scans that have a lesion mask, all in [0, 1].

    Pooled over the pixels of all scans: ``pixel_ap``, ``pixel_auroc``, ``dice`` of ``map > threshold``, and
    ``dice_oracle``, the best Dice of any threshold. ``pixel_aupro`` is the area under the mean overlap of
    lesion regions (2D, 8-connected) up to a false positive rate of 0.3, divided by 0.3 (Bergmann et al., The
    MVTec Anomaly Detection Dataset, IJCV 2021), with the rate taken over the pixels of these scans.
    ``dice_per_scan`` is the mean of each scan's Dice at ``threshold``; ``pointing`` the share of scans whose
    highest map value lies in the mask, where tied pixels share the vote.

    With healthy scans as empty masks beside them: ``pixel_ap_all``, ``pixel_auroc_all``, ``dice_all`` and
    ``dice_oracle_all``. Areas under a false positive rate are left out where no pixel is background.

    Args:
        maps: (N, H, W) anomaly maps, taken as float32, higher = stranger, on one scale.
        masks: (N, H, W) true where the lesion is, at least one pixel a scan.
        threshold: a pixel is called anomalous where its map value is greater.
        healthy_maps: (M, H, W) anomaly maps of healthy scans, or None.

    Returns:
        metric by name; empty where N is 0.

    Raises:
        MriadError: if a map value is not finite, or a mask has no pixel.
        ValueError: if maps and masks differ in shape.
    """
    if len(maps) == 0:
        return {}
    maps, masks = np.asarray(maps, dtype=np.float32), np.asarray(masks, dtype=bool)
    if maps.shape != masks.shape:
        raise ValueError(f"maps {maps.shape} and masks {masks.shape} differ in shape")
    _require_finite(maps)
    if empty := int((~masks.any(axis=(1, 2))).sum()):
        raise MriadError(f"{empty} of {len(masks)} lesion masks have no pixel; leave these scans out of pixel metrics.")

    lesion = _Lesion.of(maps, masks)
    background = _Background.of(maps[~masks], lesion.levels)
    calls = _Calls.of(maps, masks, threshold)
    metrics = {
        **_curve_areas(lesion, background),
        "dice": calls.pooled_dice(),
        "dice_oracle": _best_dice(lesion, background),
        "dice_per_scan": calls.mean_dice(),
        "pointing": _pointing(maps, masks),
    }
    if background.total:
        metrics["pixel_aupro"] = _aupro(lesion, background)
    if healthy_maps is None or len(healthy_maps) == 0:
        return metrics

    healthy = np.array(healthy_maps, dtype=np.float32).ravel()
    _require_finite(healthy)
    called_on_healthy = int((healthy > float(threshold)).sum())
    everything = background + _Background.of(healthy, lesion.levels)
    pooled = {
        **_curve_areas(lesion, everything),
        "dice": calls.pooled_dice(called_elsewhere=called_on_healthy),
        "dice_oracle": _best_dice(lesion, everything),
    }
    return metrics | {f"{name}_all": value for name, value in pooled.items()}


@dataclass(frozen=True)
class _Lesion:
    """Lesion pixels at or above each of L levels, the distinct lesion values from high to low."""

    levels: np.ndarray  # (L,) float32, falling
    reached: np.ndarray  # (L,) number of lesion pixels at or above the level
    overlap: np.ndarray  # (L,) share of a region at or above the level, mean over regions

    @classmethod
    def of(cls, maps: np.ndarray, masks: np.ndarray) -> _Lesion:
        levels, index = np.unique(maps[masks], return_inverse=True)
        shares = np.concatenate([_region_shares(mask) for mask in masks])
        # The shares of a region add up to 1, so their sum is the number of regions.
        overlap = np.bincount(index, weights=shares)[::-1].cumsum() / shares.sum()
        return cls(levels[::-1], np.bincount(index)[::-1].cumsum(), overlap)

    @property
    def total(self) -> int:
        return int(self.reached[-1])

    @property
    def gained(self) -> np.ndarray:
        return np.diff(self.reached, prepend=0)


@dataclass(frozen=True)
class _Background:
    """Background pixels above, and at or above, each level of the lesion."""

    above: np.ndarray  # (L,)
    reached: np.ndarray  # (L,)
    total: int

    @classmethod
    def of(cls, values: np.ndarray, levels: np.ndarray) -> _Background:
        """Count ``values``, which are sorted in place to spare a copy."""
        values.sort()
        return cls(
            above=len(values) - np.searchsorted(values, levels, side="right"),
            reached=len(values) - np.searchsorted(values, levels, side="left"),
            total=len(values),
        )

    def __add__(self, other: _Background) -> _Background:
        return _Background(self.above + other.above, self.reached + other.reached, self.total + other.total)


@dataclass(frozen=True)
class _Calls:
    """Pixel counts of each of N scans at one threshold."""

    hit: np.ndarray  # (N,) lesion pixels called anomalous
    called: np.ndarray  # (N,) pixels called anomalous
    lesion: np.ndarray  # (N,) lesion pixels

    @classmethod
    def of(cls, maps: np.ndarray, masks: np.ndarray, threshold: float) -> _Calls:
        # A Python float is compared in float32, the precision that the map has; a NumPy float64 would not be.
        called = maps > float(threshold)
        return cls(*(pixels.sum(axis=(1, 2)) for pixels in (called & masks, called, masks)))

    def pooled_dice(self, *, called_elsewhere: int = 0) -> float:
        return float(2 * self.hit.sum() / (self.called.sum() + called_elsewhere + self.lesion.sum()))

    def mean_dice(self) -> float:
        return float(np.mean(2 * self.hit / (self.called + self.lesion)))


def _region_shares(mask: np.ndarray) -> np.ndarray:
    """Give each lesion pixel of one (H, W) mask, in row-major order, 1 / (pixels of its region)."""
    regions, _ = ndimage.label(mask, structure=EIGHT_NEIGHBOURS)
    region = regions[mask]
    return 1.0 / np.bincount(region)[region]


def _curve_areas(lesion: _Lesion, background: _Background) -> dict[str, float]:
    """Average precision as in scikit-learn, and AUROC as the Mann-Whitney statistic with ties halved."""
    precision = lesion.reached / (lesion.reached + background.reached)
    areas = {"pixel_ap": float(np.dot(lesion.gained, precision) / lesion.total)}
    if background.total:
        misplaced = (background.above + background.reached) / (2 * background.total)
        areas["pixel_auroc"] = float(1 - np.dot(lesion.gained, misplaced) / lesion.total)
    return areas


def _best_dice(lesion: _Lesion, background: _Background) -> float:
    # Between two levels a lower threshold only adds false positives, so the best threshold is a level.
    return float(np.max(2 * lesion.reached / (lesion.reached + background.reached + lesion.total)))


def _aupro(lesion: _Lesion, background: _Background) -> float:
    """Integrate overlap over the false positive rate, linear where lesion and background pixels tie."""
    before = np.concatenate([[0.0], lesion.overlap[:-1]])
    rate = np.column_stack([background.above, background.reached]).ravel() / background.total
    overlap = np.column_stack([before, lesion.overlap]).ravel()
    rate, overlap = np.append(rate, 1.0), np.append(overlap, 1.0)

    end = int(np.searchsorted(rate, AUPRO_MAX_FPR, side="right"))  # rate[-1] is 1, so rate[end] exists
    start_rate, start_overlap = (rate[end - 1], overlap[end - 1]) if end else (0.0, 0.0)
    along = (AUPRO_MAX_FPR - start_rate) / (rate[end] - start_rate)
    at_limit = start_overlap + along * (overlap[end] - start_overlap)
    area = np.trapezoid(np.append(overlap[:end], at_limit), np.append(rate[:end], AUPRO_MAX_FPR))
    return float(area / AUPRO_MAX_FPR)


def _pointing(maps: np.ndarray, masks: np.ndarray) -> float:
    highest = maps == maps.max(axis=(1, 2), keepdims=True)
    inside = (highest & masks).sum(axis=(1, 2))
    return float(np.mean(inside / highest.sum(axis=(1, 2))))


def _require_finite(maps: np.ndarray) -> None:
    if broken := maps.size - int(np.isfinite(maps).sum()):
        raise MriadError(
            f"{broken} of {maps.size} anomaly map values are not finite; train again at a lower "
            "learning rate or in float32."
        )
