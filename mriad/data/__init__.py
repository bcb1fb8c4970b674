"""Scans: catalog, splits, preprocessing, cache and loaders."""

from mriad.data.datamodule import MRIDataModule

__all__ = ["MRIDataModule"]
