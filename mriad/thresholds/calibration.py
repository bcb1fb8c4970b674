"""What calibration leaves behind: the threshold, the pixel threshold and the scores they came from."""

from __future__ import annotations

import logging
from dataclasses import dataclass, fields
from typing import Any, Self

import numpy as np
import pandas as pd
from numpy.typing import NDArray

from mriad.errors import MriadError
from mriad.thresholds.rules import Threshold, count_groups

VAL = "val"

log = logging.getLogger(__name__)


@dataclass(frozen=True, kw_only=True)
class Calibration:
    """A fitted decision, as a checkpoint carries it.

    Args:
        rule: name of the threshold rule.
        threshold: a scan is anomalous if its score is above it.
        pixel_threshold: a pixel is anomalous if its map value is above it.
        val_scores: the scans that it was fitted on with at least the columns group, label, score.
        promised_fpr: false positive rate that the rule promised for new healthy scans; None if it promised none.
        fitted_on: what these scans are called: 'val', or of what other data they are, as in '20 healthy scans of ixi'.
        lesion_level: a component of what lies above it is a lesion, see ``mriad.metrics.lesions.HealthyComponents``;
            None in a record from before it was chosen.
        healthy_components: levels of a map, falling, and how many components the healthy val scans have above each on
            average, on the grid that the detector sees; () in a record from before they were counted.
        pictures: of a detector of volumes that takes pictures as axial slices, the same for these: the rule is fitted
            on slices of the same scans, each taken as a picture. None where no picture is taken, or the rule could not
            be fitted; pictures are then held against the threshold of volumes.
    """

    rule: str
    threshold: float
    pixel_threshold: float
    val_scores: pd.DataFrame
    promised_fpr: float | None = None
    lesion_level: float | None = None
    fitted_on: str = VAL
    healthy_components: tuple[tuple[float, float], ...] = ()
    pictures: Calibration | None = None

    @classmethod
    def fit(
        cls,
        rule: Threshold,
        val_scores: pd.DataFrame,
        *,
        pixel_threshold: float,
        lesion_level: float | None = None,
        fitted_on: str = VAL,
        healthy_components: tuple[tuple[float, float], ...] = (),
        picture_scores: pd.DataFrame | None = None,
    ) -> Self:
        """Fit a rule on scores, and by itself on those of pictures; ``rule`` is fitted in place."""
        pictures = None
        if picture_scores is not None:
            try:
                pictures = cls.fit(rule, picture_scores, pixel_threshold=pixel_threshold, fitted_on=fitted_on)
            except MriadError:  # the rule needs slices with lesions, and none are known
                log.warning("Threshold '%s' cannot be fitted on pictures; that of volumes holds for them.", rule.name)
        rule.fit(*(val_scores[column].to_numpy() for column in ("score", "label", "group")))
        return cls(
            rule=rule.name,
            threshold=rule.threshold_,
            pixel_threshold=pixel_threshold,
            val_scores=val_scores,
            promised_fpr=rule.promised_fpr,
            lesion_level=lesion_level,
            fitted_on=fitted_on,
            healthy_components=healthy_components,
            pictures=pictures,
        )

    def refit(self, rule: Threshold) -> Calibration:
        """The same calibration under another rule, fitted on the same scores."""
        if self.recalibrated:
            rule.told_of(f"the calibration ({self.fitted_on})", "calibrate on more of them")
        return Calibration.fit(
            rule,
            self.val_scores,
            pixel_threshold=self.pixel_threshold,
            lesion_level=self.lesion_level,
            fitted_on=self.fitted_on,
            healthy_components=self.healthy_components,
            picture_scores=None if self.pictures is None else self.pictures.val_scores,
        )

    @property
    def recalibrated(self) -> bool:
        """Whether it was fitted on healthy scans of other data than those that the detector was trained on."""
        return self.fitted_on != VAL

    @property
    def healthy_groups(self) -> int:
        """Number of healthy scans that it was fitted on, those of a group counted once."""
        return count_groups(self.val_scores["label"].to_numpy(), self.val_scores["group"].to_numpy())

    def decide(self, scores: NDArray[np.floating]) -> NDArray[np.int64]:
        """(n,) decisions: 1 where the score is above the threshold, else 0."""
        return (np.asarray(scores, dtype=float) > self.threshold).astype(np.int64)

    @property
    def val_fpr(self) -> float | None:
        """Share of the healthy scans among them that are called anomalous; None where there are none."""
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
        plain = {field.name: getattr(self, field.name) for field in fields(self)}
        return plain | {
            "val_scores": val_scores.to_dict(orient="list"),
            "healthy_components": components,
            "pictures": None if self.pictures is None else self.pictures.as_record(),
        }

    @classmethod
    def from_record(cls, record: dict[str, Any]) -> Self:
        """Read what ``as_record`` wrote."""
        components = tuple((level, per_scan) for level, per_scan in record.get("healthy_components", ()))
        val_scores = pd.DataFrame(record["val_scores"])
        of_pictures = record.get("pictures")
        pictures = None if of_pictures is None else cls.from_record(of_pictures)
        return cls(**record | {"val_scores": val_scores, "healthy_components": components, "pictures": pictures})
