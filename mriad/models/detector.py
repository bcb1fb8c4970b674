"""What every anomaly detector is: an anomaly map per scan, scored, trained and saved in one way."""

from __future__ import annotations

from abc import ABC, abstractmethod
from collections.abc import Callable, Iterator
from typing import Any, TypedDict

import torch
from lightning import LightningModule
from sklearn.metrics import roc_auc_score
from torch import Tensor, nn
from torch.optim import Optimizer
from torch.optim.lr_scheduler import LRScheduler, ReduceLROnPlateau

from mriad.scoring import Score

OptimizerFactory = Callable[[Iterator[nn.Parameter]], Optimizer]
SchedulerFactory = Callable[[Optimizer], LRScheduler | ReduceLROnPlateau]

CHECKPOINT_KEY = "mriad"


class Scanned(TypedDict):
    """What a validation or test step yields: row (B,), score (B,), map (B, H, W) float32, all on the CPU."""

    row: Tensor
    score: Tensor
    map: Tensor


class Detector(LightningModule, ABC):
    """Gives each pixel of a scan a number: the higher, the stranger, on one fixed scale for all scans.

    A subclass defines ``anomaly_map`` and, if it is trained by gradient, ``losses``.

    Args:
        score: makes an anomaly score of an anomaly map.
        optimizer: makes an optimizer of the parameters.
        scheduler: makes a learning rate schedule of the optimizer, stepped per epoch; it may watch ``val/loss``.

    Attributes:
        record: plain values that every checkpoint of this detector carries: config, calibration, run id.
    """

    def __init__(self, *, score: Score, optimizer: OptimizerFactory, scheduler: SchedulerFactory | None = None) -> None:
        super().__init__()
        self.score = score
        self.record: dict[str, Any] = {}
        self._optimizer, self._scheduler = optimizer, scheduler
        self._val_scores: list[tuple[Tensor, Tensor]] = []

    @abstractmethod
    def anomaly_map(self, x: Tensor) -> Tensor:
        """Strangeness of each pixel; (B, 1, H, W) in [0, 1] to (B, 1, H, W), before post-processing."""

    def image_score(self, x: Tensor, anomaly_map: Tensor) -> Tensor:
        """Anomaly score of each scan, (B,), from the post-processed map; both (B, 1, H, W)."""
        return self.score.pool(anomaly_map, x)

    @abstractmethod
    def losses(self, x: Tensor) -> dict[str, Tensor]:
        """Scalar losses of a batch of healthy scans (B, 1, H, W); the one named 'loss' is minimised."""

    def scan(self, x: Tensor) -> tuple[Tensor, Tensor]:
        """Post-processed anomaly maps (B, 1, H, W) and anomaly scores (B,) of a batch, both float32."""
        x = x.float()
        anomaly_map = self.score.postprocess(self.anomaly_map(x).float(), x)
        return anomaly_map, self.image_score(x, anomaly_map).float()

    def training_step(self, batch: dict[str, Tensor], batch_idx: int) -> Tensor:
        """One step on healthy scans; losses are logged per epoch."""
        losses = self.losses(batch["image"])
        self.log_dict(
            {f"train/{name}": value for name, value in losses.items()},
            on_step=False,
            on_epoch=True,
            batch_size=len(batch["image"]),
        )
        return losses["loss"]

    def validation_step(self, batch: dict[str, Tensor], batch_idx: int) -> Scanned:
        """Score a batch; the losses see its healthy scans only."""
        healthy = batch["image"][batch["label"] == 0]
        if len(healthy):
            losses = self.losses(healthy)
            self.log_dict(
                {f"val/{name}": value for name, value in losses.items()},
                on_epoch=True,
                batch_size=len(healthy),
            )
        scanned = self.test_step(batch, batch_idx)
        self._val_scores.append((batch["label"].cpu(), scanned["score"]))
        return scanned

    def on_validation_epoch_end(self) -> None:
        """Log ``val/auroc`` where val holds both healthy and anomalous scans."""
        labels = torch.cat([label for label, _ in self._val_scores])
        scores = torch.cat([score for _, score in self._val_scores])
        self._val_scores.clear()
        if labels.min() != labels.max() and scores.isfinite().all():
            self.log("val/auroc", float(roc_auc_score(labels.numpy(), scores.numpy())))

    def test_step(self, batch: dict[str, Tensor], batch_idx: int) -> Scanned:
        """Score a batch."""
        anomaly_map, score = self.scan(batch["image"])
        return Scanned(row=batch["row"].cpu(), score=score.cpu(), map=anomaly_map.squeeze(1).cpu())

    def configure_optimizers(self) -> Any:
        """The optimizer, with its schedule if there is one."""
        optimizer = self._optimizer(self.parameters())
        if self._scheduler is None:
            return optimizer
        return {
            "optimizer": optimizer,
            "lr_scheduler": {"scheduler": self._scheduler(optimizer), "monitor": "val/loss"},
        }

    def on_save_checkpoint(self, checkpoint: dict[str, Any]) -> None:
        """Put ``record`` into the checkpoint."""
        checkpoint[CHECKPOINT_KEY] = self.record


class ReconstructionDetector(Detector):
    """A detector whose map is the residual between a scan and its reconstruction."""

    @abstractmethod
    def reconstruct(self, x: Tensor) -> Tensor:
        """What the scan would look like if it were healthy; (B, 1, H, W) in [0, 1] to the same."""

    def anomaly_map(self, x: Tensor) -> Tensor:
        """Residual between x and its reconstruction, (B, 1, H, W)."""
        return self.score.residual(x, self.reconstruct(x).float())
