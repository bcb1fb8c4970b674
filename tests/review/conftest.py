"""Pages that are written without a detector: scans and maps of which every voxel is known."""

import threading
from contextlib import contextmanager
from pathlib import Path
from types import SimpleNamespace

import numpy as np
import pandas as pd
import pytest
from volumes import oblique

from mriad.data.reading.scan import Facts, Scan
from mriad.geometry import Grid
from mriad.prediction.scan_files import ScanFile
from mriad.review.folder import ReviewFolder
from mriad.review.server import ReviewServer
from mriad.thresholds import Calibration

LEVEL = 0.5
INNER = (slice(6, 9), slice(4, 8), slice(3, 6))
OUTER = (slice(4, 11), slice(3, 9), slice(2, 8))


def calibration(**more):
    val_scores = pd.DataFrame({"group": [*"abc"], "label": [0, 0, 1], "score": [0.1, 0.2, 0.9]})
    known = {
        "rule": "youden",
        "threshold": 0.4,
        "pixel_threshold": LEVEL,
        "val_scores": val_scores,
        "lesion_level": 0.8,
    }
    known["healthy_components"] = ((0.9, 0.0), (0.8, 0.5), (0.4, 2.0), (0.2, 6.0))
    return Calibration(**known | more)


def nested(grid=None):
    """A volume that is dark, brighter in a box, and bright in a box in that, notches out of each; a map alike."""
    grid = grid or oblique()
    levels = np.full(grid.shape, 20, dtype=np.uint8)
    anomaly_map = np.full(grid.shape, 0.1, dtype=np.float32)
    for box, gray, value in ((OUTER, 110, 0.6), (INNER, 220, 0.9)):
        levels[box], anomaly_map[box] = gray, value
    for notch in ((7, 3, 2), (4, 5, 2), (4, 3, 4)):  # one corner of each slice through the peak: no turn hides itself
        levels[notch], anomaly_map[notch] = 20, 0.1
    for notch in ((7, 4, 3), (6, 5, 3), (6, 4, 4)):
        levels[notch], anomaly_map[notch] = 110, 0.6
    anomaly_map[7, 5, 4] = 0.95
    anomaly_map[0, 0, 9] = 0.7  # a lesion of one voxel, far away
    return Scan(levels=levels, grid=grid, facts=Facts(format="NIfTI-1")), anomaly_map


def picture():
    levels = np.tile(np.arange(40, dtype=np.uint8), (30, 1))
    anomaly_map = np.zeros((30, 40), dtype=np.float32)
    anomaly_map[5:9, 20:30], anomaly_map[20, 3] = 0.7, 0.6
    return Scan.of_picture(levels, facts=Facts(format="PNG")), anomaly_map


def write_page(output: Path, scans, *, model="", run="", **more) -> Path:
    """A page of (path, scan, map, row, what is known of the file)."""
    with ReviewFolder(output, calibration=calibration(**more), model=model, run=run) as page:
        for path, scan, anomaly_map, row, known in scans:
            page.add(ScanFile(path=Path(path), **known), scan, anomaly_map, row)
    return page.folder


def scored(score, **more):
    return {"score": score, "decision": int(score > 0.4), "error": ""} | more


@pytest.fixture
def page(tmp_path):
    """Two volumes of a session, a picture, and a scan that could not be read."""
    flair = oblique(shape=(9, 12, 10), spacing=(1.4, 1.1, 2.5), mirrored=False)
    return write_page(
        tmp_path / "out",
        [
            ("p1_T1.nii.gz", *nested(), scored(0.9), {"contrast": "T1"}),
            ("p1_FLAIR.nii.gz", *flat(flair), scored(0.3), {"contrast": "FLAIR"}),
            ("b.png", *picture(), scored(0.5), {}),
            ("broken.nii", None, None, {"error": "it is broken"}, {}),
        ],
    )


def flat(grid: Grid):
    levels = np.random.default_rng(0).integers(0, 900, grid.shape).astype(np.int16)
    return Scan(levels=levels, grid=grid, facts=Facts(format="NIfTI-1")), np.zeros(grid.shape, dtype=np.float32)


@contextmanager
def served(folder, reader="anna"):
    server = ReviewServer(folder, port=0, reader=reader)
    thread = threading.Thread(target=server.serve_forever, daemon=True)
    thread.start()
    try:
        yield SimpleNamespace(address=server.address, port=server.server_port, marks=server.marks)
    finally:
        server.shutdown()
        server.server_close()
        thread.join()
