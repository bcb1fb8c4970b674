"""Figures drawn from plain arrays and tables; nothing global is touched, so any thread may draw."""

from mriad.plots.anomalies import anomaly_examples
from mriad.plots.comparison import MetricPanel, method_comparison
from mriad.plots.curves import pr_curve, roc_curve
from mriad.plots.decisions import confusion_matrix, score_histogram
from mriad.plots.gallery import GalleryRow, gallery
from mriad.plots.latent import latent_interpolation, prior_samples
from mriad.plots.overlay import overlay
from mriad.plots.training import loss_curves

__all__ = [
    "GalleryRow",
    "MetricPanel",
    "anomaly_examples",
    "confusion_matrix",
    "gallery",
    "latent_interpolation",
    "loss_curves",
    "method_comparison",
    "overlay",
    "pr_curve",
    "prior_samples",
    "roc_curve",
    "score_histogram",
]
