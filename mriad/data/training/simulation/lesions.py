"""Lesions of healthy brains: where they lie, how large they are, what they consist of.

Shares of the kinds, and the ranges below, are chosen so that all that is described in the sources occurs; they are not
the frequencies of any population.
"""

from __future__ import annotations

from dataclasses import dataclass

import numpy as np
from numpy.typing import NDArray
from scipy import ndimage

from mriad.data.synthetic.contrast import Tissue
from mriad.data.training.simulation.acquisition import Look
from mriad.data.training.simulation.fields import Floats, smooth_field
from mriad.data.training.simulation.tissues import Slab

Range = tuple[float, float]

# Lacunes 3 to 15 mm (STRIVE, Wardlaw et al. 2013), MS plaques from 3 mm (MAGNIMS, Filippi et al. 2016), metastases.
_SMALL: Range = (2.5, 10.0)  # mm, diameter
_MOST_SMALL = 6  # of them at once
# Infarcts, tumours, haemorrhages, up to what BraTS shows (Menze et al. 2015).
_LARGE: Range = (6.0, 70.0)
# White matter lesions: caps and bands along the ventricles, spots below the cortex, confluent (Fazekas et al. 1987).
_GRAIN: Range = (2.5, 9.0)  # mm
_COVERED: Range = (0.003, 0.12)  # share of the white matter of a slab

_KINDS = {"large": 0.35, "rim": 0.15, "small": 0.2, "grown": 0.3}


@dataclass(frozen=True, kw_only=True)
class _Kind:
    """Relaxation of what a lesion may consist of, in the units of ``Tissue``; chosen, not measured.

    Together they are bright and dark in each contrast as the sources of ``data.synthetic.lesions`` describe it.
    """

    weight: float
    density: Range
    t1: Range
    t2: Range
    diffusion: Range

    def draw(self, rng: np.random.Generator) -> Tissue:
        return Tissue(
            density=rng.uniform(*self.density),
            t1=rng.uniform(*self.t1),
            t2=rng.uniform(*self.t2),
            diffusion=rng.uniform(*self.diffusion),
        )


_CONTENTS = (
    # gliosis, demyelination, oedema, most tumours: more water
    _Kind(weight=0.5, density=(0.75, 0.95), t1=(1000, 2200), t2=(100, 260), diffusion=(0.75, 1.5)),
    # a fresh infarct: more water that cannot move
    _Kind(weight=0.12, density=(0.8, 0.95), t1=(1400, 2200), t2=(120, 300), diffusion=(0.3, 0.55)),
    # cavities, necrosis, cysts, old infarcts: nearly fluid
    _Kind(weight=0.15, density=(0.9, 1.0), t1=(2500, 4300), t2=(400, 1500), diffusion=(1.5, 3.0)),
    # what takes up contrast agent; fat; late blood
    _Kind(weight=0.13, density=(0.7, 0.95), t1=(300, 700), t2=(80, 160), diffusion=(0.7, 1.3)),
    # early blood, iron, calcium
    _Kind(weight=0.1, density=(0.3, 0.9), t1=(500, 1600), t2=(20, 60), diffusion=(0.3, 1.0)),
)


@dataclass(frozen=True, kw_only=True)
class Lesions:
    """Puts lesions into a slab that is imaged.

    Args:
        visible: least and greatest share of the brain's signal by which a lesion differs from what is there, of which
            the least that counts is drawn for each slab.
        any_signal: share of lesions that consist of nothing in particular and have any signal.
        several: chance, after each, of one more.
    """

    visible: Range
    any_signal: float
    several: float

    def put_into(
        self, image: Floats, slab: Slab, look: Look, rng: np.random.Generator
    ) -> tuple[Floats, NDArray[np.bool_]]:
        """A slab's signals with lesions, and where these show; both (C, S, S)."""
        least = float(np.exp(rng.uniform(*np.log(self.visible))))
        mask = np.zeros(image.shape, dtype=bool)
        while True:
            image, seen = self._one(image, slab, look, least, rng)
            mask |= seen
            if rng.random() >= self.several:
                return image, mask & slab.brain

    def _one(
        self, image: Floats, slab: Slab, look: Look, least: float, rng: np.random.Generator
    ) -> tuple[Floats, NDArray[np.bool_]]:
        kind = rng.choice(list(_KINDS), p=list(_KINDS.values()))
        core = None
        if kind == "grown":
            cover, spares = _grown(slab, rng), True
        elif kind == "small":
            cover, spares = _small(slab, rng), rng.random() < 0.7
        else:
            places = slab.brain
            cover, away, radius = _mass(places, _log_uniform(_LARGE, rng), slab.spacing, rng)
            spares = rng.random() < 0.5
            if kind == "rim":
                core = np.clip(0.5 + (rng.uniform(0.4, 0.85) - away) * radius / rng.uniform(0.7, 3), 0, 1)
        cover = cover * slab.brain
        if spares:
            cover = cover * (1 - slab.fluid)
        if cover.max(initial=0.0) < 0.5:
            return image, np.zeros(image.shape, dtype=bool)
        before, tissue = image, float((image * cover).sum() / cover.sum())
        lesion = np.full(image.shape, self._signal(look, tissue, least, rng), dtype=np.float32)
        if core is not None:
            lesion = lesion * (1 - core) + self._signal(look, tissue, least, rng) * core
        lesion *= 1 + rng.uniform(0, 0.15) * smooth_field(image.shape, rng.uniform(2, 8) / slab.spacing, rng)
        if core is not None or (kind == "large" and rng.random() < 0.3):
            image = self._in_oedema(image, cover, slab, look, tissue, least, rng)
        if rng.random() < 0.3:
            lesion += 0.4 * (image - tissue)  # what was there is seen through
        new = image + cover * rng.uniform(0.45, 1.0) * (lesion - image)
        return new, (cover > 0.5) & (np.abs(new - before) > 0.4 * least)

    def _signal(self, look: Look, tissue: float, least: float, rng: np.random.Generator) -> float:
        """Of a lesion in tissue of a signal, which it can be told from."""
        if look.sequence is not None and rng.random() >= self.any_signal:
            shares = [kind.weight for kind in _CONTENTS]
            for _ in range(10):
                signal = look.signal(_CONTENTS[rng.choice(len(_CONTENTS), p=shares)].draw(rng))
                if abs(signal - tissue) > 0.8 * least:
                    return min(signal, 4.0)
        while True:
            signal = rng.uniform(0, 1.8)
            if abs(signal - tissue) > least:
                return float(signal)

    def _in_oedema(
        self, image: Floats, cover: Floats, slab: Slab, look: Look, tissue: float, least: float,
        rng: np.random.Generator,
    ) -> Floats:  # fmt: skip
        """The signals with swollen tissue around a lesion, which fades outwards and does not count as lesion."""
        reach = 6 / slab.spacing
        halo = np.clip(1.5 * ndimage.gaussian_filter(cover, (0, reach, reach)), 0, 1) * slab.brain * (1 - slab.fluid)
        return image + halo * rng.uniform(0.1, 0.5) * (self._signal(look, tissue, least, rng) - image)


def _small(slab: Slab, rng: np.random.Generator) -> Floats:
    """(C, S, S) share of each voxel that a few small lesions cover, all in white matter or anywhere."""
    places = slab.brain & (slab.white > 0.5) if rng.random() < 0.5 else slab.brain
    cover = np.zeros(slab.levels.shape, dtype=np.float32)
    for _ in range(int(rng.integers(1, _MOST_SMALL, endpoint=True))):
        cover = np.maximum(cover, _mass(places, _log_uniform(_SMALL, rng), slab.spacing, rng)[0])
    return cover


def _mass(
    places: NDArray[np.bool_], diameter: float, spacing: float, rng: np.random.Generator
) -> tuple[Floats, Floats, float]:
    """One ellipsoid with an uneven surface.

    Args:
        places: (C, S, S) where its centre may lie; in slices it is met near its middle.
        diameter: mm, its mean one.

    Returns:
        Share of each voxel that it covers, distance from its centre in its own radii (9 far away), both (C, S, S), and
        its mean radius in voxels.
    """
    radius = diameter / 2 / spacing
    cover, away = np.zeros(places.shape, dtype=np.float32), np.full(places.shape, 9.0, dtype=np.float32)
    there = np.flatnonzero(places)
    if len(there) == 0:
        return cover, away, radius
    centre = np.array(np.unravel_index(rng.choice(there), places.shape)) + rng.uniform(-0.5, 0.5, 3)
    centre[0] = len(places) // 2 + rng.normal() * max(0.5, radius / 2)
    radii = radius * np.exp(rng.normal(0, 0.25, 3))
    reach = 2.2 * radii.max() + 2
    start = np.maximum(0, np.floor(centre - reach)).astype(int)
    stop = np.minimum(places.shape, np.ceil(centre + reach) + 1).astype(int)
    if (stop <= start).any():
        return cover, away, radius
    box = tuple(slice(low, high) for low, high in zip(start, stop, strict=True))
    axes = (np.arange(low, high) - middle for low, high, middle in zip(start, stop, centre, strict=True))
    offsets = np.stack(np.meshgrid(*axes, indexing="ij"), axis=-1)
    turned = offsets @ np.linalg.qr(rng.normal(size=(3, 3)))[0] / radii
    distance = np.sqrt(np.square(turned).sum(axis=-1)).astype(np.float32)
    if radius > 1.5:
        uneven = smooth_field(distance.shape, max(1.5, radius * rng.uniform(0.5, 1.2)), rng)
        distance /= np.clip(1 + rng.uniform(0, 0.3) * uneven, 0.3, 2)
    edge = _log_uniform((0.7, max(1.0, min(3.0, radius))), rng)
    away[box] = distance
    cover[box] = np.clip(0.5 + (1 - distance) * radius / edge, 0, 1)
    return cover, away, radius


def _grown(slab: Slab, rng: np.random.Generator) -> Floats:
    """(C, S, S) share of each voxel that lesions of the white matter cover: where a smooth field is highest.

    It is raised along the ventricles or below the cortex, or nowhere in particular, and may be so on one side more.
    """
    shape, mm = slab.levels.shape, slab.spacing
    grain = _log_uniform(_GRAIN, rng)
    field = smooth_field(shape, max(1.2, grain / mm), rng) + 0.5 * smooth_field(shape, max(1.2, grain / mm / 2), rng)
    where = rng.random()
    if where < 0.5:
        field -= slab.ventricles / np.float32(rng.uniform(2, 8))
    elif where < 0.75:
        field -= np.abs(slab.depth - np.float32(rng.uniform(4, 8))) / np.float32(rng.uniform(2, 4))
    if rng.random() < 0.3:
        field += np.float32(rng.uniform(1, 3)) * smooth_field(shape, 40 / mm, rng)
    white = (slab.white > rng.uniform(0.3, 0.7)) & slab.brain
    if white.sum() < 20:
        return np.zeros(shape, dtype=np.float32)
    level = np.quantile(field[white], 1 - _log_uniform(_COVERED, rng))
    cover = np.clip(0.5 + (field - level) * rng.uniform(0.7, 3), 0, 1)
    return (cover * np.clip(2 * slab.white, 0, 1)).astype(np.float32)


def _log_uniform(bounds: Range, rng: np.random.Generator) -> float:
    return float(np.exp(rng.uniform(*np.log(bounds))))
