"""The hospital's network: scans out of an archive and results back into it, by DICOMweb or by DICOM's own protocol."""
