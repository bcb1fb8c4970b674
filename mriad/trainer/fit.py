"""Train a detector: Lightning's fit for what has a loss, one pass for what has not."""

from __future__ import annotations

import sys
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path

import torch
from hydra.utils import instantiate
from lightning import Trainer
from lightning.pytorch.callbacks import Callback, ProgressBar
from omegaconf import DictConfig

from mriad.callbacks import EpochLines, RandomStreams
from mriad.checkpoints.checkpoint import load_weights
from mriad.checkpoints.whole_files import WholeFiles
from mriad.data.datamodule import MRIDataModule
from mriad.invocation import typed
from mriad.models import Detector, FittedDetector
from mriad.processes.hardware import compiled
from mriad.tracking.epochs import EpochLogger
from mriad.tracking.run import Run


def fit(
    detector: Detector, datamodule: MRIDataModule, cfg: DictConfig, *, run: Run, folder: Path, start: Path | None
) -> tuple[Path, int]:
    """Train a detector, which has its best weights then.

    Args:
        detector: what is trained.
        datamodule: its scans.
        cfg: the options of the training.
        run: gets the metrics of each epoch.
        folder: of the job.
        start: checkpoint to go on from; None for a new training.

    Returns:
        Path of the calibrated checkpoint to be, and the last epoch, counted from 0.
    """
    called = callbacks(cfg)
    bar = any(isinstance(callback, ProgressBar) for callback in called)  # Lightning would add one of its own
    logger = EpochLogger(run=run)
    trainer: Trainer = instantiate(cfg.trainer, callbacks=called, logger=logger, enable_progress_bar=bar)
    trainer.strategy.checkpoint_io = WholeFiles()
    if isinstance(detector, FittedDetector):
        detector.fit_healthy(datamodule.fit_dataloader())
        return folder / "best.ckpt", 0
    with _stoppable(run, _last_checkpoint(cfg)), compiled(detector, cfg.compile):
        trainer.fit(detector, datamodule, ckpt_path=start, weights_only=True)
    return restore_best(trainer, detector, folder), max(trainer.current_epoch - 1, 0)


def callbacks(cfg: DictConfig) -> list[Callback]:
    """The callbacks of a training: its random streams, and the options' in their order.

    No progress bar where the trainer shall have none, and a line per epoch where nobody would see it move.
    """
    wanted = {name: callback for name, callback in cfg.callbacks.items() if callback}
    progress = wanted.pop("progress", None)
    found: list[Callback] = [RandomStreams(seed=cfg.seed), *map(instantiate, wanted.values())]
    if progress and cfg.trainer.enable_progress_bar:
        found.append(instantiate(progress) if sys.stdout.isatty() else EpochLines())
    return found


def _last_checkpoint(cfg: DictConfig) -> Path | None:
    """Where a training keeps what it can go on from; None if it keeps nothing."""
    last = cfg.callbacks.get("last")
    return Path(last.dirpath) / "last.ckpt" if last else None


@contextmanager
def _stoppable(run: Run, last: Path | None) -> Iterator[None]:
    """Let Ctrl-C inside Lightning arrive as the KeyboardInterrupt that it was, with advice how to go on.

    Args:
        run: the run that is stopped.
        last: checkpoint that it can go on from, if it has been written; None if it never is.
    """
    try:
        yield
    except SystemExit as stop:
        if isinstance(stop.__context__, KeyboardInterrupt):
            can_go_on = last is not None and last.exists()
            raise KeyboardInterrupt(
                f"go on with: {typed('train')} resume={run.run_id}" if can_go_on else "nothing was kept to go on from."
            ) from None
        raise


def restore_best(trainer: Trainer, detector: Detector, folder: Path) -> Path:
    """Load the best weights of a training into the detector, where its checkpoints were chosen by a metric.

    Returns:
        Path of the checkpoint to be: the best one, or ``folder``/best.ckpt if none was chosen.
    """
    chosen = trainer.checkpoint_callback
    # of what a resumed training was told, the name alone counts: its folder is where it goes on
    name = Path(getattr(chosen, "best_model_path", "")).name or "best.ckpt"
    best = Path(getattr(chosen, "dirpath", None) or folder) / name
    if getattr(chosen, "monitor", None) is not None and best.exists():
        load_weights(detector, torch.load(best, map_location="cpu", weights_only=True)["state_dict"], best)
    return best
