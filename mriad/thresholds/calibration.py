"""What calibration leaves behind: the threshold, the pixel threshold and the val scores they came from."""

from __future__ import annotations

from dataclasses import asdict, dataclass
from typing import Any, Self

import numpy as np
import pandas as pd
from numpy.typing import NDArray

from mriad.thresholds.rules import Threshold


@dataclass(frozen=True, kw_only=True)
class Calibration:
    """A fitted decision, as a checkpoint carries it.

    Args:
        rule: name of the threshold rule.
        threshold: a scan is anomalous if its score is above it.
        pixel_threshold: a pixel is anomalous if its map value is above it.
        val_scores: the val scans with the columns path, group, class, label, role, score.
    """

    rule: str
    threshold: float
    pixel_threshold: float
    val_scores: pd.DataFrame

    def refit(self, rule: Threshold) -> Calibration:
        """The same calibration under another rule, fitted on the same val scores."""
        rule.fit(self.val_scores["score"].to_numpy(), self.val_scores["label"].to_numpy())
        return Calibration(**{**vars(self), "rule": rule.name, "threshold": rule.threshold_})

    def decide(self, scores: NDArray[np.floating]) -> NDArray[np.int64]:
        """(n,) decisions: 1 where the score is above the threshold, else 0."""
        return (np.asarray(scores, dtype=float) > self.threshold).astype(np.int64)

    @property
    def map_scale(self) -> tuple[float, float]:
        """Ends of the one colour scale of this detector's maps: 0 and three times the pixel threshold."""
        return 0.0, 3 * self.pixel_threshold if self.pixel_threshold > 0 else 1.0

    def as_record(self) -> dict[str, Any]:
        """Plain values for a checkpoint."""
        return {**asdict(self), "val_scores": self.val_scores.to_dict(orient="list")}

    @classmethod
    def from_record(cls, record: dict[str, Any]) -> Self:
        """Read what ``as_record`` wrote."""
        return cls(**{**record, "val_scores": pd.DataFrame(record["val_scores"])})
