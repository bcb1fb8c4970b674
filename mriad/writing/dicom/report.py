"""The report: a structured report of the template TID 1500, a group of measurements for the scan and each lesion."""

from __future__ import annotations

from pathlib import Path
from typing import Any

import highdicom as hd
from highdicom import sr
from pydicom.dataset import Dataset
from pydicom.sr.codedict import codes

import mriad
from mriad.errors import MriadError
from mriad.prediction.lesions import Lesion
from mriad.prediction.predictor import Prediction
from mriad.writing.dicom import terms
from mriad.writing.dicom.algorithm import Algorithm
from mriad.writing.dicom.uids import Uids, tracking_uid

MOST_LESIONS = 100
"""Lesions that a report holds, the largest; their number is that of all."""


def report(
    found: Prediction,
    algorithm: Algorithm,
    *,
    sources: list[Dataset],
    mask: hd.seg.Segmentation,
    anomaly_map: hd.pm.ParametricMap,
    uids: Uids,
    number: int,
) -> Dataset:
    """The report of a scan.

    Args:
        sources: headers of the series.
        mask, anomaly_map: what it refers to.
        number: of its series.
    """
    lesions = found.lesions(algorithm.pixel_threshold)
    device = sr.ObserverContext(
        observer_type=codes.DCM.Device,
        observer_identifying_attributes=sr.DeviceObserverIdentifyingAttributes(
            uid=uids.series[2],
            name="mriad",
            manufacturer_name="mriad",
            model_name="mriad",
            serial_number=algorithm.equipment["device_serial_number"],
        ),
    )
    content = sr.MeasurementReport(
        observation_context=sr.ObservationContext(observer_device_context=device),
        procedure_reported=sr.CodedConcept("LP6406-5", "LN", "MR"),
        title=codes.DCM.ImagingMeasurementReport,
        imaging_measurements=[
            _of_scan(found, algorithm, lesions, uids),
            *(
                _of_lesion(lesion, place, algorithm, mask, uids, sources)
                for place, lesion in enumerate(lesions[:MOST_LESIONS], start=1)
            ),
        ],
    )
    return sr.Comprehensive3DSR(
        evidence=[*sources, mask, anomaly_map],
        content=content,
        series_instance_uid=uids.series[2],
        series_number=number,
        sop_instance_uid=uids.report,
        instance_number=1,
        manufacturer="mriad",
        is_complete=True,
        is_final=False,
        is_verified=False,
        series_description="mriad measurements",
        specific_character_set="ISO_IR 192",
    )


def _of_scan(
    found: Prediction, algorithm: Algorithm, lesions: list[Lesion], uids: Uids
) -> sr.MeasurementsAndQualitativeEvaluations:
    total = sum(lesion.ml for lesion in lesions)
    return sr.MeasurementsAndQualitativeEvaluations(
        tracking_identifier=sr.TrackingIdentifier(uid=tracking_uid(uids.report, 0), identifier="Scan"),
        finding_sites=[sr.FindingSite(codes.SCT.Brain)],
        algorithm_id=_identified(algorithm),
        measurements=[
            sr.Measurement(name=terms.SCORE, value=found.score, unit=terms.NO_UNITS),
            sr.Measurement(name=terms.THRESHOLD, value=algorithm.threshold, unit=terms.NO_UNITS),
            sr.Measurement(name=terms.LESIONS, value=len(lesions), unit=terms.NO_UNITS),
            sr.Measurement(name=codes.SCT.Volume, value=total, unit=terms.MILLILITRE),
        ],
        qualitative_evaluations=[
            sr.QualitativeEvaluation(name=terms.DECISION, value=terms.ANOMALOUS if found.decision else terms.HEALTHY)
        ],
    )


def _of_lesion(
    lesion: Lesion,
    place: int,
    algorithm: Algorithm,
    mask: hd.seg.Segmentation,
    uids: Uids,
    sources: list[Dataset],
) -> sr.VolumetricROIMeasurementsAndQualitativeEvaluations:
    """A lesion: its volume, its centre, the map in it."""
    right, front, up = lesion.centre
    shown = sr.ReferencedSegment(
        sop_class_uid=mask.SOPClassUID,
        sop_instance_uid=mask.SOPInstanceUID,
        segment_number=1,
        source_series=sr.SourceSeriesForSegmentation(sources[0].SeriesInstanceUID),
    )
    return sr.VolumetricROIMeasurementsAndQualitativeEvaluations(
        tracking_identifier=sr.TrackingIdentifier(uid=tracking_uid(uids.report, place), identifier=f"Lesion {place}"),
        referenced_segment=shown,
        finding_category=codes.SCT.MorphologicallyAbnormalStructure,
        finding_type=codes.SCT.Lesion,
        finding_sites=[sr.FindingSite(codes.SCT.Brain)],
        algorithm_id=_identified(algorithm),
        measurements=[
            sr.Measurement(name=codes.SCT.Volume, value=lesion.ml, unit=terms.MILLILITRE),
            sr.Measurement(name=terms.SCORE, value=lesion.peak, unit=terms.NO_UNITS, derivation=codes.SCT.Maximum),
            sr.Measurement(name=terms.SCORE, value=lesion.mean, unit=terms.NO_UNITS, derivation=codes.SCT.Mean),
            *(
                sr.Measurement(name=axis, value=mm, unit=terms.MILLIMETRE)
                for axis, mm in zip(terms.CENTRE, (-right, -front, up), strict=True)
            ),
        ],
    )


def _identified(algorithm: Algorithm) -> sr.AlgorithmIdentification:
    return sr.AlgorithmIdentification(
        name="mriad",
        version=mriad.__version__,
        parameters=[f"{name}={value}" for name, value in algorithm.parameters.items()],
    )


def as_told(file: Path) -> dict[str, Any]:
    """What a report of mriad says.

    Returns:
        ``score``, ``decision``, ``count`` of lesions, ``ml`` of all of them, ``lesions``, those that it holds, and
        ``patient``, DICOM's PatientID.

    Raises:
        MriadError: if it is no such report.
    """
    try:
        whole = sr.srread(str(file))
        content: Any = whole.content
        scan = content.get_image_measurement_groups()[0]
        score, _, count, total = (measured.value for measured in scan.get_measurements())
        decision = scan.get_qualitative_evaluations()[0].value
        lesions = []
        for group in content.get_volumetric_roi_measurement_groups():
            ml, peak, mean, left, back, up = (measured.value for measured in group.get_measurements())
            lesions.append(Lesion(ml=ml, centre=(-left, -back, up), peak=peak, mean=mean))
    except (AttributeError, IndexError, TypeError, ValueError) as error:
        reason = " ".join(str(error).split()).rstrip(".")
        raise MriadError(
            f"The archive holds a report of mriad that cannot be read ({reason}); remove it there."
        ) from error
    return {
        "score": float(score),
        "decision": int(decision == terms.ANOMALOUS),
        "count": int(count),
        "ml": float(total),
        "patient": str(whole.get("PatientID") or "").strip(),
        "lesions": lesions,
    }
