"""Numbers that say how well scans and pixels are told apart."""

from mriad.metrics.image import class_report, confusion, image_metrics, metrics_by_class
from mriad.metrics.pixel import pixel_metrics

__all__ = ["class_report", "confusion", "image_metrics", "metrics_by_class", "pixel_metrics"]
