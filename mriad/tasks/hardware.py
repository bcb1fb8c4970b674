"""What suits this machine, for options that leave it open."""

from __future__ import annotations

from collections.abc import Mapping

import torch
from omegaconf import DictConfig, OmegaConf


def settle_precision(cfg: DictConfig) -> None:
    """Replace ``trainer.precision=auto``: bf16-mixed where the device is faster in it, else 32-true.

    Where the gradients of a fused optimizer are to be clipped it is 32-true: Lightning refuses the two together in
    mixed precision.

    Args:
        cfg: the options of a training.
    """
    if OmegaConf.select(cfg, "trainer.precision") != "auto":
        return
    clips = OmegaConf.select(cfg, "trainer.gradient_clip_val") is not None
    unclippable = clips and OmegaConf.select(cfg, "model.optimizer.fused")
    bf16 = trains_faster_in_bf16(cfg.trainer.get("accelerator", "auto")) and not unclippable
    cfg.trainer.precision = "bf16-mixed" if bf16 else "32-true"


def trains_faster_in_bf16(accelerator: str) -> bool:
    """Whether the device that a Lightning accelerator means trains faster in bf16 than in float32."""
    if accelerator in ("auto", "gpu", "cuda") and torch.cuda.is_available():
        return torch.cuda.is_bf16_supported(including_emulation=False)
    # the bf16 of AVX512 alone is slower than float32: 0.8 to 1.0 times, measured
    able: Mapping[str, bool] = getattr(torch.cpu, "get_capabilities", dict)()  # older ones do not tell
    return able.get("amx_bf16", False)
