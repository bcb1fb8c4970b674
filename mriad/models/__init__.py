"""Detectors and their networks."""

from mriad.models.autoencoder import Autoencoder
from mriad.models.denoising import DenoisingAutoencoder
from mriad.models.detector import Detector, ReconstructionDetector
from mriad.models.ensemble import Ensemble
from mriad.models.features import FeatureAutoencoder, PatchCore
from mriad.models.fitted import FittedDetector
from mriad.models.intensity import Intensity
from mriad.models.nearest import Nearest
from mriad.models.pca import PCA
from mriad.models.synthetic_anomaly import SyntheticAnomaly
from mriad.models.trained import TrainedDetector
from mriad.models.vae import VAE, CompactVAE

__all__ = [
    "PCA",
    "VAE",
    "Autoencoder",
    "CompactVAE",
    "DenoisingAutoencoder",
    "Detector",
    "Ensemble",
    "FeatureAutoencoder",
    "FittedDetector",
    "Intensity",
    "Nearest",
    "PatchCore",
    "ReconstructionDetector",
    "SyntheticAnomaly",
    "TrainedDetector",
]
