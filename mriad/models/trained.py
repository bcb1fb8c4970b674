"""Detectors that learn by gradient."""

from __future__ import annotations

from abc import abstractmethod
from collections.abc import Callable, Iterable, Iterator
from typing import Any

from torch import Tensor, nn, zeros
from torch.optim import Optimizer
from torch.optim.lr_scheduler import LRScheduler, ReduceLROnPlateau

from mriad.errors import MriadError
from mriad.models.detector import Detector, Scanned
from mriad.ranks import gather
from mriad.scoring.assemble import slices_of

OptimizerFactory = Callable[[Iterator[nn.Parameter]], Optimizer]
SchedulerFactory = Callable[[Optimizer], LRScheduler | ReduceLROnPlateau]


class TrainedDetector(Detector):
    """A detector that learns by gradient.

    Args:
        optimizer: makes an optimizer of the parameters.
        scheduler: makes a learning rate schedule of the optimizer, stepped per epoch; it may watch ``val/loss``.
        **detector: see ``Detector``.
    """

    def __init__(
        self, *, optimizer: OptimizerFactory, scheduler: SchedulerFactory | None = None, **detector: Any
    ) -> None:
        super().__init__(**detector)
        self._optimizer, self._scheduler = optimizer, scheduler
        self._val_losses: list[tuple[int, dict[str, Tensor]]] = []

    @abstractmethod
    def losses(self, x: Tensor) -> dict[str, Tensor]:
        """Scalar losses of a batch of healthy samples (B, C, *spatial); the one named 'loss' is minimised."""

    def training_losses(self, batch: dict[str, Tensor]) -> dict[str, Tensor]:
        """Scalar losses of a train batch; a detector that learns masks overrides it."""
        return self.losses(batch["image"])

    def training_step(self, batch: dict[str, Tensor], batch_idx: int) -> Tensor:
        """One step; losses are logged per epoch."""
        losses = self._losses_of(batch)
        self.log_dict(
            {f"train/{name}": value for name, value in losses.items()},
            on_step=False,
            on_epoch=True,
            batch_size=len(batch["image"]),
            sync_dist=True,
        )
        return losses["loss"]

    def _losses_of(self, batch: dict[str, Tensor]) -> dict[str, Tensor]:
        try:
            return self.training_losses(batch)
        except ValueError as error:
            if len(batch["image"]) > 1 or "more than 1 value per channel" not in str(error):
                raise
            raise MriadError(
                f"{type(self).__name__} normalises over the scans of a batch and cannot train on a single one; "
                "raise data.batch_size to 2 or more, and add healthy scans if train holds only one."
            ) from None

    def validation_step(self, batch: dict[str, Tensor], batch_idx: int) -> Scanned:
        """Score a batch; the losses see its healthy scans only."""
        healthy = batch["image"][batch["label"] == 0]
        for samples in self._samples(healthy) if len(healthy) else ():
            losses = self.losses(samples)
            self._val_losses.append((len(samples), {name: value.detach().cpu() for name, value in losses.items()}))
        return super().validation_step(batch, batch_idx)

    def _samples(self, x: Tensor) -> Iterable[Tensor]:
        """Batches of what the detector learns from, of whole scans (B, 1, *spatial)."""
        if self.patches is not None:
            return self.patches.cubes(x)
        return [x] if x.ndim == 2 + self.spatial_dims else slices_of(x, **self._looks)

    def on_validation_epoch_end(self) -> None:
        """Log the losses as means over all healthy scans, and ``val/auroc``."""
        batches = [batch for part in gather(self._val_losses) for batch in part]
        self._val_losses.clear()
        count = sum(scans for scans, _ in batches)
        for name in batches[0][1] if batches else ():
            total = sum((scans * losses[name].float() for scans, losses in batches), start=zeros(()))
            self.log(f"val/{name}", float(total / count), sync_dist=True)
        super().on_validation_epoch_end()

    def configure_optimizers(self) -> Any:
        """The optimizer, with its schedule if there is one.

        Raises:
            MriadError: if one of the two refuses its options.
        """
        optimizer = _made("optimizer", self._optimizer, self.parameters())
        if self._scheduler is None:
            return optimizer
        scheduler = _made("scheduler", self._scheduler, optimizer)
        return {"optimizer": optimizer, "lr_scheduler": {"scheduler": scheduler, "monitor": "val/loss"}}


def _made(option: str, factory: Callable[[Any], Any], of: Any) -> Any:
    """What a factory of the options makes, which looks at them only now."""
    try:
        return factory(of)
    except (TypeError, ValueError) as error:
        raise MriadError(f"The options model.{option} cannot be used: {error}") from error
