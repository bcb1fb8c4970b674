"""Collects what a validation or test pass says of each scan."""

from __future__ import annotations

from typing import Any

import numpy as np
import pandas as pd
from lightning import LightningModule, Trainer
from lightning.pytorch.callbacks import Callback
from lightning.pytorch.trainer.states import TrainerFn
from numpy.typing import NDArray

from mriad.ranks import gather_on_first, is_first

SCORE_COLUMNS = ["path", "group", "class", "label", "role", "score"]


class ScanScores(Callback):
    """Keeps the scores and maps of the last ``trainer.validate`` or ``trainer.test``; the epochs of a fit pass by.

    Where several processes share the pass, rank 0 has those of all scans, and the others have none.

    Attributes:
        rows: (n,) catalog rows, ascending.
        scores: (n,) float64 anomaly scores.
        maps: (n, S, S) float32 anomaly maps.
    """

    rows: NDArray[np.int64]
    scores: NDArray[np.float64]
    maps: NDArray[np.float32]

    def __init__(self) -> None:
        self._outputs: list[Any] = []

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
            self._outputs.append(outputs)

    def on_validation_end(self, trainer: Trainer, pl_module: LightningModule) -> None:
        """Put the batches of ``trainer.validate`` together."""
        if trainer.state.fn == TrainerFn.VALIDATING:
            self._gather()

    def on_test_batch_end(self, trainer: Trainer, pl_module: LightningModule, outputs: Any, *_: Any, **__: Any) -> None:
        """Keep a batch."""
        self._outputs.append(outputs)

    def on_test_end(self, trainer: Trainer, pl_module: LightningModule) -> None:
        """Put the batches together."""
        self._gather()

    def _gather(self) -> None:
        batches = [batch for part in gather_on_first(self._outputs) for batch in part]
        self._outputs.clear()
        if not is_first():
            return
        rows, scores, maps = (
            np.concatenate([batch[name].numpy() for batch in batches]) for name in ("row", "score", "map")
        )
        order = np.argsort(rows)
        self.rows, self.scores, self.maps = rows[order], scores[order].astype(np.float64), maps[order]
