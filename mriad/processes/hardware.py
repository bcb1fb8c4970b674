"""What suits this machine, for options that leave it open."""

from __future__ import annotations

import shutil
from collections.abc import Iterator, Mapping
from contextlib import contextmanager
from typing import Any

import torch
from hydra.utils import instantiate
from joblib import cpu_count
from omegaconf import DictConfig, OmegaConf
from torch import nn

from mriad.errors import MriadError
from mriad.processes.devices import devices_per_node

_MOST_WORKERS = 8
_COMPILED = ("forward", "encode", "decode")  # what detectors call of their networks


def choose_open_options(cfg: DictConfig) -> None:
    """Choose what the options of a training leave open.

    - ``trainer.precision=auto``: bf16-mixed where the device is faster in it, else 32-true. Where the gradients of a
      fused optimizer are to be clipped it is 32-true: Lightning refuses the two together in mixed precision.
    - ``compile=null``: where an optimizer trains on a GPU, and the machine has a compiler.
    - ``data.on_device=null``: likewise, unless what trains is made on the CPU.
    - ``data.num_workers=null``: none on a CPU, where the slices are waited for by nobody else, and none where they are
      on the device; else the cores are shared by the devices, at most 8 for each.

    Args:
        cfg: the options of a training.

    Raises:
        MriadError: if ``compile`` is neither true nor false.
    """
    accelerator = cfg.trainer.get("accelerator", "auto")
    gpu = uses_gpu(accelerator) and OmegaConf.select(cfg, "model.optimizer") is not None
    if cfg.compile not in (None, False, True):
        raise MriadError(f"compile={cfg.compile} is neither true nor false.")
    _choose(cfg, "compile", gpu and any(shutil.which(name) for name in ("cc", "gcc", "clang")))
    asked = OmegaConf.select(cfg, "data.num_workers")
    _choose(cfg, "data.on_device", gpu and not asked and not _made_on_cpu(cfg.data))
    workers = min(cpu_count() // devices_per_node(cfg.trainer), _MOST_WORKERS) if gpu else 0
    _choose(cfg, "data.num_workers", 0 if cfg.data.on_device else workers)
    if cfg.trainer.get("precision") == "auto":
        clips = cfg.trainer.get("gradient_clip_val") is not None
        unclippable = clips and OmegaConf.select(cfg, "model.optimizer.fused")
        cfg.trainer.precision = "bf16-mixed" if trains_faster_in_bf16(accelerator) and not unclippable else "32-true"


def uses_gpu(accelerator: str) -> bool:
    """Whether the device that a Lightning accelerator means is a CUDA GPU."""
    return accelerator in ("auto", "gpu", "cuda") and torch.cuda.is_available()


@contextmanager
def compiled(detector: nn.Module, wanted: bool) -> Iterator[None]:
    """Compile the networks of a detector for as long as it trains; its state is saved and loaded as before.

    What torch cannot compile on this machine runs as it is, and torch warns.
    """
    networks = [child for child in detector.children() if wanted]
    named = [(network, name) for network in networks for name in _COMPILED if name in vars(type(network))]
    for network, name in named:
        setattr(network, name, torch.compile(getattr(network, name)))
    try:
        with torch._dynamo.config.patch(suppress_errors=True):
            yield
    finally:
        for network, name in named:
            delattr(network, name)


def _made_on_cpu(data: DictConfig) -> bool:
    """Whether what trains cannot be made on a device: slices of volumes, and what has anomalies or masks."""
    of_volumes = OmegaConf.select(data, "preprocess.depth") is not None
    if of_volumes or data.get("anomalies") or data.get("labelled_train"):
        return True
    return bool(data.get("augment")) and not instantiate(data.augment).runs_on_device()


def _choose(cfg: DictConfig, option: str, value: Any) -> None:
    if OmegaConf.select(cfg, option) is None:
        OmegaConf.update(cfg, option, value)


def trains_faster_in_bf16(accelerator: str) -> bool:
    """Whether the device that a Lightning accelerator means trains faster in bf16 than in float32."""
    if uses_gpu(accelerator):
        return torch.cuda.is_bf16_supported(including_emulation=False)
    # the bf16 of AVX512 alone is slower than float32: 0.8 to 1.0 times, measured
    able: Mapping[str, bool] = getattr(torch.cpu, "get_capabilities", dict)()  # older ones do not tell
    return able.get("amx_bf16", False)
