"""What stands round a graph, as plain values for JSON."""

from __future__ import annotations

from typing import Any

from mriad.checkpoints.checkpoint import Checkpoint
from mriad.export.graph import Sample
from mriad.export.preparation import NEEDS, PREPARATION

_OF_PICTURES = (
    "Cut to the bounding box of the head (crop=head); scale: clip((x - p_low) / (p_high - p_low), 0, 1), percentiles "
    "over the head or all, times 255, rounded to uint8; pad to a square with the least level (shape=pad), half of it "
    "on each side; resize bilinearly, antialiased (Pillow), to image_size."
)
_OF_VOLUMES = (
    "Turn the axes to superior, posterior, left; cut to the head; scale: clip((x - low) / (high - low), 0, 1), low a "
    "percentile of the head, high one of the deep brain; resample linearly, antialiased, to (depth, image_size, "
    "image_size) cubes of spacing mm, the head in the middle and at the top, with larger cubes if it is larger; times "
    "255, rounded to uint8."
)


def described(checkpoint: Checkpoint, *, version: str, file: str, sample: Sample, factor: int | None) -> dict[str, Any]:
    """All that a program needs to know of a graph.

    Args:
        checkpoint: where the graph comes from.
        version: of mriad.
        file: the graph's.
        sample: what it was held against mriad with.
        factor: what height and width of a picture must be multiples of; None where they are fixed.
    """
    calibration = checkpoint.require_calibration()
    preparation = checkpoint.preprocess()
    spatial = list(preparation.spatial)
    of_volumes = len(spatial) == 3
    options = {name: value for name, value in checkpoint.config.data.preprocess.items() if name != "_target_"}
    shape = ["batch", *spatial] if factor is None else ["batch", f"multiple of {factor}", f"multiple of {factor}"]
    inputs = {"image": "prepared scans, 0 to 255"}
    if sample.brain is not None:
        inputs["brain"] = "1 where the brain of a prepared scan lies, else 0"
    return {
        "mriad": version,
        "detector": checkpoint.config.model._target_,
        "run_id": checkpoint.run_id,
        "graph": {
            "file": file,
            "inputs": {name: {"type": "uint8", "shape": shape, "what": what} for name, what in inputs.items()},
            "outputs": {
                "map": {"type": "float32", "shape": shape, "what": "the higher, the stranger; as mriad's maps are"},
                "score": {"type": "float32", "shape": ["batch"], "what": "anomaly score of each scan"},
            },
        },
        "threshold": calibration.threshold,
        "threshold_rule": calibration.rule,
        "unit": "scan",
        "decision": "anomalous where score > threshold",
        "pixel_threshold": calibration.pixel_threshold,
        "preparation": {
            "of": "volumes" if of_volumes else "pictures",
            "steps": _OF_VOLUMES if of_volumes else _OF_PICTURES,
            "options": options,
            "code": PREPARATION,
            "needs": list(NEEDS),
        },
        "trained": checkpoint.trained,
    }
