"""The checkpoint that a command names: by its path, or by the run that has made it."""

from __future__ import annotations

from pathlib import Path

from hydra.utils import instantiate
from omegaconf import DictConfig

from mriad.checkpoints.box import boxed
from mriad.checkpoints.checkpoint import Checkpoint
from mriad.errors import MriadError
from mriad.tracking.run import Run
from mriad.tracking.tracker import Tracker

RECALIBRATED = "recalibrated.ckpt"


def of_run(run: Run, folder: Path) -> Checkpoint:
    """The calibrated checkpoint of a run, fetched to ``folder`` if its store is not on this machine.

    That of an evaluation is the one that it has recalibrated.

    Raises:
        MriadError: if it has none.
    """
    if run.tags.get("kind") != "evaluation":
        return Checkpoint.load(run.download("checkpoint/best.ckpt", folder))
    if "calibrate" not in run.params:
        source = run.tags.get("source_run")
        raise MriadError(
            f"Run '{run.run_id}' is an evaluation and has no detector of its own"
            + (f"; give that of the training, run={source}." if source else "; give the checkpoint that it has tested.")
        )
    return Checkpoint.load(run.download(f"checkpoint/{RECALIBRATED}", folder))


def of_run_or_path(name: str, tracker: Tracker, folder: Path) -> Checkpoint:
    """A checkpoint by the id of its run, its name in the registry, or its path.

    Raises:
        MriadError: if there is nothing to be found.
    """
    path = Path(name).expanduser()
    if path.suffix == ".ckpt" or path.exists():
        return Checkpoint.load(path)
    return of_run(tracker.find(name), folder)


def named_checkpoint(
    cfg: DictConfig, tracker: Tracker | None, folder: Path, *, box: bool = False
) -> tuple[Checkpoint, Run | None]:
    """The checkpoint that ``run`` or ``checkpoint`` names, and its run where the store knows it.

    Args:
        cfg: options with ``run``, ``checkpoint`` and ``logger``.
        tracker: the store; None to open it only if a run is named.
        folder: where a checkpoint is fetched to that lies elsewhere.
        box: take the detector in the box where neither is named.

    Raises:
        MriadError: if neither or both are given, or there is nothing to be found.
    """
    if box and cfg.run is None and cfg.checkpoint is None:
        return Checkpoint.load(boxed()), None
    if (cfg.run is None) == (cfg.checkpoint is None):
        raise MriadError(
            "Say which detector: run=<MLflow run id of a training> or checkpoint=<path of its .ckpt file>."
        )
    if cfg.run is not None:
        tracker = tracker or instantiate(cfg.logger)
        run = tracker.find(str(cfg.run))
        return of_run(run, folder), run
    checkpoint = Checkpoint.load(Path(cfg.checkpoint).expanduser())
    if tracker is None or checkpoint.run_id is None:
        return checkpoint, None
    try:
        return checkpoint, tracker.find(checkpoint.run_id)
    except MriadError:  # a checkpoint may have travelled away from its store
        return checkpoint, None
