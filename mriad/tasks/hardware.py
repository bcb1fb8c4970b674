"""What suits this machine, for options that leave it open."""

from __future__ import annotations

import shutil
from collections.abc import Mapping
from typing import Any

import torch
from joblib import cpu_count
from omegaconf import DictConfig, OmegaConf
from torch import nn

_MOST_WORKERS = 8
_COMPILED = ("forward", "encode", "decode")  # what detectors call of their networks


def settle(cfg: DictConfig) -> None:
    """Choose what the options of a training leave open.

    - ``trainer.precision=auto``: bf16-mixed where the device is faster in it, else 32-true. Where the gradients of a
      fused optimizer are to be clipped it is 32-true: Lightning refuses the two together in mixed precision.
    - ``compile=null``: on a GPU of a machine that has a compiler.
    - ``data.on_device=null``: on a GPU, unless what trains is made on the CPU.
    - ``data.num_workers=null``: none on a CPU, where the slices are waited for by nobody else, and none where they are
      on the device; else one per core, at most 8.

    Args:
        cfg: the options of a training.
    """
    accelerator = cfg.trainer.get("accelerator", "auto")
    gpu = uses_gpu(accelerator)
    on_cpu = bool(OmegaConf.select(cfg, "data.anomalies") or OmegaConf.select(cfg, "data.labelled_train"))
    compiler = any(shutil.which(name) for name in ("cc", "gcc", "clang"))
    _choose(cfg, "compile", gpu and compiler)
    _choose(cfg, "data.on_device", gpu and not on_cpu and not OmegaConf.select(cfg, "data.num_workers"))
    _choose(cfg, "data.num_workers", min(cpu_count(), _MOST_WORKERS) if gpu and not cfg.data.on_device else 0)
    if cfg.trainer.get("precision") == "auto":
        clips = cfg.trainer.get("gradient_clip_val") is not None
        unclippable = clips and OmegaConf.select(cfg, "model.optimizer.fused")
        cfg.trainer.precision = "bf16-mixed" if trains_faster_in_bf16(accelerator) and not unclippable else "32-true"


def uses_gpu(accelerator: str) -> bool:
    """Whether the device that a Lightning accelerator means is a CUDA GPU."""
    return accelerator in ("auto", "gpu", "cuda") and torch.cuda.is_available()


def compile_networks(detector: nn.Module) -> None:
    """Compile the networks of a detector where they are; its state is saved and loaded as before."""
    for child in detector.children():
        for name in _COMPILED:
            if name in vars(type(child)):
                setattr(child, name, torch.compile(getattr(child, name)))


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
