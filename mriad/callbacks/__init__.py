"""Lightning callbacks: what a training draws, keeps and says, scores of a pass, calibration of the threshold."""

from mriad.callbacks.calibration import ThresholdCalibration
from mriad.callbacks.epoch_lines import EpochLines
from mriad.callbacks.last_checkpoint import LastCheckpoint
from mriad.callbacks.random_streams import RandomStreams
from mriad.callbacks.scan_scores import ScanScores

__all__ = ["EpochLines", "LastCheckpoint", "RandomStreams", "ScanScores", "ThresholdCalibration"]
