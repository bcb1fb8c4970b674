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
        val_scores: the val scans with at least the columns group, label, score.
        promised_fpr: false positive rate that the rule promised for new healthy scans; None if it promised none.
        lesion_level: a component of what lies above it is a lesion, see ``mriad.metrics.lesions.HealthyComponents``;
            None in a record from before it was chosen.
        healthy_components: levels of a map, falling, and how many components the healthy val scans have above each on
            average, on the grid that the detector sees; () in a record from before they were counted.
    """

    rule: str
    threshold: float
    pixel_threshold: float
    val_scores: pd.DataFrame
    promised_fpr: float | None = None
    lesion_level: float | None = None
    healthy_components: tuple[tuple[float, float], ...] = ()

    @classmethod
    def fit(
        cls,
        rule: Threshold,
        val_scores: pd.DataFrame,
        *,
        pixel_threshold: float,
        lesion_level: float | None = None,
        healthy_components: tuple[tuple[float, float], ...] = (),
    ) -> Self:
        """Fit a rule on val scores; ``rule`` is fitted in place."""
        rule.fit(*(val_scores[column].to_numpy() for column in ("score", "label", "group")))
        return cls(
            rule=rule.name,
            threshold=rule.threshold_,
            pixel_threshold=pixel_threshold,
            val_scores=val_scores,
            promised_fpr=rule.promised_fpr,
            lesion_level=lesion_level,
            healthy_components=healthy_components,
        )

    def refit(self, rule: Threshold) -> Calibration:
        """The same calibration under another rule, fitted on the same val scores."""
        return Calibration.fit(
            rule,
            self.val_scores,
            pixel_threshold=self.pixel_threshold,
            lesion_level=self.lesion_level,
            healthy_components=self.healthy_components,
        )

    def decide(self, scores: NDArray[np.floating]) -> NDArray[np.int64]:
        """(n,) decisions: 1 where the score is above the threshold, else 0."""
        return (np.asarray(scores, dtype=float) > self.threshold).astype(np.int64)

    @property
    def val_fpr(self) -> float | None:
        """Share of the healthy val scans that are called anomalous; None where val holds none."""
        healthy = self.val_scores.loc[self.val_scores["label"] == 0, "score"].to_numpy()
        return float(self.decide(healthy).mean()) if len(healthy) else None

    @property
    def map_scale(self) -> tuple[float, float]:
        """Ends of the one colour scale of this detector's maps: 0 and three times the pixel threshold."""
        return 0.0, 3 * self.pixel_threshold if self.pixel_threshold > 0 else 1.0

    def as_record(self) -> dict[str, Any]:
        """Plain values for a checkpoint: of the val scans what a rule is fitted on, and groups as mere numbers."""
        val_scores = self.val_scores[["label", "score"]].assign(group=pd.factorize(self.val_scores["group"])[0])
        components = [list(pair) for pair in self.healthy_components]
        return asdict(self) | {"val_scores": val_scores.to_dict(orient="list"), "healthy_components": components}

    @classmethod
    def from_record(cls, record: dict[str, Any]) -> Self:
        """Read what ``as_record`` wrote."""
        components = tuple((level, per_scan) for level, per_scan in record.get("healthy_components", ()))
        val_scores = pd.DataFrame(record["val_scores"])
        return cls(**record | {"val_scores": val_scores, "healthy_components": components})
