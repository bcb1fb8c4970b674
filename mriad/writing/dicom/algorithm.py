"""The detector, as DICOM objects name it."""

from __future__ import annotations

import hashlib
from dataclasses import dataclass
from typing import Any

import mriad
from mriad.prediction.predictor import Predictor

_LONG = 64  # characters of DICOM's LO


@dataclass(frozen=True, kw_only=True)
class Algorithm:
    """What objects say of the detector that has made them.

    Args:
        run: MLflow run of its training, '' where unknown.
        threshold: a score above it is anomalous.
        pixel_threshold: a value of the map above it is in the mask.
        key: what tells this training from any other.
    """

    run: str
    threshold: float
    pixel_threshold: float
    key: str

    @classmethod
    def of(cls, predictor: Predictor) -> Algorithm:
        """That of a detector."""
        calibration = predictor.calibration
        return cls(
            run=predictor.run_id or "",
            threshold=calibration.threshold,
            pixel_threshold=calibration.pixel_threshold,
            key=predictor.key,
        )

    @property
    def identity(self) -> str:
        """What tells the detector, its thresholds and its program from any other; says nothing of its key."""
        told = f"{self.key} {self.run} {self.threshold!r} {self.pixel_threshold!r} {mriad.__version__}"
        return hashlib.sha256(told.encode()).hexdigest()

    @property
    def parameters(self) -> dict[str, str]:
        """As DICOM keeps them: the run and the thresholds."""
        run = {"run": self.run} if self.run else {}
        return run | {"threshold": f"{self.threshold:.6g}", "pixel_threshold": f"{self.pixel_threshold:.6g}"}

    @property
    def equipment(self) -> dict[str, Any]:
        """As highdicom wants it."""
        return {
            "manufacturer": "mriad",
            "manufacturer_model_name": "mriad",
            "software_versions": mriad.__version__,
            "device_serial_number": (self.run or self.identity)[:_LONG],
        }
