"""How well anomaly maps point out lesions, pixel by pixel; the pixels of volumes are voxels."""

from __future__ import annotations

from dataclasses import dataclass

import numpy as np

from mriad.errors import MriadError
from mriad.metrics.pixel_curves import Background, Lesion, aupro, auroc, average_precision, best_dice, dice_by_level
from mriad.metrics.pixel_levels import PixelLevels
from mriad.metrics.scans import Rows, Scans, Stack, parts


def pixel_metrics(
    maps: Scans,
    masks: Scans,
    *,
    threshold: float,
    healthy_maps: Scans | None = None,
) -> dict[str, float]:
    """Measure anomaly maps of scans that have a lesion mask, all in [0, 1].

    Pooled over the pixels of all scans: ``pixel_ap``, ``pixel_auroc``, ``dice`` of ``map > threshold``, and
    ``dice_oracle``, the best Dice of any threshold. ``pixel_aupro`` is the area under the mean overlap of
    lesion regions (2D, 8-connected; of volumes 26-connected) up to a false positive rate of 0.3, divided by 0.3
    (Bergmann et al., The MVTec Anomaly Detection Dataset, IJCV 2021), with the rate taken over the pixels of these
    scans. ``dice_per_scan`` is the mean of each scan's Dice at ``threshold``; ``pointing`` the share of scans whose
    highest map value lies in the mask, where tied pixels share the vote.

    With healthy scans as empty masks beside them: ``pixel_ap_all``, ``pixel_auroc_all``, ``dice_all`` and
    ``dice_oracle_all``. Areas under a false positive rate are left out where no pixel is background.

    Curves of pictures are exact. Those of volumes, which may be mapped from files and are read one at a time, are made
    from counts between 65,536 quantiles of the lesion values: exact to about 0.0001, see ``pixel_levels``.

    Args:
        maps: (N, *spatial) anomaly maps, taken as float32, higher = stranger, on one scale.
        masks: (N, *spatial) true where the lesion is, at least one pixel a scan.
        threshold: a pixel is called anomalous where its map value is greater.
        healthy_maps: (M, *spatial) anomaly maps of healthy scans, or None.

    Returns:
        metric by name; empty where N is 0.

    Raises:
        MriadError: if a map value is not finite, or a mask has no pixel.
        ValueError: if maps and masks differ in shape.
    """
    if len(maps) == 0:
        return {}
    if tuple(maps.shape) != tuple(masks.shape):
        raise ValueError(f"maps {maps.shape} and masks {masks.shape} differ in shape")
    _require_finite(maps)
    scans = ScanCounts.of(maps, masks, threshold=threshold)
    if empty := int(np.count_nonzero(scans.lesion == 0)):
        raise MriadError(f"{empty} of {len(masks)} lesion masks have no pixel; leave these scans out of pixel metrics.")

    levels = PixelLevels(maps, masks)
    background = levels.background(maps, masks)
    metrics = {
        **_curves(levels.lesion, background),
        "dice": float(2 * scans.hit.sum() / (scans.called.sum() + scans.lesion.sum())),
        "dice_per_scan": float(scans.dice.mean()),
        "pointing": float(scans.pointing.mean()),
    }
    if background.total:
        metrics["pixel_aupro"] = float(aupro(levels.lesion, background))
    if healthy_maps is None or len(healthy_maps) == 0:
        return metrics

    _require_finite(healthy_maps)
    called = scans.called.sum() + called_pixels(healthy_maps, threshold=threshold).sum()
    pooled = {
        **_curves(levels.lesion, background + levels.background(healthy_maps)),
        "dice": float(2 * scans.hit.sum() / (called + scans.lesion.sum())),
    }
    return metrics | {f"{name}_all": value for name, value in pooled.items()}


def best_dice_threshold(maps: Scans, masks: Scans) -> float:
    """Find the threshold with the best Dice of ``map > threshold``, pooled over the pixels of all scans.

    Args:
        maps: (N, *spatial) finite anomaly maps, taken as float32.
        masks: (N, *spatial) true where the lesion is, at least one pixel in all.

    Returns:
        The highest such threshold: just below a map value of the lesion; of volumes, one of ``pixel_levels``.
    """
    levels = PixelLevels(maps, masks)
    dice = dice_by_level(levels.lesion, levels.background(maps, masks))
    return float(np.nextafter(levels.values[np.argmax(dice)], np.float32(-np.inf)))


def upper_quantile(maps: Scans, q: float, *, scans: Rows) -> float:
    """The quantile of the pixels of some maps together, as ``numpy.quantile`` interpolates it.

    Holds little more than the pixels above it, so ``maps`` may be mapped from a file and larger than the memory.

    Args:
        maps: (N, *spatial) finite anomaly maps.
        q: in [0, 1].
        scans: (n,) which of them, at least one.
    """
    count = len(scans) * maps[0].size
    rank = q * (count - 1)
    kept = count - int(rank)
    highest = np.empty(0, dtype=np.float32)
    some = Stack.of(maps, scans)
    for part in parts(some):
        highest = np.concatenate([highest, some[part].ravel()])
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
    def of(cls, maps: Scans, masks: Scans, *, threshold: float) -> ScanCounts:
        """Count (N, *spatial) maps, taken as float32, and boolean masks."""
        counts = np.zeros((5, len(maps)), dtype=np.int64)
        for part in parts(maps):
            values = np.asarray(maps[part], dtype=np.float32)
            values = values.reshape(len(values), -1)
            mask = np.asarray(masks[part], dtype=bool).reshape(values.shape)
            # A Python float is compared in float32, the precision that the map has; a NumPy float64 would not be.
            called = values > float(threshold)
            highest = values == values.max(axis=1, keepdims=True)
            every = (called & mask, called, mask, highest & mask, highest)
            counts[:, part] = [np.count_nonzero(pixels, axis=1) for pixels in every]
        hit, called_of_each, lesion, inside, tied = counts
        return cls(hit, called_of_each, lesion, inside / tied)

    @property
    def dice(self) -> np.ndarray:
        """(N,) Dice of each scan."""
        return 2 * self.hit / (self.called + self.lesion)


def called_pixels(maps: Scans, *, threshold: float) -> np.ndarray:
    """(N,) number of pixels of each of (N, *spatial) maps that are greater than the threshold."""
    called = np.zeros(len(maps), dtype=np.int64)
    for part in parts(maps):
        values = np.asarray(maps[part], dtype=np.float32)
        called[part] = np.count_nonzero(values > float(threshold), axis=tuple(range(1, values.ndim)))
    return called


def _curves(lesion: Lesion, background: Background) -> dict[str, float]:
    values = {"pixel_ap": average_precision(lesion, background), "dice_oracle": best_dice(lesion, background)}
    if background.total:
        values["pixel_auroc"] = auroc(lesion, background)
    return {name: float(value) for name, value in values.items()}


def _require_finite(maps: Scans) -> None:
    count, size = 0, 0
    for part in parts(maps):
        values = np.asarray(maps[part], dtype=np.float32)
        count, size = count + int(np.isfinite(values).sum()), size + values.size
    if broken := size - count:
        raise MriadError(
            f"{broken} of {size} anomaly map values are not finite; train again at a lower learning rate or in float32."
        )
