"""mriad: anomaly detection in brain MRI after training on healthy scans only."""

__version__ = "0.1.0"
