"""Smooth random functions of position: the source of all variation between synthetic subjects."""

from __future__ import annotations

import numpy as np
from numpy.typing import NDArray

Floats = NDArray[np.float32]
Axes = tuple[Floats, Floats, Floats]  # the x, y and z coordinates of a grid in mm; a slice has one of length 1

HALF_WIDTH = 170.0  # mm; fields are defined in a cube of twice this side, wider than any field of view

# Mean over a lattice cell of the sum of squared cubic B-spline weights, per dimension: 151/315. It turns
# coefficients of standard deviation 1 into a field of standard deviation 1.
_SQUARED_WEIGHT = 151 / 315


class SmoothField:
    """A random field made of cubic B-splines on a cubic lattice with normal coefficients.

    The field is twice differentiable, so that a displacement by it neither tears nor kinks the anatomy
    (free-form deformation, Rueckert 1999). B-splines are separable: on a slice along the axes the
    field costs three small matrix products, not an interpolation at each pixel.

    Args:
        rng: where the coefficients come from.
        spacing: distance of lattice nodes in mm; the size of the field's bumps.
        amplitude: standard deviation of the field, in the unit that the field shall have.
        components: values per point, such as 3 for a displacement.
    """

    def __init__(self, *, rng: np.random.Generator, spacing: float, amplitude: float, components: int = 1) -> None:
        nodes = int(np.ceil(2 * HALF_WIDTH / spacing)) + 4
        self.spacing = spacing
        scale = np.float32(amplitude / _SQUARED_WEIGHT**1.5)
        self.coefficients = scale * rng.standard_normal((components, nodes, nodes, nodes), dtype=np.float32)

    def on(self, axes: Axes) -> Floats:
        """The field on the grid that ``axes`` span: (components, len(x), len(y), len(z))."""
        values = self.coefficients
        for axis in np.argsort([len(coordinates) for coordinates in axes]):  # the axis of length 1 first
            weights = self._weights(axes[axis])
            values = np.moveaxis(np.tensordot(values, weights, axes=(1 + axis, 1)), -1, 1 + axis)
        return values

    def _weights(self, coordinates: Floats) -> Floats:
        """What each lattice node adds at each coordinate: (points, nodes), four values per row."""
        position = (np.clip(coordinates, -HALF_WIDTH, HALF_WIDTH) + HALF_WIDTH) / self.spacing
        node = np.floor(position).astype(int)
        t = position - node
        cubic = (
            (1 - t) ** 3 / 6,
            (3 * t**3 - 6 * t**2 + 4) / 6,
            (-3 * t**3 + 3 * t**2 + 3 * t + 1) / 6,
            t**3 / 6,
        )
        weights = np.zeros((len(coordinates), self.coefficients.shape[1]), dtype=np.float32)
        for offset, weight in enumerate(cubic):
            weights[np.arange(len(coordinates)), node + offset] = weight
        return weights


def smoothstep(values: Floats, start: float, end: float) -> Floats:
    """0 below ``start``, 1 above ``end``, a smooth cubic between (``start`` may be the larger: it falls then)."""
    t = np.clip((values - start) / (end - start), 0, 1)
    return (t * t * (3 - 2 * t)).astype(np.float32)
