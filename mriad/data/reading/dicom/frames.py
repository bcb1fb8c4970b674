"""What the header of a DICOM file says of each image in it."""

from __future__ import annotations

import math
import warnings
from collections.abc import Iterator
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from pydicom import dcmread
from pydicom.dataset import Dataset
from pydicom.uid import ParametricMapStorage, SegmentationStorage

from mriad.data.reading.content import unreadable
from mriad.data.reading.scan import Facts
from mriad.errors import MriadError, in_a_line

_MOSAIC_TILES = 0x0019100A  # Siemens' NumberOfImagesInMosaic
_TAGS: list[Any] = [
    *("SOPClassUID", "SOPInstanceUID", "ImageType", "Modality", "Manufacturer", "ManufacturerModelName"),
    *("MagneticFieldStrength", "PatientID", "StudyInstanceUID", "SeriesInstanceUID", "SeriesNumber"),
    *("SeriesDescription", "ProtocolName", "EchoTime", "RepetitionTime", "InversionTime", "DiffusionBValue"),
    *("Rows", "Columns", "NumberOfFrames", "PixelSpacing", "SliceThickness", "SpacingBetweenSlices"),
    *("ImageOrientationPatient", "ImagePositionPatient", "RescaleSlope", "RescaleIntercept"),
    *("SharedFunctionalGroupsSequence", "PerFrameFunctionalGroupsSequence", _MOSAIC_TILES),
]
_NO_SCANS = {"SEG", "SR", "PR", "KO", "REG", "RTSTRUCT", "RTDOSE", "RTPLAN", "DOC"}  # modalities
_RESULTS = {ParametricMapStorage, SegmentationStorage}  # made of scans, by mriad and others


@dataclass(frozen=True, kw_only=True)
class Frame:
    """One image of one file, its pixels not read.

    Args:
        file: where it lies.
        index: its number in the file, from 0 on.
        uid: SOPInstanceUID of the file.
        shape: rows and columns.
        position: of the centre of its first pixel, in mm of DICOM's world (left, posterior, superior); None where
            unknown.
        directions: along a row (towards higher columns) and along a column, in that world.
        spacing: mm between rows and between columns.
        thickness: mm to the next slice as the header has it; NaN where it does not.
        slope, intercept: of the modality's rescaling.
        contrasts: what tells images of one place apart: name and value.
        tiles: number of slices in a Siemens mosaic; 0 for none.
        facts: what the file says of its series.
    """

    file: Path
    index: int
    uid: str
    shape: tuple[int, int]
    position: tuple[float, ...] | None
    directions: tuple[float, ...] | None
    spacing: tuple[float, ...] | None
    thickness: float
    slope: float
    intercept: float
    contrasts: tuple[tuple[str, str], ...]
    tiles: int
    facts: Facts


def frames_of(file: Path) -> list[Frame]:
    """The images of a DICOM file; none in one of another purpose, such as a report.

    Raises:
        ReadError: if it cannot be read now.
        MriadError: if it is damaged.
    """
    try:
        with warnings.catch_warnings():
            warnings.simplefilter("ignore")  # of values that break the rules, which matter only where they are needed
            dataset = dcmread(file, stop_before_pixels=True, specific_tags=_TAGS, force=True)
            return list(_frames(file, dataset))
    except OSError as error:
        raise unreadable(file, error) from error
    except MriadError:
        raise
    except Exception as error:  # on damaged bytes pydicom fails in many ways
        raise MriadError(
            f"{file} is a damaged DICOM file ({in_a_line(error)}); copy it again or leave its series out."
        ) from None


def _frames(file: Path, dataset: Dataset) -> Iterator[Frame]:
    if dataset.get("Modality") in _NO_SCANS or dataset.get("SOPClassUID") in _RESULTS:
        return
    if not (dataset.get("Rows") and dataset.get("Columns")):
        if _purpose(dataset).endswith("Image Storage"):
            raise ValueError("it ends before its image")
        return
    facts = _facts(dataset)
    kinds = [str(kind).upper() for kind in dataset.get("ImageType") or []]
    tiles = dataset[_MOSAIC_TILES].value if _MOSAIC_TILES in dataset else 0
    shared = _first(dataset, "SharedFunctionalGroupsSequence")
    per_frame = dataset.get("PerFrameFunctionalGroupsSequence") or []
    for index in range(max(int(dataset.get("NumberOfFrames") or 1), 1)):
        groups = [dataset, shared, per_frame[index] if index < len(per_frame) else Dataset()]
        echo, type_, diffusion = (
            _group(groups, name) for name in ("MREchoSequence", "MRImageFrameTypeSequence", "MRDiffusionSequence")
        )
        measures, values = _group(groups, "PixelMeasuresSequence"), _group(groups, "PixelValueTransformationSequence")
        contrasts = {
            "echo time": _number(echo.get("EffectiveEchoTime", dataset.get("EchoTime"))),
            "image type": " ".join(map(str, type_.get("FrameType") or kinds)).lower(),
            "inversion time": _number(dataset.get("InversionTime")),
            "b-value": _number(diffusion.get("DiffusionBValue", dataset.get("DiffusionBValue"))),
        }
        slope = _number(values.get("RescaleSlope", dataset.get("RescaleSlope")))
        intercept = _number(values.get("RescaleIntercept", dataset.get("RescaleIntercept")))
        thickness = [
            _number(measures.get(name, dataset.get(name))) for name in ("SpacingBetweenSlices", "SliceThickness")
        ]
        yield Frame(
            file=file,
            index=index,
            uid=str(dataset.get("SOPInstanceUID", "")),
            shape=(int(dataset.Rows), int(dataset.Columns)),
            position=_numbers(_of(groups, "PlanePositionSequence", "ImagePositionPatient"), 3),
            directions=_numbers(_of(groups, "PlaneOrientationSequence", "ImageOrientationPatient"), 6),
            spacing=_numbers(measures.get("PixelSpacing", dataset.get("PixelSpacing")), 2),
            thickness=next((abs(mm) for mm in thickness if abs(mm) > 0), math.nan),
            slope=1.0 if math.isnan(slope) or slope == 0 else slope,
            intercept=0.0 if math.isnan(intercept) else intercept,
            contrasts=tuple(
                (name, value if isinstance(value, str) else f"{value:g}") for name, value in contrasts.items()
            ),
            tiles=int(tiles) if "MOSAIC" in kinds or int(tiles or 0) > 1 else 0,
            facts=facts,
        )


def _purpose(dataset: Dataset) -> str:
    """What a file says it is, such as 'MR Image Storage'; that where it breaks off before it says so."""
    meta = getattr(dataset, "file_meta", Dataset())
    uid = dataset.get("SOPClassUID") or meta.get("MediaStorageSOPClassUID")
    return uid.name if uid else "Image Storage"


def _facts(dataset: Dataset) -> Facts:
    def text(name: str) -> str:
        return str(dataset.get(name) or "").strip()

    return Facts(
        format="DICOM",
        series=text("SeriesDescription") or text("ProtocolName"),
        series_uid=text("SeriesInstanceUID"),
        series_number=text("SeriesNumber"),
        modality=text("Modality"),
        manufacturer=text("Manufacturer"),
        scanner=text("ManufacturerModelName"),
        field_strength=_number(dataset.get("MagneticFieldStrength")),
        patient=text("PatientID"),
        study=text("StudyInstanceUID"),
        echo_time=_number(dataset.get("EchoTime")),
        repetition_time=_number(dataset.get("RepetitionTime")),
        inversion_time=_number(dataset.get("InversionTime")),
    )


def _first(dataset: Dataset, name: str) -> Dataset:
    sequence = dataset.get(name)
    return sequence[0] if sequence else Dataset()


def _group(groups: list[Dataset], name: str) -> Dataset:
    """A functional group of a frame, its own before the one that all frames share."""
    return next((_first(group, name) for group in reversed(groups) if group.get(name)), Dataset())


def _of(groups: list[Dataset], group: str, name: str) -> Any:
    return _group(groups, group).get(name, groups[0].get(name))


def _number(value: Any) -> float:
    """A value as a number, NaN where there is none."""
    try:
        return float(value)
    except (TypeError, ValueError):
        return math.nan


def _numbers(value: Any, count: int) -> tuple[float, ...] | None:
    """A value as so many finite numbers, None where there are not."""
    try:
        numbers = tuple(float(one) for one in value)
    except (TypeError, ValueError):
        return None
    return numbers if len(numbers) == count and all(map(math.isfinite, numbers)) else None
