"""Synthetic anomalies, pasted into healthy train scans: scan in, scan and mask out."""

from mriad.data.anomalies.anomalies import Anomalies
from mriad.data.anomalies.generators import Blob, Deformation, ForeignPatch, Inversion, Ring

__all__ = ["Anomalies", "Blob", "Deformation", "ForeignPatch", "Inversion", "Ring"]
