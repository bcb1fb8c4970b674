"""Synthetic anomalies, one small class each: a healthy scan in, the scan with a lesion and the lesion's mask out."""

from __future__ import annotations

from collections.abc import Callable
from typing import Protocol

import cv2
import numpy as np

from mriad.data.training.anomalies.regions import Image, Mask, Range, Region, smooth_noise
from mriad.errors import MriadError

SIZES: Range = (0.04, 0.4)  # diameters as share of the image's side
LARGER: Range = (0.08, 0.4)

# Shares of the image's side
_SOFTNESS: Range = (0.005, 0.05)  # borders
_GRAIN: Range = (0.02, 0.08)  # texture
_VICINITY = 0.015  # around a pixel that was changed


class Generator(Protocol):
    """Puts one anomaly into a scan."""

    def __call__(self, scan: Image, *, donor: Image, brain: Mask, rng: np.random.Generator) -> tuple[Image, Image]:
        """Put it there.

        Through a slab, slices (C, S, S) one above the other, it runs as a lesion of some thickness does: what is drawn
        is drawn once, each slice is changed by it, and from the middle slice on it becomes smaller until it ends.

        Args:
            scan: (S, S) healthy scan in [0, 1], or (C, S, S) slab of one.
            donor: another healthy scan in [0, 1], likewise.
            brain: (S, S) the pixels of the brain, of a slab those in its middle slice.
            rng: draws everything that is random.

        Returns:
            The new scan, and how much of each pixel is anomalous, in [0, 1]; both of the shape of ``scan``.
        """
        ...


class Blob:
    """A smooth lesion brighter or darker than its surroundings, with or without texture.

    Args:
        diameter: least and greatest, as share of the image's side.
        opacity: least and greatest share of the tissue that it hides.
        texture: greatest standard deviation of the noise inside it.
        oedema: chance that it lies in oedema, which fades outwards and is not counted as lesion.
    """

    def __init__(
        self, *, diameter: Range = SIZES, opacity: Range = (0.5, 1.0), texture: float = 0.0, oedema: float = 0.0
    ) -> None:
        self._diameter, self._opacity = _range(self, diameter=diameter), _range(self, opacity=opacity)
        self._texture, self._oedema = texture, oedema

    def __call__(self, scan: Image, *, donor: Image, brain: Mask, rng: np.random.Generator) -> tuple[Image, Image]:
        """Put one in."""
        region = _region(scan, brain, self._diameter, rng)
        alpha = region.alpha(_softness(scan, rng)) * brain
        tissue = _inside(scan, alpha)
        lesion = np.full_like(scan, _other_intensity(tissue, rng))
        if rng.random() < self._oedema:
            scan = _in_oedema(scan, region, brain, tissue, rng)
        if self._texture > 0:
            lesion += rng.uniform(0, self._texture) * _texture(scan, rng)
        return _blend(scan, lesion, alpha * rng.uniform(*self._opacity)), alpha


class Ring:
    """A bright or dark rim around a core that differs from it.

    Args:
        diameter: least and greatest diameter of the rim, as share of the image's side.
        oedema: chance that it lies in oedema, which fades outwards and is not counted as lesion.
    """

    def __init__(self, *, diameter: Range = LARGER, oedema: float = 0.5) -> None:
        self._diameter, self._oedema = _range(self, diameter=diameter), oedema

    def __call__(self, scan: Image, *, donor: Image, brain: Mask, rng: np.random.Generator) -> tuple[Image, Image]:
        """Put one in."""
        region = _region(scan, brain, self._diameter, rng)
        softness = _softness(scan, rng)
        alpha = region.alpha(softness) * brain
        tissue = _inside(scan, alpha)
        rim = _other_intensity(tissue, rng)
        core = _other_intensity(rim, rng)
        texture = rng.uniform(0, 0.1) * _texture(scan, rng)
        if rng.random() < self._oedema:
            scan = _in_oedema(scan, region, brain, tissue, rng)
        inner = region.alpha(softness, scale=rng.uniform(0.4, 0.85))
        lesion = rim * (1 - inner) + core * inner + texture
        return _blend(scan, lesion.astype(np.float32), alpha * rng.uniform(0.7, 1.0)), alpha


class ForeignPatch:
    """Tissue of another healthy scan, blended in: foreign patch interpolation, Tan et al. 2022 (MELBA).

    Args:
        diameter: least and greatest, as share of the image's side.
        opacity: least and greatest share of the foreign tissue.
        poisson: keep the gradients of the foreign tissue and fit it to its new surroundings (Poisson image
            interpolation, Tan et al., MICCAI 2021) instead of mixing intensities.
    """

    def __init__(self, *, diameter: Range = LARGER, opacity: Range = (0.5, 1.0), poisson: bool = False) -> None:
        self._diameter, self._opacity = _range(self, diameter=diameter), _range(self, opacity=opacity)
        self._poisson = poisson

    def __call__(self, scan: Image, *, donor: Image, brain: Mask, rng: np.random.Generator) -> tuple[Image, Image]:
        """Put one in."""
        region = _region(scan, brain, self._diameter, rng)
        alpha = region.alpha(_softness(scan, rng)) * brain
        foreign = _moved(donor, rng)
        if self._poisson:
            foreign = _each_slice(_poisson, scan, foreign, alpha)
        new = _blend(scan, foreign, alpha * rng.uniform(*self._opacity))
        return new, alpha * _changed(scan, new)


class Deformation:
    """Tissue pushed away from, or drawn to, the middle of a region, as by a mass that is not seen itself.

    Args:
        diameter: least and greatest, as share of the image's side.
        strength: greatest displacement as share of the region's radius.
    """

    def __init__(self, *, diameter: Range = (0.12, 0.4), strength: float = 0.7) -> None:
        self._diameter, self._strength = _range(self, diameter=diameter), strength

    def __call__(self, scan: Image, *, donor: Image, brain: Mask, rng: np.random.Generator) -> tuple[Image, Image]:
        """Put one in."""
        region = _region(scan, brain, self._diameter, rng)
        alpha = region.alpha(_SOFTNESS[1] * scan.shape[-1]) * brain
        strength = rng.uniform(0.4, 1.0) * self._strength * rng.choice([-1.0, 1.0])
        pull = (strength * np.square(np.clip(1 - region.radius, 0, 1))).astype(np.float32)
        y, x = np.mgrid[: scan.shape[-1], : scan.shape[-1]].astype(np.float32)
        row, column = region.centre
        from_column, from_row = x + pull * (column - x), y + pull * (row - y)
        new = _blend(scan, _each_slice(_read, scan, from_column, from_row), brain.astype(np.float32))
        return new, alpha * _changed(scan, new)


class Inversion:
    """A region whose intensities are inverted around its mean: bright tissue becomes dark and the other way round.

    Args:
        diameter: least and greatest, as share of the image's side.
    """

    def __init__(self, *, diameter: Range = LARGER) -> None:
        self._diameter = _range(self, diameter=diameter)

    def __call__(self, scan: Image, *, donor: Image, brain: Mask, rng: np.random.Generator) -> tuple[Image, Image]:
        """Put one in."""
        region = _region(scan, brain, self._diameter, rng)
        alpha = region.alpha(_softness(scan, rng)) * brain
        middle = _inside(scan, alpha) + rng.uniform(-0.2, 0.2)
        new = _blend(scan, 2 * middle - scan, alpha)
        return new, alpha * _changed(scan, new)


def _range(generator: Generator, **option: Range) -> Range:
    """The one option, if it is a rising pair of shares above 0.

    Raises:
        MriadError: if it is not.
    """
    ((name, values),) = option.items()
    try:
        low, high = (float(value) for value in values)
        if 0 < low <= high <= 1:
            return low, high
    except (TypeError, ValueError):
        pass
    raise MriadError(
        f"{type(generator).__name__} in data.anomalies.generators has {name}={values}; "
        "give the least and the greatest share, as in [0.1, 0.4]."
    )


def _region(scan: Image, brain: Mask, diameter: Range, rng: np.random.Generator) -> Region:
    """Where an anomaly of a diameter lies in a scan, or runs through a slab."""
    region = Region.draw(brain, diameter, rng)
    return region if scan.ndim == 2 else region.through(len(scan), rng)


def _each_slice(change: Callable[..., Image], *images: Image) -> Image:
    """What a change of single slices makes of images, slice by slice where they are slabs."""
    if images[0].ndim == 2:
        return change(*images)
    return np.stack([change(*slices) for slices in zip(*images, strict=True)])


def _in_oedema(scan: Image, region: Region, brain: Mask, tissue: float, rng: np.random.Generator) -> Image:
    """The scan with swollen tissue in and around a region, brighter or darker, fading outwards."""
    oedema = region.alpha(region.size * rng.uniform(0.3, 1.0), scale=rng.uniform(1.2, 2.0)) * brain
    return _blend(scan, np.full_like(scan, _other_intensity(tissue, rng)), oedema * rng.uniform(0.1, 0.7))


def _softness(scan: Image, rng: np.random.Generator) -> float:
    """Width of a border in pixels, from crisp to fading."""
    return scan.shape[-1] * float(np.exp(rng.uniform(*np.log(_SOFTNESS))))


def _texture(scan: Image, rng: np.random.Generator) -> Image:
    """(S, S) noise of tissue, the same for all slices of a slab."""
    side = scan.shape[-1]
    return smooth_noise(side, side * rng.uniform(*_GRAIN), rng)


def _inside(scan: Image, alpha: Image) -> float:
    """Mean intensity of a scan where a region lies."""
    return float((scan * alpha).sum() / max(float(alpha.sum()), 1e-6))


def _other_intensity(tissue: float, rng: np.random.Generator) -> float:
    """An intensity in [0, 1] that can be told from the tissue's: at least 0.1 away."""
    room = np.array([max(tissue - 0.1, 0.0), max(0.9 - tissue, 0.0)])
    darker = rng.random() < room[0] / room.sum()
    return float(rng.uniform(0, tissue - 0.1) if darker else rng.uniform(tissue + 0.1, 1))


def _blend(scan: Image, lesion: Image, alpha: Image) -> Image:
    return np.clip(scan + alpha * (lesion - scan), 0.0, 1.0).astype(np.float32)


def _changed(scan: Image, new: Image) -> Image:
    """1 where a scan was changed visibly, give or take the pixels around; 0 elsewhere."""
    width = _VICINITY * scan.shape[-1]
    difference = _each_slice(lambda change: np.asarray(cv2.GaussianBlur(change, (0, 0), width)), np.abs(new - scan))
    return (difference > 0.03).astype(np.float32)


def _read(scan: Image, column: Image, row: Image) -> Image:
    """(S, S) slice with the values that it has at other places."""
    moved = cv2.remap(scan, column, row, cv2.INTER_LINEAR, borderMode=cv2.BORDER_REPLICATE)
    return np.asarray(moved, dtype=np.float32)


def _moved(donor: Image, rng: np.random.Generator) -> Image:
    """The donor turned, flipped, scaled and shifted at random."""
    side = donor.shape[-1]
    middle = (side / 2, side / 2)
    matrix = cv2.getRotationMatrix2D(middle, float(rng.uniform(-180, 180)), float(rng.uniform(0.8, 1.3)))
    matrix[:, 2] = matrix[:, 2] + rng.uniform(-0.15, 0.15, size=2) * side
    flipped = donor[..., :: int(rng.choice([-1, 1]))]

    def warped(image: Image) -> Image:
        return np.asarray(cv2.warpAffine(image, matrix, (side, side), borderMode=cv2.BORDER_REFLECT), dtype=np.float32)

    return _each_slice(warped, flipped)


def _poisson(scan: Image, foreign: Image, alpha: Image) -> Image:
    """(S, S) of foreign tissue with its gradients, fitted to the scan at the border of where ``alpha`` is above 0."""
    where = alpha > 0
    where[[0, -1]] = where[:, [0, -1]] = False
    rows, columns = np.flatnonzero(where.any(axis=1)), np.flatnonzero(where.any(axis=0))
    if not where.any() or np.ptp(rows) < 2 or np.ptp(columns) < 2:  # OpenCV needs a pixel with a neighbour on each side
        return scan
    centre = (int(columns[0] + columns[-1] + 1) // 2, int(rows[0] + rows[-1] + 1) // 2)
    source, target = (
        np.repeat(np.round(255 * np.clip(image, 0, 1)).astype(np.uint8)[..., None], 3, axis=2)
        for image in (foreign, scan)
    )
    cloned = cv2.seamlessClone(source, target, 255 * where.astype(np.uint8), centre, cv2.NORMAL_CLONE)
    return np.asarray(cloned[..., 0], dtype=np.float32) / np.float32(255)
