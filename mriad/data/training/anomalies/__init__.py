"""Synthetic anomalies, pasted into healthy train scans: scan in, scan and mask out."""

from mriad.data.training.anomalies.anomalies import Anomalies
from mriad.data.training.anomalies.generators import Blob, Deformation, ForeignPatch, Inversion, Ring

__all__ = ["Anomalies", "Blob", "Deformation", "ForeignPatch", "Inversion", "Ring"]
