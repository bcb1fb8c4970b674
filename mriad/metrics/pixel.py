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
from mriad.metrics.pixel_curves import Background, Lesion, aupro, auroc, average_precision, best_dice, dice_by_level

EIGHT_NEIGHBOURS = np.ones((3, 3), dtype=bool)
_SCANS_AT_ONCE = 64


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

    levels, lesion = _count_lesion(maps, masks)
    background = _count_background(maps[~masks], levels)
    scans = ScanCounts.of(maps, masks, threshold=threshold)
    metrics = {
        **_curves(lesion, background),
        "dice": float(2 * scans.hit.sum() / (scans.called.sum() + scans.lesion.sum())),
        "dice_per_scan": float(scans.dice.mean()),
        "pointing": float(scans.pointing.mean()),
    }
    if background.total:
        metrics["pixel_aupro"] = float(aupro(lesion, background))
    if healthy_maps is None or len(healthy_maps) == 0:
        return metrics

    healthy = np.array(healthy_maps, dtype=np.float32).ravel()
    _require_finite(healthy)
    called = scans.called.sum() + np.count_nonzero(healthy > float(threshold))
    pooled = {
        **_curves(lesion, background + _count_background(healthy, levels)),
        "dice": float(2 * scans.hit.sum() / (called + scans.lesion.sum())),
    }
    return metrics | {f"{name}_all": value for name, value in pooled.items()}


def best_dice_threshold(maps: np.ndarray, masks: np.ndarray) -> float:
    """Find the threshold with the best Dice of ``map > threshold``, pooled over the pixels of all scans.

    Args:
        maps: (N, H, W) finite anomaly maps, taken as float32.
        masks: (N, H, W) true where the lesion is, at least one pixel in all.

    Returns:
        The highest such threshold: just below a map value of the lesion.
    """
    maps, masks = np.asarray(maps, dtype=np.float32), np.asarray(masks, dtype=bool)
    levels, lesion = _count_lesion(maps, masks)
    dice = dice_by_level(lesion, _count_background(maps[~masks], levels))
    return float(np.nextafter(levels[np.argmax(dice)], np.float32(-np.inf)))


def upper_quantile(maps: np.ndarray, q: float, *, scans: np.ndarray) -> float:
    """The quantile of the pixels of some maps together, as ``numpy.quantile`` interpolates it.

    Holds little more than the pixels above it, so ``maps`` may be mapped from a file and larger than the memory.

    Args:
        maps: (N, H, W) finite anomaly maps.
        q: in [0, 1].
        scans: (n,) which of them, at least one.
    """
    count = len(scans) * maps[0].size
    rank = q * (count - 1)
    kept = count - int(rank)
    highest = np.empty(0, dtype=np.float32)
    for start in range(0, len(scans), _SCANS_AT_ONCE):
        highest = np.concatenate([highest, maps[scans[start : start + _SCANS_AT_ONCE]].ravel()])
        if (lower := len(highest) - kept) > 0:
            highest = np.partition(highest, lower)[lower:]
    low, high = np.sort(highest)[[0, min(1, kept - 1)]].tolist()
    return low + (high - low) * (rank % 1)


@dataclass(frozen=True)
class ScanCounts:
    """Pixel counts of each of N scans at one threshold, and where the maximum of each map lies."""

    hit: np.ndarray  # (N,) lesion pixels called anomalous
    called: np.ndarray  # (N,) pixels called anomalous
    lesion: np.ndarray  # (N,) lesion pixels
    pointing: np.ndarray  # (N,) share of the highest pixels that lie in the lesion

    @classmethod
    def of(cls, maps: np.ndarray, masks: np.ndarray, *, threshold: float) -> ScanCounts:
        """Count (N, H, W) float32 maps and boolean masks."""
        # A Python float is compared in float32, the precision that the map has; a NumPy float64 would not be.
        called = maps > float(threshold)
        highest = maps == maps.max(axis=(1, 2), keepdims=True)
        hit, called, lesion, inside, tied = (
            pixels.sum(axis=(1, 2)) for pixels in (called & masks, called, masks, highest & masks, highest)
        )
        return cls(hit, called, lesion, inside / tied)

    @property
    def dice(self) -> np.ndarray:
        """(N,) Dice of each scan."""
        return 2 * self.hit / (self.called + self.lesion)


def region_shares(mask: np.ndarray) -> np.ndarray:
    """Give each lesion pixel of one (H, W) mask, in row-major order, 1 / (pixels of its region)."""
    regions, _ = ndimage.label(mask, structure=EIGHT_NEIGHBOURS)
    region = regions[mask]
    return 1.0 / np.bincount(region)[region]


def _count_lesion(maps: np.ndarray, masks: np.ndarray) -> tuple[np.ndarray, Lesion]:
    """Find the distinct lesion values, falling, and count the lesion at each."""
    levels, index = np.unique(maps[masks], return_inverse=True)
    shares = np.concatenate([region_shares(mask) for mask in masks])
    # The shares of a region add up to 1, so the last sum is the number of regions.
    overlap = np.bincount(index, weights=shares)[::-1].cumsum()
    return levels[::-1], Lesion(np.bincount(index)[::-1].cumsum(), overlap / overlap[-1])


def _count_background(values: np.ndarray, levels: np.ndarray) -> Background:
    """Count (n,) ``values``, which are sorted in place to spare a copy."""
    values.sort()
    return Background(
        above=len(values) - np.searchsorted(values, levels, side="right"),
        reached=len(values) - np.searchsorted(values, levels, side="left"),
        total=np.asarray(len(values)),
    )


def _curves(lesion: Lesion, background: Background) -> dict[str, float]:
    values = {"pixel_ap": average_precision(lesion, background), "dice_oracle": best_dice(lesion, background)}
    if background.total:
        values["pixel_auroc"] = auroc(lesion, background)
    return {name: float(value) for name, value in values.items()}


def _require_finite(maps: np.ndarray) -> None:
    if broken := maps.size - int(np.isfinite(maps).sum()):
        raise MriadError(
            f"{broken} of {maps.size} anomaly map values are not finite; train again at a lower "
            "learning rate or in float32."
        )
