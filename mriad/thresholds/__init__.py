"""Rules that turn validation scores into a threshold."""

from mriad.thresholds.calibration import Calibration
from mriad.thresholds.rules import Fixed, MaxF1, MeanStd, Quantile, Sensitivity, Threshold, Youden

__all__ = ["Calibration", "Fixed", "MaxF1", "MeanStd", "Quantile", "Sensitivity", "Threshold", "Youden"]
