"""The three objects: a segmentation of the mask, a parametric map of the scores, a report of the measurements."""

from __future__ import annotations

import warnings
from copy import deepcopy
from io import BytesIO

import highdicom as hd
import numpy as np
from pydicom.dataset import Dataset
from pydicom.sr.codedict import codes

import mriad
from mriad.data.reading.scan import Scan
from mriad.errors import MriadError
from mriad.prediction.predictor import Prediction
from mriad.writing.dicom.algorithm import Algorithm
from mriad.writing.dicom.report import report
from mriad.writing.dicom.source import Source, positions_of
from mriad.writing.dicom.terms import NO_UNITS, SCORE
from mriad.writing.dicom.uids import Uids, result_uids, tracking_uid

_UTF8 = "ISO_IR 192"
_NUMBERS = 100  # results of the series 3 are the series 301, 302 and 303
_MOST = 2**31 // _NUMBERS - 1


def result_objects(scan: Scan, found: Prediction, algorithm: Algorithm) -> dict[str, Dataset]:
    """What a detector says of a DICOM series, as objects of the same study.

    Args:
        scan: the series, as ``read_scan`` gave it; the headers of its files are read again.

    Returns:
        ``seg``, one binary segment of all that lies above the pixel threshold, with a frame for each slice; ``map``,
        a parametric map, float32, as ``found.map``; ``sr``, a report (TID 1500) with the score, the decision and each
        lesion.

    Raises:
        MriadError: if the scan is no DICOM series, or its headers cannot be made objects of.
    """
    if not scan.slices:
        raise MriadError("it is no DICOM series, and DICOM objects belong to one")
    try:
        with warnings.catch_warnings():
            warnings.simplefilter("ignore")  # highdicom's of names and of its own future
            return _objects(scan, found, algorithm)
    except (AttributeError, ValueError, TypeError, KeyError) as error:
        reason = " ".join(str(error).split()).rstrip(".")
        raise MriadError(f"its DICOM headers cannot be made results of ({reason})") from error


def as_bytes(made: Dataset) -> bytes:
    """An object as a file."""
    content = BytesIO()
    made.save_as(content, enforce_file_format=True)
    return content.getvalue()


def _objects(scan: Scan, found: Prediction, algorithm: Algorithm) -> dict[str, Dataset]:
    source = Source.of(scan)
    sources, images = source.headers, [uid for uid, _ in source.images]
    uids = result_uids(sources[0].SeriesInstanceUID, images, detector=algorithm.identity)
    number = int(sources[0].get("SeriesNumber") or 0)
    number = _NUMBERS * number if 0 < number < _MOST else 90 * _NUMBERS
    seg = _segmentation(found, algorithm, sources, uids, number + 1)
    anomaly_map = _parametric_map(found, algorithm, sources, uids, number + 2)
    for made in (seg, anomaly_map):
        made.BodyPartExamined = "BRAIN"
        made.PositionReferenceIndicator = made.get("PositionReferenceIndicator", "")
        _name_frames(made, scan, source)
    told = report(
        found,
        algorithm,
        sources=sources,
        mask=seg,
        anomaly_map=anomaly_map,
        uids=uids,
        number=number + 3,
    )
    return {"seg": seg, "map": anomaly_map, "sr": told}


def _segmentation(
    found: Prediction, algorithm: Algorithm, sources: list[Dataset], uids: Uids, number: int
) -> hd.seg.Segmentation:
    by = hd.AlgorithmIdentificationSequence(
        name="mriad",
        family=codes.cid7162.ArtificialIntelligence,
        version=mriad.__version__,
        source="mriad",
        parameters=algorithm.parameters,
    )
    segment = hd.seg.SegmentDescription(
        segment_number=1,
        segment_label="Anomaly",
        segmented_property_category=codes.SCT.MorphologicallyAbnormalStructure,
        segmented_property_type=codes.SCT.Lesion,
        algorithm_type=hd.seg.SegmentAlgorithmTypeValues.AUTOMATIC,
        algorithm_identification=by,
        tracking_uid=tracking_uid(uids.mask, 0),
        tracking_id="mriad anomaly",
        anatomic_regions=[codes.SCT.Brain],
    )
    return hd.seg.Segmentation(
        source_images=sources,
        pixel_array=(found.map > algorithm.pixel_threshold).astype(np.uint8),
        segmentation_type=hd.seg.SegmentationTypeValues.BINARY,
        segment_descriptions=[segment],
        series_instance_uid=uids.series[0],
        series_number=number,
        sop_instance_uid=uids.mask,
        instance_number=1,
        content_label="ANOMALY",
        content_description=f"Anomaly map above {algorithm.pixel_threshold:.6g}",
        content_creator_name="mriad",
        omit_empty_frames=False,  # an empty mask is a finding as well, and each slice has its frame
        series_description="mriad anomaly mask",
        specific_character_set=_UTF8,
        **algorithm.equipment,
    )


def _parametric_map(
    found: Prediction, algorithm: Algorithm, sources: list[Dataset], uids: Uids, number: int
) -> hd.pm.ParametricMap:
    low, high = float(found.map.min()), float(found.map.max())
    mapping = hd.pm.RealWorldValueMapping(
        lut_label="anomaly",
        lut_explanation="Anomaly score, higher is stranger",
        unit=NO_UNITS,
        value_range=(low, high),
        slope=1.0,
        intercept=0.0,
        quantity_definition=SCORE,
    )
    width = 3 * algorithm.pixel_threshold if algorithm.pixel_threshold > 0 else max(high - low, 1.0)
    return hd.pm.ParametricMap(
        source_images=sources,
        pixel_array=found.map,
        series_instance_uid=uids.series[1],
        series_number=number,
        sop_instance_uid=uids.map,
        instance_number=1,
        contains_recognizable_visual_features=False,
        real_world_value_mappings=[mapping],
        voi_lut_transformations=[hd.VOILUTTransformation(window_center=width / 2, window_width=width)],
        content_label="ANOMALY_MAP",
        content_description="Anomaly map, higher is stranger",
        content_creator_name="mriad",
        series_description="mriad anomaly map",
        specific_character_set=_UTF8,
        **algorithm.equipment,
    )


def _name_frames(made: Dataset, scan: Scan, source: Source) -> None:
    """Say of each frame which image of which file it was made from: highdicom has counted those it was shown."""
    if source.images[0][1] is None:
        return
    frames = made.PerFrameFunctionalGroupsSequence
    places = np.array([frame.PlanePositionSequence[0].ImagePositionPatient for frame in frames], dtype=float)
    apart = np.linalg.norm(positions_of(scan.grid)[:, None] - places[None], axis=2)
    for (uid, number), frame in zip(source.images, apart.argmin(axis=1), strict=True):  # highdicom has an own order
        for derived in frames[int(frame)].DerivationImageSequence:
            for image in derived.SourceImageSequence:
                image.ReferencedSOPInstanceUID, image.ReferencedFrameNumber = uid, number
    listed = made.ReferencedSeriesSequence[0].ReferencedInstanceSequence
    for uid in dict.fromkeys(uid for uid, _ in source.images[1:]):
        if uid != listed[0].ReferencedSOPInstanceUID:
            other = deepcopy(listed[0])
            other.ReferencedSOPInstanceUID = uid
            listed.append(other)
