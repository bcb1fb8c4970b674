"""Rules that turn validation scores into a threshold."""

from mriad.thresholds.calibration import Calibration
from mriad.thresholds.conformal import Conformal
from mriad.thresholds.drift import Drift
from mriad.thresholds.extreme_value import ExtremeValue
from mriad.thresholds.rules import Fixed, MaxF1, MeanStd, Quantile, Sensitivity, Threshold, Youden

__all__ = [
    "Calibration",
    "Conformal",
    "Drift",
    "ExtremeValue",
    "Fixed",
    "MaxF1",
    "MeanStd",
    "Quantile",
    "Sensitivity",
    "Threshold",
    "Youden",
]
