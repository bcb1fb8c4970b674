"""Lesions of healthy brains: where they lie, how large they are, what they consist of.

Shares of the kinds, and the ranges below, are chosen so that all that is described in the sources occurs; they are not
the frequencies of any population.
"""

from __future__ import annotations

from dataclasses import dataclass, replace

import numpy as np
from numpy.typing import NDArray
from scipy import ndimage

from mriad.data.synthetic.contrast import Tissue
from mriad.data.training.simulation.acquisition import Look
from mriad.data.training.simulation.fields import Floats, smooth_field
from mriad.data.training.simulation.tissues import Slab

Range = tuple[float, float]

# Lacunes 3 to 15 mm (STRIVE, Wardlaw et al. 2013), MS plaques from 3 mm (MAGNIMS, Filippi et al. 2016), metastases.
_SMALL: Range = (3.0, 10.0)  # mm, diameter
_MOST_SMALL = 6  # of them at once
# Infarcts, tumours, haemorrhages, up to what BraTS shows (Menze et al. 2015).
_LARGE: Range = (6.0, 70.0)
# White matter lesions: caps and bands along the ventricles, spots below the cortex, confluent (Fazekas et al. 1987).
_GRAIN: Range = (3.0, 12.0)  # mm
_COVERED: Range = (0.003, 0.1)  # share of the white matter of a slab, along the ventricles
_SCATTERED: Range = (0.003, 0.03)  # the same elsewhere

_KINDS = {"large": 0.35, "rim": 0.15, "small": 0.25, "grown": 0.25}
_SEEN = 0.75  # share of a lesion that differs from what was there by what counts
_SMALLER_SEEN = 1.5  # times as much must small lesions differ, of which noise leaves less
_TRIES = 10
_ANY: Range = (0.0, 1.8)  # signal, relative to the brain


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
        core: Floats | float = 0.0
        if kind == "grown":
            cover, spares = _grown(slab, rng), True
        elif kind == "small":
            cover, spares = _small(slab, rng), rng.random() < 0.7
            least *= _SMALLER_SEEN
        else:
            mass = _mass(slab.brain, _log_uniform(_LARGE, rng), slab.spacing, rng)
            cover, spares = mass.on(image.shape), rng.random() < 0.5
            if kind == "rim":
                core = mass.core(rng.uniform(0.4, 0.85), rng.uniform(0.7, 3)).on(image.shape)
        cover *= slab.brain
        if spares:
            cover *= 1 - slab.fluid
        inside = cover > 0.5
        if not inside.any():
            return image, inside
        there, opacity = image[inside], float(rng.uniform(0.45, 1.0))
        signal = self._signal(look, there, least / opacity, rng)
        if signal is None:
            return image, np.zeros_like(inside)
        inner = self._signal(look, there, least / opacity, rng) if kind == "rim" else None
        if kind == "rim" or (kind == "large" and rng.random() < 0.3):
            image, swollen = self._in_oedema(image, cover, slab, look, least, rng)
            inside |= swollen
        lesion = signal + core * ((signal if inner is None else inner) - signal)
        lesion *= 1 + rng.uniform(0, 0.15) * smooth_field(image.shape, rng.uniform(2, 8) / slab.spacing, rng)
        if rng.random() < 0.3:
            lesion += 0.4 * (image - there.mean())  # what was there is seen through
        return image + opacity * cover * (lesion - image), inside

    def _signal(self, look: Look, there: Floats, least: float, rng: np.random.Generator) -> float | None:
        """Of a lesion that can be told from most of the signals that were there; None if none was found."""
        there = there[:: 1 + len(there) // 400]
        for drawn in range(2 * _TRIES):
            if look.sequence is None or drawn >= _TRIES or rng.random() < self.any_signal:
                signal = float(rng.uniform(*_ANY))
            else:
                shares = [kind.weight for kind in _CONTENTS]
                signal = min(look.signal(_CONTENTS[rng.choice(len(_CONTENTS), p=shares)].draw(rng)), 4.0)
            if (np.abs(there - signal) > least).mean() > _SEEN:
                return signal
        return None

    def _in_oedema(
        self, image: Floats, cover: Floats, slab: Slab, look: Look, least: float, rng: np.random.Generator
    ) -> tuple[Floats, NDArray[np.bool_]]:
        """The signals with swollen white matter around a lesion, which fades outwards, and where it is seen."""
        reach = rng.uniform(3, 9) / slab.spacing
        halo = np.clip(rng.uniform(1.5, 3) * ndimage.gaussian_filter(cover, (0, reach, reach)), 0, 1)
        halo *= np.clip(1.5 * slab.white, 0, 1)
        near = halo > 0.5
        signal = self._signal(look, image[near], least, rng) if near.any() else None
        if signal is None:
            return image, np.zeros_like(near)
        new = image + halo * rng.uniform(0.3, 0.8) * (signal - image)
        return new, near & (np.abs(new - image) > least)


def _small(slab: Slab, rng: np.random.Generator) -> Floats:
    """(C, S, S) share of each voxel that a few small lesions cover, all in white matter or anywhere."""
    places = slab.brain & (slab.white > 0.5) if rng.random() < 0.5 else slab.brain
    cover = np.zeros(slab.levels.shape, dtype=np.float32)
    for _ in range(int(rng.integers(1, _MOST_SMALL, endpoint=True))):
        one = _mass(places, _log_uniform(_SMALL, rng), slab.spacing, rng)
        cover[one.box] = np.maximum(cover[one.box], one.cover)
    return cover


@dataclass(frozen=True, kw_only=True)
class _Mass:
    """One ellipsoid with an uneven surface.

    Args:
        box: where in a slab it lies.
        distance: of the box's voxels from its centre, in its own radii.
        radius: its mean radius, voxels.
        edge: voxels from inside to outside.
    """

    box: tuple[slice, ...]
    distance: Floats
    radius: float
    edge: float

    @property
    def cover(self) -> Floats:
        """Share of each voxel of the box that it covers."""
        return np.clip(0.5 + (1 - self.distance) * np.float32(self.radius / self.edge), 0, 1)

    def on(self, shape: tuple[int, ...]) -> Floats:
        """The same on a slab of a shape."""
        whole = np.zeros(shape, dtype=np.float32)
        whole[self.box] = self.cover
        return whole

    def core(self, share: float, edge: float) -> _Mass:
        """Its inner part, of a share of its radii."""
        return replace(self, distance=self.distance / np.float32(share), radius=self.radius * share, edge=edge)


def _mass(places: NDArray[np.bool_], diameter: float, spacing: float, rng: np.random.Generator) -> _Mass:
    """One, drawn.

    Args:
        places: (C, S, S) where its centre may lie; in slices it is met near its middle.
        diameter: mm, its mean one.
    """
    radius = diameter / 2 / spacing
    there = np.flatnonzero(places)
    place = rng.choice(there) if len(there) else places.size // 2
    centre = np.array(np.unravel_index(place, places.shape)) + rng.uniform(-0.5, 0.5, 3)
    centre[0] = len(places) // 2 + rng.normal() * max(0.5, radius / 2)
    radii = radius * np.exp(rng.normal(0, 0.25, 3))
    reach = 1.6 * radii.max() + 2
    start = np.clip(np.floor(centre - reach), 0, places.shape).astype(int)
    stop = np.clip(np.ceil(centre + reach) + 1, start, places.shape).astype(int)
    axes = (
        np.arange(low, high, dtype=np.float32) - np.float32(middle)
        for low, high, middle in zip(start, stop, centre, strict=True)
    )
    turn = (np.linalg.qr(rng.normal(size=(3, 3)))[0] / radii).astype(np.float32)
    deep, high, wide = (along[:, None] * row for along, row in zip(axes, turn, strict=True))
    offsets = deep[:, None, None] + high[:, None] + wide
    distance = np.sqrt(np.einsum("dhwi,dhwi->dhw", offsets, offsets))
    if radius > 1.5 and distance.size:
        uneven = smooth_field(distance.shape, max(1.5, radius * rng.uniform(0.5, 1.2)), rng)
        distance /= np.clip(1 + np.float32(rng.uniform(0, 0.3)) * uneven, 0.3, 2)
    return _Mass(
        box=tuple(slice(low, high) for low, high in zip(start, stop, strict=True)),
        distance=distance,
        radius=radius,
        edge=_log_uniform((0.7, max(1.0, min(3.0, radius))), rng),
    )


def _grown(slab: Slab, rng: np.random.Generator) -> Floats:
    """(C, S, S) share of each voxel that lesions of the white matter cover: where a smooth field is highest.

    It is raised along the ventricles or below the cortex, or nowhere in particular, and may be so on one side more.
    """
    shape, mm = slab.levels.shape, slab.spacing
    grain = _log_uniform(_GRAIN, rng)
    field = smooth_field(shape, max(1.2, grain / mm), rng) + 0.5 * smooth_field(shape, max(1.2, grain / mm / 2), rng)
    where, covered = rng.random(), _SCATTERED
    if where < 0.6:
        field -= slab.ventricles / np.float32(rng.uniform(2, 8))
        covered = _COVERED
    elif where < 0.75:
        field -= np.abs(slab.depth - np.float32(rng.uniform(4, 8))) / np.float32(rng.uniform(2, 4))
    if rng.random() < 0.3:
        field += np.float32(rng.uniform(1, 3)) * smooth_field(shape, 40 / mm, rng)
    white = (slab.white > rng.uniform(0.3, 0.7)) & slab.brain
    if white.sum() < 20:
        return np.zeros(shape, dtype=np.float32)
    level = np.quantile(field[white], 1 - _log_uniform(covered, rng))
    cover = np.clip(0.5 + (field - level) * rng.uniform(0.7, 3), 0, 1)
    return (cover * np.clip(2 * slab.white, 0, 1)).astype(np.float32)


def _log_uniform(bounds: Range, rng: np.random.Generator) -> float:
    return float(np.exp(rng.uniform(*np.log(bounds))))
