"""What results take over from the series that they belong to: patient, study, place."""

from __future__ import annotations

import warnings
from collections.abc import Iterable
from copy import deepcopy
from dataclasses import dataclass
from datetime import datetime
from pathlib import Path
from typing import Any

import numpy as np
from numpy.typing import NDArray
from pydicom import dcmread
from pydicom.dataset import Dataset
from pydicom.sequence import Sequence
from pydicom.uid import MRImageStorage
from pydicom.valuerep import format_number_as_ds

from mriad.data.reading.scan import Scan
from mriad.geometry import Grid
from mriad.writing.dicom.uids import uid_of

# of the patient and the study, as type 1 and 2 of these modules have it, and what tells two hospitals' ids apart
_PATIENT = ("PatientName", "PatientID", "IssuerOfPatientID", "PatientBirthDate", "PatientSex")
_STUDY = ("StudyInstanceUID", "StudyDate", "StudyTime", "StudyID", "AccessionNumber", "ReferringPhysicianName")
_SERIES = ("SOPClassUID", "SOPInstanceUID", "SeriesInstanceUID", "SeriesNumber", "Modality", "FrameOfReferenceUID")
_IMAGE = ("Rows", "Columns", "NumberOfFrames", "ImageOrientationPatient", "PixelSpacing", "SliceThickness")
_READ: list[Any] = [*_PATIENT, *_STUDY, "StudyDescription", *_SERIES, *_IMAGE, "SpecificCharacterSet"]
_SEXES = ("M", "F", "O")


@dataclass(frozen=True, kw_only=True)
class Source:
    """A series that results are made from, with nothing in it that would make a result invalid.

    What the standard wants and the series lacks is empty, or follows from its UIDs; what is no valid date or sex is
    empty. Slices whose gaps differ lie where the grid of the scan has them, off by less than 5 % of a gap: one image
    of all of them can be read as a volume everywhere then.

    Args:
        headers: one per slice, in the order of the scan's slices; or, where files hold several images, one of as many
            frames as the scan has slices.
        images: for each slice the SOPInstanceUID of its file, and the number of its image in that from 1 on, None in a
            file of one.
    """

    headers: list[Dataset]
    images: list[tuple[str, int | None]]

    @classmethod
    def of(cls, scan: Scan) -> Source:
        """The series of a scan, as its files have it now."""
        headers = {file: _clean(_header(file), scan.grid) for file, _ in scan.slices}
        uids = {file: str(header.SOPInstanceUID) for file, header in headers.items()}
        first = headers[scan.slices[0][0]]
        if "NumberOfFrames" in first:
            images: list[tuple[str, int | None]] = [(uids[file], index + 1) for file, index in scan.slices]
            return cls(headers=[_of_frames(first, scan.grid)], images=images)
        files = [file for file, _ in scan.slices]
        for file, position in zip(files, positions_of(scan.grid), strict=True):
            headers[file].ImagePositionPatient = _texts(position)
            headers[file].SpacingBetweenSlices = _texts(scan.grid.spacing[:1])[0]
        return cls(headers=[headers[file] for file in files], images=[(uids[file], None) for file in files])


def positions_of(grid: Grid) -> NDArray[np.float64]:
    """(D, 3) of the centres of the first voxels of all slices, in mm of DICOM's world (left, posterior, superior)."""
    first = np.zeros((grid.shape[0], 3))
    first[:, 0] = np.arange(grid.shape[0])
    return grid.to_world(first) * (-1, -1, 1)


def _header(file: Path) -> Dataset:
    with warnings.catch_warnings():
        warnings.simplefilter("ignore")  # of values that break the rules, which are mended here
        return dcmread(file, stop_before_pixels=True, specific_tags=_READ, force=True)


def _clean(found: Dataset, grid: Grid) -> Dataset:
    header = Dataset()
    with warnings.catch_warnings():
        warnings.simplefilter("ignore")
        for name in (*_PATIENT, *_STUDY):
            setattr(header, name, found.get(name) or "")
        for name in ("StudyDescription", *_SERIES, *_IMAGE):
            if found.get(name) not in (None, ""):
                setattr(header, name, deepcopy(found[name].value))
        if not header.IssuerOfPatientID:
            del header.IssuerOfPatientID
        for name in ("PatientBirthDate", "StudyDate"):
            setattr(header, name, _valid(str(header.get(name) or ""), "%Y%m%d"))
        header.StudyTime = _valid(str(header.StudyTime).partition(".")[0], "%H%M%S", "%H%M", "%H")
        header.PatientSex = str(header.PatientSex).upper() if str(header.PatientSex).upper() in _SEXES else ""
    header.SOPClassUID = header.get("SOPClassUID") or MRImageStorage
    header.Modality = header.get("Modality") or "MR"
    for name, told in (("SeriesInstanceUID", header.get("StudyInstanceUID", "")), ("StudyInstanceUID", "")):
        if not header.get(name):
            setattr(header, name, uid_of("unknown", name, str(told), str(header.get("SOPInstanceUID", ""))))
    if not header.get("FrameOfReferenceUID"):
        header.FrameOfReferenceUID = uid_of("frame of reference", header.SeriesInstanceUID)
    header.SliceThickness = header.get("SliceThickness") or _texts(grid.spacing[:1])[0]
    return header


def _valid(text: str, *forms: str) -> str:
    """A date or time, '' where it is none."""
    for form in forms:
        try:
            datetime.strptime(text, form)
        except ValueError:
            continue
        return text
    return ""


def _of_frames(header: Dataset, grid: Grid) -> Dataset:
    """A header of as many frames as the grid has slices, which lie where that has them."""
    measures, orientation = Dataset(), Dataset()
    measures.PixelSpacing = _texts(grid.spacing[1:])
    measures.SliceThickness = measures.SpacingBetweenSlices = _texts(grid.spacing[:1])[0]
    across, down = (grid.affine[:3, axis] * (-1, -1, 1) / grid.spacing[axis] for axis in (2, 1))
    orientation.ImageOrientationPatient = _texts([*across, *down])
    shared = Dataset()
    shared.PixelMeasuresSequence = Sequence([measures])
    shared.PlaneOrientationSequence = Sequence([orientation])
    frames = []
    for position in positions_of(grid):
        place, frame = Dataset(), Dataset()
        place.ImagePositionPatient = _texts(position)
        frame.PlanePositionSequence = Sequence([place])
        frames.append(frame)
    header.SharedFunctionalGroupsSequence = Sequence([shared])
    header.PerFrameFunctionalGroupsSequence = Sequence(frames)
    header.NumberOfFrames = len(frames)
    return header


def _texts(numbers: Iterable[float]) -> list[str]:
    return [format_number_as_ds(float(number)) for number in numbers]
