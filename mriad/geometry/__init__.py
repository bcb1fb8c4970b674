"""Where things lie: a slice in its scan, a scan in the scanner, and the ways between."""

from mriad.geometry.grid import Grid, reorient
from mriad.geometry.resample import resample, resample_mask
from mriad.geometry.scan_geometry import ScanGeometry, pixel_area, spacing_of
from mriad.geometry.volume_geometry import VolumeGeometry

__all__ = [
    "Grid",
    "ScanGeometry",
    "VolumeGeometry",
    "pixel_area",
    "reorient",
    "resample",
    "resample_mask",
    "spacing_of",
]
