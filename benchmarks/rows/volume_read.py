"""What reading and preparing a volume costs beside reading it and resampling it once, and no more."""

from __future__ import annotations

import time
from collections.abc import Iterator

import nibabel
import numpy as np
from hydra.utils import instantiate
from scipy import ndimage
from threadpoolctl import threadpool_limits

from benchmarks import volumes
from benchmarks.bench import Bench, composed
from benchmarks.table import Row, Target
from benchmarks.turns import alternate, ratio, side_by_side
from mriad.data.preparing.volumes import PrepareVolume
from mriad.data.reading.read import read_scan

TARGET = Target(limit=1.5)
_TURNS = 9


def measure(bench: Bench) -> Iterator[Row]:
    """Yield one line."""
    file = volumes.t1_of_1_mm(bench.folder)
    preparation: PrepareVolume = instantiate(composed("train", "data=volumes").data.preprocess)
    scan = read_scan(file)
    _, geometry = preparation(scan)
    change = scan.grid.index_map(geometry.working)

    def ours() -> None:
        preparation(read_scan(file))

    def library() -> None:
        levels = nibabel.load(file).get_fdata(dtype=np.float32)  # type: ignore[attr-defined]
        ndimage.affine_transform(
            levels, change[:3, :3], change[:3, 3], output_shape=geometry.working.shape, order=1, prefilter=False
        )

    with threadpool_limits(1):  # as SciPy works, and as scans are prepared: side by side
        seconds = alternate({"mriad": ours, "library": library}, turns=_TURNS, clock=time.process_time)
    yield Row(
        work=f"reading and preparing a T1 of 1 mm, {' x '.join(map(str, volumes.SHAPE))}, .nii.gz",
        against="nibabel's read and one linear resampling by SciPy to the same grid",
        value=ratio(seconds["mriad"], seconds["library"]),
        unit="times as long",
        target=TARGET,
        how=f"{side_by_side(seconds['mriad'], seconds['library'])}, of the processor, one thread",
    )
