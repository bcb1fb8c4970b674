"""Lightning callbacks: scores of a pass, calibration of the threshold."""

from mriad.callbacks.calibration import ThresholdCalibration
from mriad.callbacks.last_checkpoint import LastCheckpoint
from mriad.callbacks.scan_scores import ScanScores

__all__ = ["LastCheckpoint", "ScanScores", "ThresholdCalibration"]
