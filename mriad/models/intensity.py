"""The baseline without a model: as strange as it is bright."""

from __future__ import annotations

from collections.abc import Iterable, Mapping
from typing import Any, Literal, get_args

from torch import Tensor

from mriad.errors import unknown
from mriad.models.fitted import FittedDetector

Polarity = Literal["bright", "dark"]


class Intensity(FittedDetector):
    """The map is the scaled intensity; Meissen, Kaissis and Rueckert 2021, arXiv:2109.06023.

    It belongs with a score that masks the brain: elsewhere scalp is bright, and air is dark.

    Args:
        polarity: which pixels are strange: 'bright' (the map is x) or 'dark' (1 - x).
        **detector: see ``Detector``.

    Raises:
        MriadError: on an unknown polarity.
    """

    def __init__(self, *, polarity: Polarity = "bright", **detector: Any) -> None:
        super().__init__(**detector)
        if polarity not in get_args(Polarity):
            raise unknown("model.polarity", polarity, get_args(Polarity))
        self._polarity = polarity

    def fit_healthy(self, loader: Iterable[Mapping[str, Tensor]]) -> None:
        """Nothing: there is nothing to learn."""

    def anomaly_map(self, x: Tensor) -> Tensor:
        """Intensity or its complement, (B, 1, H, W) in [0, 1]."""
        return x if self._polarity == "bright" else 1 - x
