"""Collects what a validation or test pass says of each scan."""

from __future__ import annotations

import tempfile
from collections.abc import Mapping
from io import BufferedRandom
from typing import Any, cast

import numpy as np
import pandas as pd
from lightning import LightningModule, Trainer
from lightning.pytorch.callbacks import Callback
from lightning.pytorch.trainer.states import TrainerFn
from numpy.typing import NDArray
from torch import Tensor

from mriad.ranks import gather_on_first, is_first

SCORE_COLUMNS = ["path", "group", "class", "label", "role", "score"]
_SAID = {"row": np.int64, "score": np.float32, "slice_score": np.float32}  # of each scan, beside its map


class ScanScores(Callback):
    """Keeps the scores and maps of the last ``trainer.validate`` or ``trainer.test``; the epochs of a fit pass by.

    Where several processes share the pass, rank 0 has those of all scans, and the others have none. Maps lie in a
    file without a name, mapped into memory: those of 100,000 scans of 128 px take 6.5 GB.

    Attributes:
        rows: (n,) catalog rows, ascending.
        scores: (n,) float64 anomaly scores.
        maps: (n, *spatial) float32 anomaly maps.
        slice_scores: (n, D) float32 scores of the axial slices of volumes; None for pictures.
    """

    rows: NDArray[np.int64]
    scores: NDArray[np.float64]
    maps: NDArray[np.float32]
    slice_scores: NDArray[np.float32] | None

    def __init__(self) -> None:
        self._said: list[list[list[Any]]] = []
        self._maps: BufferedRandom | None = None
        self._map_shape: tuple[int, ...] = ()

    def table(self, scans: pd.DataFrame) -> pd.DataFrame:
        """The scores beside who each scan is.

        Args:
            scans: the scans of the pass, indexed by catalog row.

        Returns:
            Columns of ``SCORE_COLUMNS``, in the order of ``rows``.
        """
        return scans.loc[self.rows].assign(score=self.scores)[SCORE_COLUMNS].reset_index(drop=True)

    def on_validation_batch_end(
        self, trainer: Trainer, pl_module: LightningModule, outputs: Any, *_: Any, **__: Any
    ) -> None:
        """Keep a batch of ``trainer.validate``."""
        if trainer.state.fn == TrainerFn.VALIDATING:
            self._keep(outputs)

    def on_validation_end(self, trainer: Trainer, pl_module: LightningModule) -> None:
        """Put the batches of ``trainer.validate`` together."""
        if trainer.state.fn == TrainerFn.VALIDATING:
            self._gather()

    def on_test_batch_end(self, trainer: Trainer, pl_module: LightningModule, outputs: Any, *_: Any, **__: Any) -> None:
        """Keep a batch."""
        self._keep(outputs)

    def on_test_end(self, trainer: Trainer, pl_module: LightningModule) -> None:
        """Put the batches together."""
        self._gather()

    def _keep(self, outputs: Mapping[str, Tensor]) -> None:
        if self._maps is None:
            self._maps = cast(BufferedRandom, tempfile.TemporaryFile())  # noqa: SIM115  lives on in the mapping
        maps = outputs["map"].numpy()
        maps.tofile(self._maps)
        self._map_shape = maps.shape[1:]
        # as Python's numbers: arrays that live on would lie between those of one volume after the other and split their
        # room, so that memory grew by a third over 100 volumes
        self._said.append([outputs[name].tolist() for name in _SAID if name in outputs])

    def _gather(self) -> None:
        parts = [part for part in gather_on_first(self._own()) if part is not None]
        if not is_first():
            return
        rows, scores, *by_slice, maps = parts[0] if len(parts) == 1 else map(np.concatenate, zip(*parts, strict=True))
        order = np.argsort(rows)
        self.slice_scores = by_slice[0][order] if by_slice else None
        self.rows, self.scores = rows[order], scores[order].astype(np.float64)
        self.maps = maps if (np.diff(order) == 1).all() else maps[order]

    def _own(self) -> tuple[NDArray[Any], ...] | None:
        """Rows, scores and maps of this process, which forgets them; None where it had no scans."""
        if self._maps is None:
            return None
        columns = zip(_SAID.values(), zip(*self._said, strict=True), strict=False)
        said = [np.array([one for batch in column for one in batch], dtype=kind) for kind, column in columns]
        maps = np.memmap(self._maps, dtype=np.float32, mode="r", shape=(len(said[0]), *self._map_shape))
        self._said, self._maps = [], None
        return (*said, maps)
