"""The job that a command runs: its options held to what can be, its folder, threads and log levels."""

from __future__ import annotations

import logging
import warnings
from pathlib import Path

import torch
from hydra.core.hydra_config import HydraConfig
from omegaconf import DictConfig, OmegaConf

from mriad.errors import MriadError
from mriad.experiment.kinds import require_kinds

_NUMBERS = {
    "seed": 0,
    "threads": 1,
    "batch_size": 1,
    "calibrate_scans": 1,
    "calibrate_seed": 0,
    "trainer.max_epochs": 1,
    "data.batch_size": 1,
    "data.image_size": 8,
    "data.num_workers": 0,
    "data.slices.neighbours": 0,
}


def prepare(cfg: DictConfig) -> Path:
    """Hold the options to what can be, and set threads and log levels.

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
    for name in ("pydicom", "highdicom", "pynetdicom"):
        logging.getLogger(name).setLevel(logging.CRITICAL)  # their warnings quote patients' names
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
