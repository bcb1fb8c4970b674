"""Healthy volumes imaged anew, in other contrasts and with lesions: tissues in, slabs and masks out."""

from mriad.data.training.simulation.simulation import Simulation

__all__ = ["Simulation"]
