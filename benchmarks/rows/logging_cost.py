"""What logging costs: an epoch that is logged to a store beside one that is not.

``--tracking-uri http://127.0.0.1:5000`` measures a server instead of a fresh SQLite file.
"""

from __future__ import annotations

import time
from collections.abc import Iterator
from statistics import median

import torch
from hydra.utils import instantiate
from lightning import LightningModule, Trainer
from omegaconf import DictConfig

from benchmarks.bench import Bench, composed
from benchmarks.clocks import EpochStarts
from benchmarks.table import Row
from benchmarks.turns import TURNS, ratio, side_by_side
from mriad.data.datamodule import MRIDataModule
from mriad.experiment.data import load_data
from mriad.processes.hardware import choose_open_options
from mriad.tracking.epochs import EpochLogger
from mriad.tracking.run import Run
from mriad.tracking.tracker import Tracker

STEPS = 8


class Timed(EpochLogger):
    """Keeps the seconds that each call of the store took."""

    def __init__(self, *, run: Run) -> None:
        super().__init__(run=run)
        self.seconds: list[float] = []

    def log_metrics(self, metrics: dict[str, float], step: int | None = None) -> None:
        """Log an epoch's metrics."""
        start = time.perf_counter()
        super().log_metrics(metrics, step)
        self.seconds.append(time.perf_counter() - start)


def measure(bench: Bench) -> Iterator[Row]:
    """Yield one line."""
    cfg = composed("train", "data=folder", f"data.root={bench.to_train_on()[0]}", f"data.cache_dir={bench.cache}")
    choose_open_options(cfg)
    datamodule = load_data(cfg.data, roles=("train", "val"))
    torch.manual_seed(cfg.seed)
    detector = instantiate(cfg.model)
    uri = bench.tracking_uri or f"sqlite:///{bench.folder}/logging_cost.db"
    tracker = Tracker(tracking_uri=uri, experiment="logging cost")
    with tracker.run(name="logging cost", tags={"output_dir": str(bench.folder)}) as run:
        logger = Timed(run=run)
        epoch(cfg, logger, detector, datamodule)  # the first is slower, whatever it does
        logger.seconds.clear()
        turns = [[epoch(cfg, kind, detector, datamodule) for kind in (False, logger)] for _ in range(TURNS)]
    silent, logged = (list(column) for column in zip(*turns, strict=True))
    calls = median(logger.seconds) * len(logger.seconds) / (2 * TURNS)
    yield Row(
        work=f"an epoch of ae, {STEPS} steps and validation, logged to {uri.split('://')[0]}",
        against="the same, not logged",
        value=ratio(logged, silent),
        unit="times as long",
        how=f"{side_by_side(logged, silent)}; the calls of the store take {1000 * calls:.0f} ms an epoch",
    )


def epoch(cfg: DictConfig, logger: Timed | bool, detector: LightningModule, datamodule: MRIDataModule) -> float:
    """Seconds from the start of one epoch to that of the next: training, validation, logging."""
    clock = EpochStarts()
    trainer: Trainer = instantiate(
        cfg.trainer,
        callbacks=[clock],
        logger=logger,
        max_epochs=2,
        limit_train_batches=STEPS,
        enable_progress_bar=False,
        enable_checkpointing=False,
    )
    trainer.fit(detector, datamodule)
    return clock.seconds[1] - clock.seconds[0]
