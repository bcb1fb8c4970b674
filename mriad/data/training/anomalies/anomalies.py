"""Which anomalies a batch of scans gets."""

from __future__ import annotations

from collections.abc import Mapping

import numpy as np
import torch
from numpy.typing import NDArray

from mriad.data.training.anomalies.generators import Generator
from mriad.errors import MriadError


class Anomalies:
    """Puts synthetic anomalies into some scans of a batch, seeded from torch so that a seeded run repeats itself.

    Foreign tissue comes from other scans of the batch.

    Args:
        generators: what may be put in, by name.
        weights: how often each is drawn, relative to the others; 1 for those that are not named.
        untouched: share of the scans that stay healthy.
        several: chance, after each anomaly, of one more in the same scan.

    Raises:
        MriadError: if there is no generator, a share is out of range or a weight names no generator.
    """

    def __init__(
        self,
        *,
        generators: Mapping[str, Generator],
        weights: Mapping[str, float] | None = None,
        untouched: float = 0.25,
        several: float = 0.25,
    ) -> None:
        weights = weights or {}
        if unknown := set(weights) - set(generators):
            raise MriadError(
                f"data.anomalies.weights names {', '.join(sorted(unknown))}, which data.anomalies.generators lacks."
            )
        shares = np.array([float(weights.get(name, 1.0)) for name in generators])
        if not (len(shares) and (shares >= 0).all() and shares.sum() > 0):
            raise MriadError("data.anomalies has no generator with a weight above 0; give at least one.")
        for name, share in {"untouched": untouched, "several": several}.items():
            if not 0 <= share < 1:
                raise MriadError(f"data.anomalies.{name}={share} is no share; choose one from 0 to below 1.")
        self._generators = dict(generators)
        self._weights = shares / shares.sum()
        self._untouched, self._several = untouched, several

    def __call__(
        self, images: NDArray[np.uint8], brains: NDArray[np.bool_]
    ) -> tuple[NDArray[np.uint8], NDArray[np.bool_]]:
        """Put anomalies into a batch; the torch generator is advanced by one draw.

        Args:
            images: (B, S, S) healthy slices, or (B, C, S, S) slabs.
            brains: (B, S, S) the pixels of the brain in each, of slabs in their middle slices.

        Returns:
            The new slices or slabs, and the masks (B, S, S) of their anomalies, of slabs in their middle slices.
        """
        rng = np.random.default_rng(int(torch.randint(2**31, ())))
        scans = images.astype(np.float32) / 255
        donors = _others(len(scans), rng)
        altered, masks = images.copy(), np.zeros_like(brains)
        for index in np.flatnonzero(rng.random(len(scans)) >= self._untouched):
            scan, mask = self._put_into(scans[index], scans[donors[index]], brains[index], rng)
            altered[index], masks[index] = np.round(255 * scan), mask
        return altered, masks

    def examples(
        self, images: NDArray[np.uint8], brains: NDArray[np.bool_], *, seed: int = 0
    ) -> dict[str, tuple[NDArray[np.uint8], NDArray[np.bool_]]]:
        """Put one anomaly of each kind into each of a few scans, for a reader to see; torch is not asked.

        Args:
            images, brains: see ``__call__``.
            seed: draws everything that is random.

        Returns:
            By name of the generators that have a weight, what ``__call__`` gives.
        """
        scans = images.astype(np.float32) / 255
        donors = _others(len(scans), np.random.default_rng(seed))
        found = {}
        for (name, generator), weight in zip(self._generators.items(), self._weights, strict=True):
            if weight == 0:
                continue
            altered, masks = images.copy(), np.zeros_like(brains)
            for index, scan in enumerate(scans):
                rng = np.random.default_rng((seed, index))  # anew for each kind: they come to lie in about one place
                new, share = generator(scan, donor=scans[donors[index]], brain=brains[index], rng=rng)
                altered[index], masks[index] = np.round(255 * new), _middle(share) > 0.5
            found[name] = altered, masks
        return found

    def _put_into(
        self, scan: NDArray[np.float32], donor: NDArray[np.float32], brain: NDArray[np.bool_], rng: np.random.Generator
    ) -> tuple[NDArray[np.float32], NDArray[np.bool_]]:
        kinds = list(self._generators.values())
        mask = np.zeros_like(brain)
        while True:
            generator = kinds[rng.choice(len(kinds), p=self._weights)]
            scan, share = generator(scan, donor=donor, brain=brain, rng=rng)
            mask |= _middle(share) > 0.5
            if rng.random() >= self._several:
                return scan, mask


def _middle(share: NDArray[np.float32]) -> NDArray[np.float32]:
    """(S, S) of a slice, or of a slab the slice in its middle."""
    return share if share.ndim == 2 else share[len(share) // 2]


def _others(count: int, rng: np.random.Generator) -> NDArray[np.int64]:
    """For each of ``count`` scans another one at random, each taken once; itself where it is alone."""
    order = rng.permutation(count)
    others = np.empty_like(order)
    others[order] = np.roll(order, 1)
    return others
