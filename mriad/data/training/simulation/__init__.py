"""Healthy volumes imaged anew, in contrasts and with lesions that nobody has scanned: tissues in, slabs and masks out."""

from mriad.data.training.simulation.simulation import Simulation

__all__ = ["Simulation"]
