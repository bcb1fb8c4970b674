"""How tissue looks in a sequence that is drawn, and what a scanner adds to it."""

from __future__ import annotations

import math
from collections.abc import Mapping
from dataclasses import dataclass

import numpy as np
from numpy.typing import NDArray
from scipy import ndimage

from mriad.data.synthetic.contrast import TISSUES, Sequence, Tissue
from mriad.data.training.simulation.fields import Floats, smooth_field
from mriad.data.training.simulation.tissues import Slab

CONTRASTS = ("T1", "T2", "PD", "FLAIR", "DWI")

_SPREAD = 0.05  # standard deviation of the logarithm of a tissue's constants between people
_BRIGHTEST = 3.0  # of fluid, relative to the brain
_UNEVEN = 0.08  # greatest standard deviation of a tissue's signal from place to place
_UNEVEN_GRAIN = (12.0, 60.0)  # mm
_RIM = 4.0  # mm around the ventricles within which what looks grey may be white matter and fluid in one voxel
_DEEP = (20.0, 30.0)  # mm below the surface of the brain, from where on the basal ganglia lie
_GANGLIA = (8.0, 20.0)  # mm, their size
_DARKEST = 0.5  # of their signal that iron takes
_AGENT = 0.3  # share of T1 scans with contrast agent in the vessels
_FLOW = 0.4  # share of FLAIR scans in which fluid that flows is not suppressed everywhere
_ALONG = 0.7  # share of T1 scans that keep the intensities of the volume itself, but for a gamma
_THICK = 0.35  # share of scans that were taken in thicker slices, in any plane
_THICKNESS = (2, 3)  # voxels
_FLAT = 0.2  # share of scans of which one slice is known alone, as of pictures
_COIL = 0.2  # greatest standard deviation of the logarithm of the coil's sensitivity
_STRIPS = (-3.0, 4.0)  # mm of the brain's surface that stripping takes, or of what is around that it leaves
_BLURRED = 0.3
_GAMMA = 0.3  # of the logarithm of the exponent of the grey scale


@dataclass(frozen=True, kw_only=True)
class Look:
    """What tissues look like in one sequence, relative to the brighter one of grey and white matter.

    Args:
        contrast: one of ``CONTRASTS``; None where tissues have any order.
        sequence: the acquisition; None likewise.
        fluid, grey, white: signals.
        unit: signal of the sequence that counts as 1.
    """

    contrast: str | None
    sequence: Sequence | None
    fluid: float
    grey: float
    white: float
    unit: float = 1.0

    @classmethod
    def draw(cls, contrast: str | None, rng: np.random.Generator) -> Look:
        """Draw the settings of a sequence, and a person's tissues."""
        if contrast is None:
            fluid, grey, white = rng.uniform(0.05, 1.0, 3)
            unit = max(grey, white)
            return cls(contrast=None, sequence=None, fluid=fluid / unit, grey=grey / unit, white=white / unit)
        sequence = draw_sequence(contrast, rng)
        fluid, grey, white = (
            sequence.signal(_varied(TISSUES[name], rng)) for name in ("csf", "grey", "white")
        )  # fmt: skip
        unit = max(grey, white)
        return cls(
            contrast=contrast,
            sequence=sequence,
            fluid=min(fluid / unit, _BRIGHTEST),
            grey=grey / unit,
            white=white / unit,
            unit=unit,
        )

    def signal(self, tissue: Tissue) -> float:
        """Of another tissue in the same sequence."""
        assert self.sequence is not None
        return self.sequence.signal(tissue) / self.unit

    def healthy(self, slab: Slab, rng: np.random.Generator, *, iron: float = 0.0) -> Floats:
        """A slab's brain as it looks, and around it what the volume shows there, darker or brighter; (C, S, S).

        Args:
            slab: with its tissues.
            rng: draws what differs from place to place.
            iron: chance that the basal ganglia hold iron, which darkens them in all but T1.
        """
        grain = np.array(_UNEVEN_GRAIN) / slab.spacing
        image = np.zeros_like(slab.levels)
        mixed = slab.grey * np.clip(1 - slab.ventricles / _RIM, 0, 1) * np.float32(rng.random())
        fluid, white = slab.fluid + mixed * slab.halfway, slab.white + mixed * (1 - slab.halfway)
        for share, signal in ((fluid, self.fluid), (slab.grey - mixed, self.grey), (white, self.white)):
            uneven = rng.uniform(0, _UNEVEN) * smooth_field(image.shape, rng.uniform(*grain), rng)
            image += share * signal * (1 + uneven)
        if self.contrast == "FLAIR" and rng.random() < _FLOW:
            flow = smooth_field(image.shape, rng.uniform(*grain / 2), rng) - 1
            image += slab.fluid * np.clip(flow, 0, 1) * rng.uniform(0.2, 0.7)
        if iron and self.contrast not in ("T1", None) and rng.random() < iron:
            image *= 1 - rng.uniform(0, _DARKEST) * _iron(slab, rng)
        outside = slab.levels ** math.exp(rng.uniform(-_GAMMA, _GAMMA)) * rng.uniform(0.3, 1.8)
        if self.contrast == "T1" and rng.random() < _ALONG:
            bright = max(float(slab.levels[slab.brain].max(initial=0.0)) * 0.9, 0.1)
            image = (slab.levels / bright) ** math.exp(rng.uniform(-_GAMMA, _GAMMA))
        if self.contrast == "T1" and rng.random() < _AGENT:
            image += (rng.uniform(1.0, 1.8) - image) * _vessels(slab, rng)
        return np.where(slab.brain, image, outside).astype(np.float32)


def _iron(slab: Slab, rng: np.random.Generator) -> Floats:
    """(C, S, S) how much iron tissue deep in the brain holds, in [0, 1]: about alike on both sides, in spots.

    In every adult the basal ganglia hold some (Hallgren and Sourander 1958). They
    look like grey matter, white matter or both in T1, so that the tissues do not tell where they are.
    """
    start, full = _DEEP
    deep = np.clip((slab.depth - start) / (full - start), 0, 1) * slab.brain * (1 - slab.fluid)
    spots = smooth_field(slab.levels.shape, rng.uniform(*_GANGLIA) / slab.spacing, rng)
    spots = (spots + spots[..., ::-1]) / np.float32(2**0.5)
    return np.asarray(deep * np.clip(2 * spots - 1, 0, 1), dtype=np.float32)


def _vessels(slab: Slab, rng: np.random.Generator) -> Floats:
    """(C, S, S) share of each voxel that vessels, dura and choroid plexus fill, which contrast agent brightens."""
    shape, mm = slab.levels.shape, slab.spacing
    one, other = (smooth_field(shape, rng.uniform(8, 20) / mm, rng) for _ in range(2))
    thin = rng.uniform(0.15, 0.35)
    tubes = np.clip(2 * (1 - np.hypot(one, other) / thin), 0, 1) * ((slab.fluid > 0.2) | (slab.depth < 5))
    sheets = np.clip(2 * (1 - np.abs(one) / (0.5 * thin)), 0, 1) * (slab.depth < rng.uniform(0, 3))
    plexus = np.clip(other - 1, 0, 1) * (slab.fluid > 0.5) * (slab.ventricles < 2)
    return np.asarray(np.maximum(np.maximum(tubes, sheets), plexus), dtype=np.float32)


def draw_contrast(weights: Mapping[str, float], rng: np.random.Generator) -> str:
    """One of the contrasts, by weight."""
    shares = np.array([float(weight) for weight in weights.values()])
    return str(rng.choice(list(weights), p=shares / shares.sum()))


def draw_sequence(contrast: str, rng: np.random.Generator) -> Sequence:
    """An acquisition of ``contrast``, with settings as they differ between hospitals and years; times in ms."""
    if contrast == "T1":
        return Sequence(contrast="T1", tr=rng.uniform(6, 12), flip=rng.uniform(18, 30))
    if contrast == "T2":
        return Sequence(contrast="T2", tr=rng.uniform(2500, 7000), te=rng.uniform(75, 130))
    if contrast == "PD":
        return Sequence(contrast="T2", tr=rng.uniform(2500, 5000), te=rng.uniform(10, 35))
    if contrast == "DWI":
        te, b = rng.uniform(60, 110), rng.uniform(0.8, 1.2)
        return Sequence(contrast="DWI", tr=rng.uniform(3000, 8000), te=te, b=b)
    tr, fluid = rng.uniform(6000, 11000), TISSUES["csf"].t1
    nulled = fluid * np.log(2 / (1 + np.exp(-tr / fluid)))
    return Sequence(contrast="FLAIR", tr=tr, te=rng.uniform(80, 140), ti=nulled * rng.uniform(0.93, 1.02))


def scanned(
    image: Floats, slab: Slab, *, noise: tuple[float, float], stripped: bool, rng: np.random.Generator
) -> tuple[Floats, NDArray[np.bool_]]:
    """What a scanner and a window make of signals: coil, thickness of slices, blur, Rician noise, grey scale.

    Args:
        image: (C, S, S) signals, about 1 in the brain.
        slab: where the brain is.
        noise: least and greatest signal-to-noise ratio.
        stripped: whether nothing but the brain is left, or about that.
        rng: draws what the machine is like.

    Returns:
        (C, S, S) in [0, 1], and what is left of the brain.
    """
    coil = rng.uniform(0, _COIL) * smooth_field(image.shape, rng.uniform(40, 90) / slab.spacing, rng)
    image = image * np.exp(coil)
    if rng.random() < _FLAT:
        image = np.repeat(image[len(image) // 2][None], len(image), axis=0)
    elif rng.random() < _THICK:
        image = ndimage.uniform_filter1d(image, rng.integers(*_THICKNESS, endpoint=True), axis=rng.integers(3))
    if rng.random() < _BLURRED:
        image = ndimage.gaussian_filter(image, (0, 0.6, 0.6))
    deviation = np.float32(1 / np.exp(rng.uniform(*np.log(noise))))
    real, imaginary = rng.standard_normal((2, *image.shape), dtype=np.float32) * deviation
    image = np.hypot(image + real, imaginary)
    inside = image[slab.brain]
    white = float(np.percentile(inside, rng.choice([97, 99, 99.5, 99.9]))) if inside.size else 1.0
    image = np.clip(image / max(white, 1e-3) * rng.uniform(0.6, 1.15), 0, 1)
    if rng.random() < _BLURRED:
        image **= math.exp(rng.uniform(-_GAMMA, _GAMMA))
    left = _stripped(slab, rng) if stripped else np.ones_like(slab.brain)
    return (image * left).astype(np.float32), left


def _stripped(slab: Slab, rng: np.random.Generator) -> NDArray[np.bool_]:
    """(C, S, S) what stripping leaves: the brain, less of it or more, and more or less so from place to place."""
    taken = rng.uniform(*_STRIPS)
    if taken > 0:
        uneven = rng.uniform(0, 2) * smooth_field(slab.levels.shape, 15 / slab.spacing, rng)
        return slab.brain & (slab.depth + uneven > taken)
    voxels = round(-taken / slab.spacing)
    cross = np.zeros((3, 3, 3), dtype=bool)
    cross[1, 1, :] = cross[1, :, 1] = True
    return ndimage.binary_dilation(slab.brain, cross, iterations=voxels) if voxels else slab.brain


def _varied(tissue: Tissue, rng: np.random.Generator) -> Tissue:
    density, t1, t2, diffusion = np.exp(rng.normal(0, _SPREAD, 4))
    return Tissue(
        density=tissue.density * density,
        t1=tissue.t1 * t1,
        t2=tissue.t2 * t2,
        diffusion=tissue.diffusion * diffusion,
    )
