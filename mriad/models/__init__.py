"""Detectors and their networks."""

from mriad.models.autoencoder import Autoencoder
from mriad.models.detector import Detector, ReconstructionDetector
from mriad.models.vae import VAE, CompactVAE, ResidualVAE

__all__ = ["VAE", "Autoencoder", "CompactVAE", "Detector", "ReconstructionDetector", "ResidualVAE"]
