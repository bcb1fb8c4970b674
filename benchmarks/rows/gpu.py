"""How busy training keeps a GPU: images a second through Lightning, beside the bare network on one batch."""

from __future__ import annotations

import contextlib
import time
from collections.abc import Iterator
from pathlib import Path
from tempfile import TemporaryDirectory
from typing import Any

import numpy as np
import torch
from hydra.utils import instantiate
from lightning import Trainer
from omegaconf import DictConfig

from benchmarks.bench import Bench, composed
from benchmarks.clocks import EpochStarts
from benchmarks.rows.growth import slices
from benchmarks.table import Row
from mriad.data.training.datasets import DeviceTrainDataset, TrainDataset
from mriad.data.training.loading import loader
from mriad.data.training.samples import Samples
from mriad.processes.hardware import choose_open_options, compiled

MODELS = ("ae", "vae", "vae_residual", "dae", "synthetic_anomaly")
SIZES = (128, 224)
SCANS = 8192
EPOCHS = 4
WORK = "images a second in training on the GPU"


def measure(bench: Bench) -> Iterator[Row]:
    """Yield a line for each model and size."""
    if not torch.cuda.is_available():
        yield Row(work=WORK, value=None, unit="", how="no GPU at hand")
        return
    for size in SIZES:
        for model in MODELS:
            cfg = composed("train", f"model={model}", f"data.image_size={size}", "data.batch_size=256", "trainer=gpu")
            choose_open_options(cfg)
            with TemporaryDirectory(dir=bench.folder) as folder:
                ours, bare = through_lightning(cfg, Path(folder), SCANS), of_the_network(cfg)
            yield Row(
                work=f"{WORK}, {model} at {size} px",
                against="the bare network, its losses and its optimizer",
                value=ours / bare,
                unit="times as many",
                how=f"{ours:,.0f} to {bare:,.0f}, {torch.cuda.get_device_name()}",
            )


def through_lightning(cfg: DictConfig, folder: Path, count: int, *, epochs: int = EPOCHS) -> float:
    """Images a second of a training as the options have it, without its first epoch and without validation."""
    detector = instantiate(cfg.model)
    clock = EpochStarts()
    trainer: Trainer = instantiate(
        cfg.trainer, callbacks=[clock], logger=False, max_epochs=epochs, enable_checkpointing=False,
        enable_progress_bar=False, limit_val_batches=0,
    )  # fmt: skip
    cache, rows = slices(folder, count, size=cfg.data.image_size), np.arange(count)
    options: dict[str, Any] = {
        "labels": np.zeros(count, dtype=np.int64),
        "augment": instantiate(cfg.data.augment),
    }
    dataset = (
        DeviceTrainDataset(slices=cache, rows=rows, device=trainer.strategy.root_device, **options)
        if cfg.data.on_device
        else TrainDataset(samples=Samples(cache=cache, rows=rows), anomalies=instantiate(cfg.data.anomalies), **options)
    )
    batches = loader(dataset, batch_size=cfg.data.batch_size, num_workers=cfg.data.num_workers, shuffle=True)
    with compiled(detector, cfg.compile):
        trainer.fit(detector, batches)
    return count * (epochs - 1) / (time.perf_counter() - clock.seconds[1])


def of_the_network(cfg: DictConfig, *, steps: int = 50) -> float:
    """Images a second of training steps on a batch that lies on the device."""
    device = torch.device("cuda" if cfg.trainer.accelerator == "gpu" else "cpu")
    detector = instantiate(cfg.model).to(device).train()
    optimizer = detector.configure_optimizers()
    optimizer = optimizer["optimizer"] if isinstance(optimizer, dict) else optimizer
    images = torch.rand(cfg.data.batch_size, 1, cfg.data.image_size, cfg.data.image_size, device=device)
    batch = {"image": images, "mask": (images > 0.9).float()}
    half = (
        torch.autocast(device.type, torch.bfloat16)
        if cfg.trainer.precision == "bf16-mixed"
        else contextlib.nullcontext()
    )

    def take(count: int) -> float:
        start = time.perf_counter()
        for _ in range(count):
            optimizer.zero_grad()
            with half:
                loss = detector.training_losses(batch)["loss"]
            loss.backward()
            optimizer.step()
        if device.type == "cuda":
            torch.cuda.synchronize()
        return time.perf_counter() - start

    with compiled(detector, cfg.compile):
        take(5)
        return steps * len(images) / take(steps)
