"""Codes of what objects say, the field's own where there is one."""

from __future__ import annotations

from highdicom.sr import CodedConcept

_OURS = "99MRIAD"  # of a private scheme, as a code that begins with 99 says

SCORE = CodedConcept("anomaly_score", _OURS, "Anomaly score")
THRESHOLD = CodedConcept("threshold", _OURS, "Threshold of the anomaly score")
DECISION = CodedConcept("decision", _OURS, "Decision")
ANOMALOUS = CodedConcept("anomalous", _OURS, "Anomalous")
HEALTHY = CodedConcept("not_anomalous", _OURS, "Not anomalous")
LESIONS = CodedConcept("lesions", _OURS, "Number of lesions")
CENTRE = tuple(
    CodedConcept(f"centre_{axis}", _OURS, f"Centre towards {towards}, in the frame of reference")
    for axis, towards in (("x", "left"), ("y", "posterior"), ("z", "superior"))
)
NO_UNITS = CodedConcept("1", "UCUM", "no units")
MILLILITRE = CodedConcept("mL", "UCUM", "milliliter")
MILLIMETRE = CodedConcept("mm", "UCUM", "millimeter")
