"""How the cost of an epoch, of a split and of near-duplicate grouping grows with the number of scans."""

from __future__ import annotations

import time
from collections.abc import Callable, Iterator
from functools import partial
from pathlib import Path
from statistics import median
from tempfile import TemporaryDirectory

import numpy as np
import pandas as pd
from hydra.utils import instantiate
from lightning import Trainer
from numpy.typing import NDArray

from benchmarks import heads
from benchmarks.bench import Bench, composed
from benchmarks.clocks import EpochStarts
from benchmarks.table import Row, Target
from benchmarks.turns import exponent, growing, repeat
from mriad.data.batches import ScanDataset
from mriad.data.preparing.cache import ScanCache
from mriad.data.roles.grouping import groups
from mriad.data.roles.splits import GroupedSplit
from mriad.data.training.datasets import TrainDataset
from mriad.data.training.loading import loader
from mriad.data.training.samples import Samples
from mriad.processes.hardware import choose_open_options

TARGET = Target(limit=1.1)
SIZES = (1_000, 10_000, 100_000)
BUDGET = 30  # seconds that a size may be expected to take, unless at full size
LEFT_OUT = "; larger ones with --full"
TINY = ("model=vae", "model.network.widths=[4,4,4,4]", "model.network.latent_dim=4", "score=mse")


def measure(bench: Bench) -> Iterator[Row]:
    """Yield one line each; a size that would take minutes is left out, unless at full size."""
    split, group = GroupedSplit(group="patient"), partial(groups, grouping="auto")
    with TemporaryDirectory(dir=bench.folder) as folder:
        works: dict[str, Callable[[int], float]] = {
            "an epoch of a tiny vae through Lightning, 128 px": lambda count: epoch(slices(Path(folder), count)),
            "drawing the roles, patients known": lambda count: _median(split, scans(count, per_patient=5)),
            "near-duplicate grouping": lambda count: _median(group, scans(count)),
        }
        epoch(slices(Path(folder), 64))  # the first is slower, whatever it does
        for work, seconds in works.items():
            points = list(growing(seconds, SIZES, budget=float("inf") if bench.full else BUDGET))
            yield Row(
                work=f"{work}: {', '.join(f'{size:,}' for size, _ in points)} scans",
                value=exponent(points),
                unit="as exponent",
                target=TARGET,
                how=", ".join(f"{cost:.3g} s" for _, cost in points) + ("" if len(points) == len(SIZES) else LEFT_OUT),
            )


def epoch(cache: ScanCache) -> float:
    """Seconds of an epoch with validation on a tenth of the slices, without what comes before its first step."""
    cfg = composed("train", *TINY)
    choose_open_options(cfg)
    rows, labels = np.arange(len(cache.images)), np.zeros(len(cache.images), dtype=np.int64)
    val = len(rows) // 10
    options = {"batch_size": cfg.data.batch_size, "num_workers": cfg.data.num_workers}
    clock = EpochStarts()
    trainer: Trainer = instantiate(
        cfg.trainer, callbacks=[clock], logger=False, max_epochs=1, enable_checkpointing=False,
        enable_progress_bar=False,
    )  # fmt: skip
    trainer.fit(
        instantiate(cfg.model),
        loader(TrainDataset(samples=Samples(cache=cache, rows=rows[val:]), labels=labels), shuffle=True, **options),
        loader(ScanDataset(scans=cache, labels=labels, rows=rows[:val]), **options),
    )
    return time.perf_counter() - clock.seconds[0]


def slices(folder: Path, count: int, *, size: int = 128) -> ScanCache:
    """A cache of so many slices, made of a few heads: what they show does not matter here."""
    file = folder / f"{count}.npy"
    images = np.lib.format.open_memmap(file, mode="w+", dtype=np.uint8, shape=(count, size, size))
    few = np.stack([heads.head(seed, size=size) for seed in range(16)])
    for start in range(0, count, len(few)):
        images[start : start + len(few)] = few[: count - start]
    images.flush()
    facts = pd.DataFrame({"mask_index": -1, "frame_height": size, "frame_width": size, "image_size": size,
                          "spacing": None}, index=range(count))  # fmt: skip
    none = np.zeros((0, size, size), dtype=np.uint8)
    return ScanCache(images=np.load(file, mmap_mode="r"), masks=none, thumbnails=none, facts=facts)


def scans(count: int, *, per_patient: int = 0) -> pd.DataFrame:
    """A catalog with hashes: brains differ in about 110 of 256 bits, as real ones do, and a tenth are near copies.

    Args:
        count: number of scans.
        per_patient: scans of each patient; 0 where patients are not known.
    """
    rng = np.random.default_rng(0)
    packed = {name: _hashes(rng, count) for name in ("phash", "phash_head")}
    return pd.DataFrame(
        {
            "path": [f"{row}.png" for row in range(count)],
            "label": (rng.random(count) < 0.2).astype(int),
            "patient": [f"p{row // per_patient}" if per_patient else "" for row in range(count)],
            "pool": "",
            "plane": "",
            "contrast": "",
            **packed,
        }
    ).assign(**{"class": lambda table: np.where(table["label"] == 0, "healthy", "tumour"), "mask": ""})


def _hashes(rng: np.random.Generator, count: int) -> list[str]:
    bits: NDArray[np.bool_] = (rng.random(256) < 0.5) ^ (rng.random((count, 256), dtype=np.float32) < 0.31)
    copies = np.arange(9, count, 10)
    bits[copies] = bits[copies - 1] ^ (rng.random((len(copies), 256)) < 0.01)
    return [row.tobytes().hex() for row in np.packbits(bits, axis=1)]


def _median(work: Callable[[pd.DataFrame], object], table: pd.DataFrame) -> float:
    return median(repeat(lambda: work(table), budget=10))
