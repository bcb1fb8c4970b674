"""Maps and masks as derivatives of a BIDS data set (its specification, 1.10, "Imaging data types")."""

from __future__ import annotations

import json
from importlib import metadata
from pathlib import Path, PurePosixPath

from mriad.data.layouts.bids_names import OWN
from mriad.data.reading.suffixes import stem

_VERSION = "1.10.0"
_LESION = "L"  # the specification's label for it


def derivative(scan: PurePosixPath, suffix: str) -> PurePosixPath:
    """Where the derivative of a scan lies, without its ending: ``sub-1/anat/sub-1_space-T1w_label-L_desc-mriad_mask``.

    A name has the scan's entities but not its suffix, so that the space says which of a session's scans it lies on.

    Args:
        scan: path below the root of its data set.
        suffix: what it is: 'probseg' where all values lie from 0 to 1, 'mask', or 'map'.
    """
    source, _, contrast = stem(str(scan)).rpartition("_")
    place = "" if "_space-" in source else f"_space-{contrast}"
    return scan.with_name(f"{source}{place}_label-{_LESION}_desc-{OWN}_{suffix}")


def sidecar(scan: PurePosixPath, *, level: float | None) -> bytes:
    """The JSON beside a derivative.

    Args:
        scan: as above.
        level: map value above which the voxels of a mask lie; None for a map.
    """
    source = f"bids:raw:{scan}"
    said: dict[str, object] = {"Sources": [source], "SpatialReference": source, "Resolution": "that of the scan"}
    if level is None:
        said["Description"] = "Anomaly map: the higher, the less like the healthy scans that the detector learned from."
    else:
        said |= {"Type": "Lesion", "Description": f"Voxels whose anomaly map lies above {level:.6g}."}
    return _as_json(said)


def description(root: Path) -> bytes:
    """``dataset_description.json`` of a folder of derivatives of the data set below ``root``."""
    return _as_json(
        {
            "Name": "Anomaly maps",
            "BIDSVersion": _VERSION,
            "DatasetType": "derivative",
            "GeneratedBy": [{"Name": OWN, "Version": metadata.version(OWN)}],
            "SourceDatasets": [{"URL": root.absolute().as_uri()}],
            "DatasetLinks": {"raw": root.absolute().as_uri()},
        }
    )


def _as_json(content: object) -> bytes:
    return (json.dumps(content, indent=2) + "\n").encode()
