"""How many spots in healthy white matter a detector of volumes finds, by their size and contrast.

    python -m benchmarks.spots best.ckpt healthy_t1.nii.gz ...

Balls that are darker or brighter than what was there are put into white matter of T1-weighted scans that the detector
has not trained on, some at once and apart from each other; one is found where the map reaches the pixel threshold in
it. An eye sees nearly all of them.
"""

from __future__ import annotations

import sys
from collections.abc import Iterator
from pathlib import Path

import numpy as np
import torch
from numpy.typing import NDArray
from rich.console import Console
from rich.table import Table
from scipy import ndimage

from mriad.checkpoints.checkpoint import Checkpoint
from mriad.data.batches import as_scans
from mriad.data.reading.read import read_scan
from mriad.data.training.simulation.tissues import TissueMap
from mriad.prediction.predictor import Predictor, Prepared

DIAMETERS = (4.0, 6.0, 10.0, 14.0)  # mm
CHANGES = (-0.4, -0.25, 0.25, 0.4)  # of the signal
SPOTS = 10  # in a scan at once
APART = 20.0  # mm from one to the next
_MARGIN = 3  # voxels of white matter around the middle of a spot


def main() -> None:
    """Print what share of the spots is found."""
    checkpoint, *files = sys.argv[1:]
    predictor = Predictor(checkpoint=Checkpoint.load(Path(checkpoint)))
    scans = [predictor.prepare(read_scan(Path(file))) for file in files]
    table = Table("diameter", *(f"{change:+.0%}" for change in CHANGES))
    for diameter in DIAMETERS:
        cells = []
        for change in CHANGES:
            found = [hit for scan in scans for hit in _found(predictor, scan, diameter, change)]
            cells.append(f"{np.mean(found):.2f} of {len(found)}")
        table.add_row(f"{diameter:g} mm", *cells)
    Console().print(table)


def _found(predictor: Predictor, scan: Prepared, diameter: float, change: float) -> Iterator[bool]:
    volume, spacing = scan.image, predictor.working_spacing
    image, spots = volume.astype(np.float32), []
    places = np.moveaxis(np.indices(volume.shape), 0, -1)
    for centre in _centres(volume, spacing):
        away = np.linalg.norm(places - centre, axis=-1)
        cover = np.clip(0.5 + diameter / 2 / spacing - away, 0, 1)
        image += cover * (np.median(volume[away < _MARGIN]) * (1 + change) - image)
        spots.append(cover > 0.5)
    anomaly_map = _map(predictor, np.clip(np.round(image), 0, 255).astype(np.uint8), scan.voxel_size)
    level = predictor.calibration.pixel_threshold
    return (bool((anomaly_map[spot] > level).any()) for spot in spots)


def _centres(volume: NDArray[np.uint8], spacing: float) -> list[NDArray[np.int_]]:
    tissues = TissueMap(volume, spacing=spacing)
    white = np.concatenate([tissues.slab(volume, "axial", place, 0).white for place in range(len(volume))]) > 0.5
    free = np.argwhere(ndimage.binary_erosion(white, iterations=_MARGIN))
    chosen: list[NDArray[np.int_]] = []
    for place in np.random.default_rng(0).permutation(free):
        if all(np.linalg.norm(place - other) * spacing > APART for other in chosen) and len(chosen) < SPOTS:
            chosen.append(place)
    return chosen


def _map(predictor: Predictor, volume: NDArray[np.uint8], voxel_size: float) -> NDArray[np.float32]:
    detector = predictor._detector
    batch = as_scans(volume[None], np.array([voxel_size], dtype=np.float32))
    with torch.inference_mode():
        x = batch["image"].float()
        mask = detector.score.mask(x)
        return detector.masked_map(x, mask, batch["pixel_area"])[0, 0].numpy()


if __name__ == "__main__":
    main()
