"""Detectors that learn in one pass."""

from __future__ import annotations

from abc import abstractmethod
from collections.abc import Iterable, Mapping
from typing import Any

from torch import Tensor

from mriad.models.detector import Detector


class FittedDetector(Detector):
    """A detector that learns in one pass over the healthy scans, and keeps what it has learned as buffers.

    A buffer's dimension that only the data decides is 0 until it is fitted or loaded; every other dimension must agree
    with what is loaded, as in any network.
    """

    @abstractmethod
    def fit_healthy(self, loader: Iterable[Mapping[str, Tensor]]) -> None:
        """Learn from healthy scans.

        Args:
            loader: batches with 'image' (B, 1, S, S) in [0, 1], each train scan once and as it is.

        Raises:
            MriadError: if the scans are too few.
        """

    def _load_from_state_dict(self, state_dict: Mapping[str, Any], prefix: str, *args: Any) -> None:
        for name, buffer in self.named_buffers(recurse=False):
            stored = state_dict.get(prefix + name)
            if isinstance(stored, Tensor) and stored.ndim == buffer.ndim:
                sizes = [size or found for size, found in zip(buffer.shape, stored.shape, strict=True)]
                self.register_buffer(name, buffer.new_zeros(sizes))
        super()._load_from_state_dict(state_dict, prefix, *args)
