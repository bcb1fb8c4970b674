"""What bf16 brings to training where the processor has it.

Whether it costs anything is asked by another command, which takes hours: the AUROC of both, over seeds::

    python train.py -m model=ae trainer.precision=32-true,bf16-mixed seed=0,1,2
    python -m mriad.compare SWEEP_RUN_ID
"""

from __future__ import annotations

from collections.abc import Callable, Iterator

import torch
from hydra.utils import instantiate

from benchmarks.bench import Bench, composed
from benchmarks.table import Row, Target
from benchmarks.turns import alternate, ratio, side_by_side

TARGET = Target(limit=1.3, bound="at least")
STEPS = 5


def measure(bench: Bench) -> Iterator[Row]:
    """Yield one line."""
    work, against = f"{STEPS} training steps of ae in bf16", "the same in fp32"
    if not _has_bf16():
        yield Row(work=work, against=against, value=None, unit="times faster", target=TARGET, how="not on this CPU")
        return
    seconds = alternate({"bf16": steps(bf16=True), "fp32": steps(bf16=False)})
    yield Row(
        work=work,
        against=against,
        value=ratio(seconds["fp32"], seconds["bf16"]),
        unit="times faster",
        target=TARGET,
        how=side_by_side(seconds["bf16"], seconds["fp32"]),
    )


def steps(*, bf16: bool) -> Callable[[], None]:
    """Steps of a network of its own, as ``trainer.precision=bf16-mixed`` or ``32-true`` takes them."""
    cfg = composed("train")
    detector = instantiate(cfg.model)
    optimizer = detector.configure_optimizers()
    x = torch.rand(cfg.data.batch_size, 1, cfg.data.image_size, cfg.data.image_size)

    def train() -> None:
        for _ in range(STEPS):
            optimizer.zero_grad()
            with torch.autocast("cpu", torch.bfloat16, enabled=bf16):
                loss = detector.losses(x)["loss"]
            loss.backward()
            optimizer.step()

    return train


def _has_bf16() -> bool:
    able = torch.cpu.get_capabilities()
    return bool(able.get("amx_bf16") or able.get("avx512_bf16"))
