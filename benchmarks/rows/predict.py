"""What scoring a folder costs beside the two things that nobody can leave out: decoding and the network."""

from __future__ import annotations

import os
import shutil
from collections.abc import Callable, Iterator
from concurrent.futures import ThreadPoolExecutor
from pathlib import Path

import numpy as np
import torch
from hydra.core.hydra_config import HydraConfig
from joblib import cpu_count
from omegaconf import open_dict
from PIL import Image

from benchmarks import heads
from benchmarks.bench import JPEG, Bench, composed, quiet
from benchmarks.table import Row, Target
from benchmarks.turns import alternate, ratio, side_by_side
from mriad.checkpoints.checkpoint import Checkpoint
from mriad.data.layouts.files import image_files
from mriad.models import Autoencoder
from mriad.tasks.predict import predict

TARGET = Target(limit=1.3)


def measure(bench: Bench) -> Iterator[Row]:
    """Yield one line; every fourth file, unless at full size."""
    checkpoint = _trained(bench)
    files = image_files(bench.jpegs())[:: 1 if bench.full else 4]
    folder = _links(bench, files)
    seconds = alternate({"mriad": _scoring(bench, checkpoint, folder), "bare": _bare(checkpoint, files)})
    yield Row(
        work=f"scoring a folder of {len(files):,} JPEG of {JPEG['size']} px with ae, files to CSV, no maps",
        against="decoding alone and the bare forward pass, same threads",
        value=ratio(seconds["mriad"], seconds["bare"]),
        unit="times as long",
        target=TARGET,
        how=side_by_side(seconds["mriad"], seconds["bare"]),
    )


def _trained(bench: Bench) -> Path:
    """Checkpoint of a detector that has hardly learned anything, which its speed does not show."""
    scans = heads.write(bench.folder / "few", healthy=60, anomalous=40, size=128)
    run = bench.folder / "trained"
    bench.train(
        "model=ae", "data=folder", f"data.root={scans}", "trainer.max_epochs=1", "logger.log_model=false",
        f"hydra.run.dir={run}",
    )  # fmt: skip
    return run / "best.ckpt"


def _links(bench: Bench, files: list[Path]) -> Path:
    folder = bench.folder / "to_score"
    shutil.rmtree(folder, ignore_errors=True)
    folder.mkdir()
    for file in files:
        os.link(file, folder / file.name)
    return folder


def _scoring(bench: Bench, checkpoint: Path, folder: Path) -> Callable[[], None]:
    options = (f"checkpoint={checkpoint}", f"input={folder}", f"output={bench.folder / 'predictions'}")
    cfg = composed("predict", *options, f"hydra.runtime.output_dir={bench.folder}", hydra=True)
    HydraConfig.instance().set_config(cfg)
    with open_dict(cfg):
        del cfg["hydra"]

    def score() -> None:
        with quiet():
            predict(cfg)

    return score


def _bare(checkpoint: Path, files: list[Path]) -> Callable[[], None]:
    cfg = composed("predict")
    detector = Checkpoint.load(checkpoint).detector()
    assert isinstance(detector, Autoencoder)
    x = torch.rand(cfg.batch_size, 1, 128, 128)

    def decode(file: Path) -> np.ndarray:
        return np.asarray(Image.open(file).convert("L"))

    @torch.inference_mode()
    def work() -> None:
        with ThreadPoolExecutor(cpu_count()) as pool:
            for start in range(0, len(files), len(x)):
                batch = files[start : start + len(x)]
                list(pool.map(decode, batch))
                detector.network(x[: len(batch)])

    return work
