"""What every task does before its own work."""

from __future__ import annotations

import logging
import sys
import warnings
from collections.abc import Callable, Iterator, Sequence
from contextlib import contextmanager
from pathlib import Path
from typing import Any, cast

import torch
from hydra.core.hydra_config import HydraConfig
from hydra.utils import instantiate
from lightning.pytorch.callbacks import Callback
from omegaconf import DictConfig, OmegaConf

from mriad.callbacks import EpochLines, RandomStreams
from mriad.checkpoints.checkpoint import Checkpoint
from mriad.data.datamodule import MRIDataModule
from mriad.data.roles.splits import Split
from mriad.errors import MriadError
from mriad.experiment.kinds import require_kinds
from mriad.invocation import typed
from mriad.processes.devices import announce
from mriad.ranks import is_first
from mriad.tracking.run import Run, Tracker

_NUMBERS = {
    "seed": 0,
    "threads": 1,
    "batch_size": 1,
    "trainer.max_epochs": 1,
    "data.batch_size": 1,
    "data.image_size": 8,
    "data.num_workers": 0,
}


def prepare(cfg: DictConfig) -> Path:
    """Set threads and log levels.

    Returns:
        The folder that this job writes to.

    Raises:
        MriadError: if an option that needs a value has none, or a number is out of range.
    """
    if missing := OmegaConf.missing_keys(cfg):
        option = min(missing, key=len)
        raise MriadError(f"The option {option} has no value; set it, as in {option}=...")
    for option, least in _NUMBERS.items():
        value = OmegaConf.select(cfg, option)
        whole = isinstance(value, int) and not isinstance(value, bool)
        if value is not None and not (whole and least <= value < 2**32):
            raise MriadError(f"{option}={value} is no whole number from {least} up; give one.")
    require_kinds(cfg)
    if cfg.threads is not None:
        torch.set_num_threads(cfg.threads)
    for name in ("lightning.pytorch", "lightning.fabric", "pytorch_lightning"):
        logging.getLogger(name).setLevel(logging.WARNING)
    logging.getLogger("lightning").handlers.clear()  # Hydra's tell it too
    if OmegaConf.select(cfg, "trainer.profiler"):
        logging.getLogger("lightning.pytorch.profilers").setLevel(logging.INFO)  # what it found is logged at the end
    for text in (
        ".*does not have many workers.*",
        ".*LeafSpec.*",
        ".*exists and is not empty.*",
        ".*`srun` command is available.*",
        r".*module\(s\) in eval mode.*",  # a frozen encoder stays in it
    ):
        warnings.filterwarnings("ignore", message=text)
    return Path(HydraConfig.get().runtime.output_dir)


def connect(cfg: DictConfig) -> Tracker:
    """The tracking store that the options name."""
    return instantiate(cfg.logger)


@contextmanager
def opened(tracker: Tracker, **options: Any) -> Iterator[Run]:
    """The run of a task, see ``Tracker.run``; in a process other than rank 0 one that is told all and keeps nothing."""
    if not is_first():
        yield cast(Run, _Deaf())
        return
    with tracker.run(**options) as run:
        announce(run.run_id)
        yield run


class _Deaf:
    """In the place of a run where rank 0 has the real one."""

    run_id = experiment_id = uri = ""

    def __getattr__(self, name: str) -> Callable[..., None]:
        return lambda *_, **__: None


def trained(cfg: DictConfig, tracker: Tracker | None, folder: Path) -> tuple[Checkpoint, Run | None]:
    """The checkpoint that ``run`` or ``checkpoint`` names, and its run where the store knows it.

    Raises:
        MriadError: if neither or both are given, or there is nothing to be found.
    """
    if (cfg.run is None) == (cfg.checkpoint is None):
        raise MriadError(
            "Say which detector: run=<MLflow run id of a training> or checkpoint=<path of its .ckpt file>."
        )
    if cfg.run is not None:
        tracker = tracker or connect(cfg)
        run = tracker.find(str(cfg.run))
        return Checkpoint.load(run.download("checkpoint/best.ckpt", folder)), run
    checkpoint = Checkpoint.load(Path(cfg.checkpoint).expanduser())
    if tracker is None or checkpoint.run_id is None:
        return checkpoint, None
    try:
        return checkpoint, tracker.find(checkpoint.run_id)
    except MriadError:  # a checkpoint may have travelled away from its store
        return checkpoint, None


def load_data(config: DictConfig, *, roles: Sequence[str], split: Split | None = None) -> MRIDataModule:
    """The data module, ready, with scans in each of ``roles`` (healthy ones in train and val).

    Args:
        config: the options ``data``.
        roles: what must not be empty.
        split: instead of the one in ``config``.

    Raises:
        MriadError: if the data cannot be read, or a role is empty.
    """
    datamodule: MRIDataModule = instantiate(config)
    if split is not None:
        datamodule.split = split
    datamodule.setup()
    for role in roles:
        datamodule.require(role, label=None if role == "test" else 0)
    return datamodule


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


def last_checkpoint(cfg: DictConfig) -> Path | None:
    """Where a training keeps what it can go on from; None if it keeps nothing."""
    last = cfg.callbacks.get("last")
    return Path(last.dirpath) / "last.ckpt" if last else None


@contextmanager
def stoppable(run: Run, last: Path | None) -> Iterator[None]:
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
