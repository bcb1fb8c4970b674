"""What the first build of the cache costs: slices, masks, hashes and raw facts, beside decoding alone."""

from __future__ import annotations

from collections.abc import Iterator
from concurrent.futures import ThreadPoolExecutor
from pathlib import Path
from tempfile import TemporaryDirectory

import numpy as np
from hydra.utils import instantiate
from joblib import cpu_count
from PIL import Image

from benchmarks.bench import JPEG, Bench, composed
from benchmarks.table import Row, Target
from benchmarks.turns import alternate, ratio, side_by_side
from mriad.data.catalog import Catalog
from mriad.data.layouts.files import image_files
from mriad.data.preparing.cache import ScanCache

TARGET = Target(limit=3)


def measure(bench: Bench) -> Iterator[Row]:
    """Yield one line; every fourth file, unless at full size."""
    root = bench.jpegs()
    files = image_files(root)[:: 1 if bench.full else 4]
    scans = [
        {"path": str(file.relative_to(root)), "label": int(file.parent.name != "healthy")} for file in files
    ]  # fmt: skip
    preprocess = instantiate(composed("train").data.preprocess)

    def build() -> None:
        with TemporaryDirectory(dir=bench.folder) as folder:
            ScanCache.open(Catalog.from_records(scans, root=root).with_content(), preprocess, folder=Path(folder))

    def decode() -> None:
        with ThreadPoolExecutor(min(8, cpu_count())) as pool:
            for _ in pool.map(lambda file: np.asarray(Image.open(file).convert("L")), files):
                pass

    seconds = alternate({"build": build, "decode": decode})
    yield Row(
        work=f"first build of the cache, {len(files):,} JPEG of {JPEG['size']} px",
        against="decoding them at full size, in as many threads",
        value=ratio(seconds["build"], seconds["decode"]),
        unit="times as long",
        target=TARGET,
        how=side_by_side(seconds["build"], seconds["decode"]),
    )
