"""Which images and lesions a batch of healthy slabs becomes."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from typing import Literal

import numpy as np
import torch
from numpy.typing import NDArray

from mriad.data.training.simulation.acquisition import CONTRASTS, Look, draw_contrast, scanned
from mriad.data.training.simulation.lesions import Lesions
from mriad.data.training.simulation.tissues import Slab
from mriad.errors import MriadError, unknown

_EXAMPLE_SEED = 0
_WINDOWED = 0.75  # share of the batches


class Simulation:
    """Images the tissues of healthy T1-weighted volumes anew, with lesions, seeded from torch.

    Each slab is given a contrast and the settings of its sequence, from which follows what its tissues look like
    (after SynthSeg, Billot et al. 2023, with relaxation times in place of free intensities); in most, lesions are put,
    which consist of tissue as well and so look as they do in that contrast; then a scanner images it. The scans that
    train need be of one contrast only, and need no label.

    Args:
        contrasts: how often each is drawn, relative to the others: T1, T2, PD, FLAIR, DWI.
        any_order: share of slabs whose tissues have any intensities.
        untouched: share of slabs without a lesion.
        several: chance, after each lesion, of one more.
        visible: least and greatest share of the brain's signal by which lesions differ from what is there; of each slab
            the least that counts is drawn between them, log-uniformly.
        any_signal: share of lesions that have any signal, whatever the contrast.
        iron: share of slabs, T1 aside, in which iron darkens the basal ganglia.
        stripped: share of slabs in which nothing but the brain is left.
        noise: least and greatest signal-to-noise ratio.
        window: side, in pixels, of the part about the brain that is imaged of the slabs of three batches in four, which
            is faster; None for all of a slab.

    Raises:
        MriadError: if a contrast is unknown, or a number out of range.
    """

    wants_tissues: Literal[True] = True

    def __init__(
        self,
        *,
        contrasts: Mapping[str, float],
        any_order: float = 0.05,
        untouched: float = 0.1,
        several: float = 0.7,
        visible: Sequence[float] = (0.1, 0.35),
        any_signal: float = 0.2,
        iron: float = 0.6,
        stripped: float = 0.5,
        noise: Sequence[float] = (25.0, 150.0),
        window: int | None = None,
    ) -> None:
        for name in contrasts:
            if name not in CONTRASTS:
                raise unknown("data.anomalies.contrasts", name, CONTRASTS)
        weights = list(contrasts.values())
        if not (weights and min(weights) >= 0 and sum(weights) > 0):
            raise MriadError("data.anomalies.contrasts has no contrast with a weight above 0; give at least one.")
        shares = {"any_order": any_order, "untouched": untouched, "any_signal": any_signal, "iron": iron}
        shares["stripped"] = stripped
        for option, share in shares.items():
            if not 0 <= share <= 1:
                raise MriadError(f"data.anomalies.{option}={share} is no share; choose one from 0 to 1.")
        if not 0 <= several < 1:
            raise MriadError(f"data.anomalies.several={several} is no chance; choose one from 0 to below 1.")
        if window is not None and (not isinstance(window, int) or window < 1):
            raise MriadError(f"data.anomalies.window={window} is no side of a window; give pixels, or null for all.")
        self._visible = _bounds("visible", visible, most=1.0)
        self._noise = _bounds("noise", noise, most=np.inf)
        self._contrasts = {name: float(weight) for name, weight in contrasts.items()}
        self._any_order, self._untouched, self._stripped, self._iron = any_order, untouched, stripped, iron
        self._window = window
        self._lesions = Lesions(visible=self._visible, any_signal=any_signal, several=several)

    @property
    def contrasts(self) -> list[str]:
        """Those that are drawn."""
        return [name for name, weight in self._contrasts.items() if weight > 0]

    def __call__(self, slabs: Sequence[Slab]) -> tuple[NDArray[np.uint8], NDArray[np.bool_]]:
        """Image slabs; the torch generator is advanced by one draw.

        Args:
            slabs: (B) of healthy volumes, each of C slices.

        Returns:
            (B, C, S, S) images, and (B, S, S) the masks of their lesions in the slices in the middle; S that of the
            slabs, or the side of the window where that is less.
        """
        rng = np.random.default_rng(int(torch.randint(2**31, ())))
        if self._window is not None and rng.random() < _WINDOWED:
            slabs = [slab.window(self._window) for slab in slabs]
        pairs = [self._imaged(slab, rng) for slab in slabs]
        return np.stack([image for image, _ in pairs]), np.stack([mask for _, mask in pairs])

    def examples(self, slabs: Sequence[Slab]) -> dict[str, tuple[NDArray[np.uint8], NDArray[np.bool_]]]:
        """Slabs with lesions in each contrast, for a reader to see; torch is not asked.

        Returns:
            By name of the contrasts that have a weight, what ``__call__`` gives.
        """
        found = {}
        for contrast in self.contrasts:
            pairs = [
                self._imaged(slab, np.random.default_rng((_EXAMPLE_SEED, index)), contrast)
                for index, slab in enumerate(slabs)
            ]
            found[contrast] = np.stack([image for image, _ in pairs]), np.stack([mask for _, mask in pairs])
        return found

    def _imaged(
        self, slab: Slab, rng: np.random.Generator, contrast: str | None = None
    ) -> tuple[NDArray[np.uint8], NDArray[np.bool_]]:
        """(C, S, S) image and (S, S) mask of a slab, in a contrast with lesions; None draws what there is."""
        with_lesions = contrast is not None or rng.random() >= self._untouched
        if contrast is None and rng.random() >= self._any_order:
            contrast = draw_contrast(self._contrasts, rng)
        look = Look.draw(contrast, rng)
        image, mask = look.healthy(slab, rng, iron=self._iron), np.zeros(slab.brain.shape, dtype=bool)
        if with_lesions and slab.brain.any():
            image, mask = self._lesions.put_into(image, slab, look, rng)
        stripped = bool(rng.random() < self._stripped)
        levels, left = scanned(image, slab, noise=self._noise, stripped=stripped, rng=rng)
        return np.round(255 * levels).astype(np.uint8), (mask & left)[len(mask) // 2]


def _bounds(option: str, values: Sequence[float], *, most: float) -> tuple[float, float]:
    try:
        low, high = (float(value) for value in values)
        if 0 < low <= high <= most:
            return low, high
    except (TypeError, ValueError):
        pass
    raise MriadError(f"data.anomalies.{option}={values} is no range; give the least and the greatest, both above 0.")
