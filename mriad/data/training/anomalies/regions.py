"""Where a synthetic anomaly lies: irregular regions with soft borders, and smooth random fields."""

from __future__ import annotations

from dataclasses import dataclass, replace

import cv2
import numpy as np
from numpy.typing import NDArray

Image = NDArray[np.float32]  # (S, S), or a slab (C, S, S)
Mask = NDArray[np.bool_]  # (S, S)
Range = tuple[float, float]

_HARMONICS = 6  # waves around an outline
_THINNEST, _THICKEST = 0.5, 2.0  # reach of a region through a slab: in slices, and in its own radii


@dataclass(frozen=True, kw_only=True)
class Region:
    """One irregular region, centred in the brain.

    Attributes:
        radius: (S, S), or of a slab (C, S, S), distance from the centre in units of the outline's own radius there:
            below 1 is inside.
        centre: its row and column in pixels.
        size: its mean radius in pixels.
    """

    radius: Image
    centre: tuple[float, float]
    size: float

    @classmethod
    def draw(cls, brain: Mask, diameter: Range, rng: np.random.Generator) -> Region:
        """Draw one.

        Args:
            brain: (S, S) the pixels that its centre may lie in; anywhere if there are none.
            diameter: least and greatest diameter as share of the image's side; drawn log-uniformly.
            rng: draws position, size, elongation and outline.
        """
        side = brain.shape[0]
        places = np.flatnonzero(brain) if brain.any() else np.arange(brain.size)
        row, column = divmod(int(rng.choice(places)), side)
        size = side / 2 * float(np.exp(rng.uniform(*np.log(diameter))))
        y, x = np.mgrid[:side, :side].astype(np.float32)
        y, x = y - row, x - column
        angle, elongation = rng.uniform(0, np.pi), np.exp(rng.uniform(0, 0.5))
        along = (np.cos(angle) * x + np.sin(angle) * y) / elongation
        across = (np.cos(angle) * y - np.sin(angle) * x) * elongation
        direction = np.arctan2(across, along)
        outline = np.ones_like(direction)
        roughness = rng.uniform(0, 0.35)
        for wave in range(2, 2 + _HARMONICS):
            outline += roughness / wave * rng.normal() * np.cos(wave * direction + rng.uniform(0, 2 * np.pi))
        distance = np.hypot(along, across)
        return cls(radius=distance / (size * np.maximum(outline, 0.2)), centre=(row, column), size=size)

    def through(self, slices: int, rng: np.random.Generator) -> Region:
        """The same region running through a slab, of which it was drawn in the middle slice.

        It becomes smaller from slice to slice as an ellipsoid does, until it ends. How far it reaches is drawn for
        each side by itself, log-uniformly, from the middle slice alone to twice its mean radius: the voxels that slabs
        are made of are cubes.

        Args:
            slices: of the slab; odd.
            rng: draws how far it reaches.
        """
        place = np.arange(slices) - slices // 2
        thinnest, thickest = np.log((_THINNEST, max(_THICKEST * self.size, _THINNEST)))
        below, above = (np.exp(rng.uniform(thinnest, thickest)) for _ in range(2))
        away = np.where(place < 0, -place / below, place / above).astype(np.float32)
        return replace(self, radius=np.hypot(self.radius, away[:, None, None]))

    def alpha(self, softness: float, *, scale: float = 1.0) -> Image:
        """Opacity in [0, 1], as ``radius``: 1 inside, 0 outside, 0.5 on the outline.

        Args:
            softness: width of the border in pixels.
            scale: enlarges the region.
        """
        slope = self.size / max(softness, 0.5)
        return np.clip(0.5 + (scale - self.radius) * slope, 0.0, 1.0).astype(np.float32)


def smooth_noise(side: int, grain: float, rng: np.random.Generator) -> Image:
    """Smooth random field (side, side) of mean 0 and standard deviation about 1; ``grain`` pixels between its knots."""
    knots = max(2, round(side / grain))
    coarse = rng.standard_normal((knots, knots), dtype=np.float32)
    return np.asarray(cv2.resize(coarse, (side, side), interpolation=cv2.INTER_CUBIC), dtype=np.float32)
