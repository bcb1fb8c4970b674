"""Detectors and their networks."""

from mriad.models.autoencoder import Autoencoder
from mriad.models.detector import Detector, FittedDetector, ReconstructionDetector, TrainedDetector
from mriad.models.intensity import Intensity
from mriad.models.medianomaly import MedIAnomalyVAE
from mriad.models.nearest import Nearest
from mriad.models.pca import PCA
from mriad.models.vae import VAE, CompactVAE, ResidualVAE

__all__ = [
    "PCA",
    "VAE",
    "Autoencoder",
    "CompactVAE",
    "Detector",
    "FittedDetector",
    "Intensity",
    "MedIAnomalyVAE",
    "Nearest",
    "ReconstructionDetector",
    "ResidualVAE",
    "TrainedDetector",
]
