"""DICOM: files under any names in, a volume out.

pydicom reads what the files say, and decodes their pixels, compressed ones through GDCM.
"""

from mriad.data.reading.dicom.read import read_dicom, read_series
from mriad.data.reading.dicom.series import Series, find_series

__all__ = ["Series", "find_series", "read_dicom", "read_series"]
