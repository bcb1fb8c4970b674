"""Other ways to train an epoch: a bare loop over tensors in memory, and the loop that notebooks have."""

from __future__ import annotations

from pathlib import Path

import numpy as np
import torch
from PIL import Image
from sklearn.metrics import roc_auc_score
from torch import Tensor
from torch.nn import functional as F

from mriad.data.datamodule import MRIDataModule
from mriad.models.autoencoder import Autoencoder
from mriad.models.trained import TrainedDetector


class BareLoop:
    """PyTorch and nothing else: tensors in memory, the same losses, optimizer, batches and validation.

    Args:
        model: trained here; the options make it anew, so that it shares nothing with the one of the training.
    """

    def __init__(self, *, model: TrainedDetector) -> None:
        self._model = model
        self._optimizer = model.configure_optimizers()

    def prepare(self, datamodule: MRIDataModule) -> None:
        """Take all train and val scans into memory."""
        self._batch_size = datamodule.batch_size
        self._train, self._val = (datamodule.images(datamodule.rows(role)) for role in ("train", "val"))
        self._areas = torch.from_numpy(datamodule.cache.pixel_area(datamodule.rows("val")))
        self._labels = torch.from_numpy(datamodule.scans("val")["label"].to_numpy(dtype=np.int64, copy=True))

    def epoch(self) -> None:
        """Shuffle and train; val losses of the healthy scans, scores of all, AUROC."""
        self._model.train()
        for rows in torch.randperm(len(self._train)).split(self._batch_size):
            self._optimizer.zero_grad()
            self._model.losses(self._train[rows])["loss"].backward()
            self._optimizer.step()
        self._model.eval()
        losses, scores = [], []
        with torch.no_grad():
            val = (part.split(self._batch_size) for part in (self._val, self._areas, self._labels))
            for x, areas, labels in zip(*val, strict=True):
                if (labels == 0).any():
                    losses.append(self._model.losses(x[labels == 0])["loss"].item())
                scores.append(self._model.scan({"image": x, "pixel_area": areas})[1])
        roc_auc_score(self._labels.numpy(), torch.cat(scores).numpy())


class NotebookLoop:
    """Decodes and resizes every image in every epoch; plain Adam, float32.

    Args:
        model: whose network is trained here.
        image_size: side of the network's input in pixels.
        root: folder that the paths of the scans start from.
    """

    def __init__(self, *, model: Autoencoder, image_size: int, root: str) -> None:
        self._network = model.network
        self._network.to(memory_format=torch.contiguous_format)  # type: ignore[call-overload]  # PyTorch's own
        self._size = (image_size, image_size)
        self._root = Path(root)
        self._optimizer = torch.optim.Adam(self._network.parameters(), lr=1e-3)

    def prepare(self, datamodule: MRIDataModule) -> None:
        """Note the files of the train and val scans."""
        self._batch_size = datamodule.batch_size
        self._train, self._val = (
            [self._root / path for path in datamodule.scans(role)["path"]] for role in ("train", "val")
        )

    def epoch(self) -> None:
        """Shuffle and train; mean squared error of the val scans."""
        self._network.train()
        for rows in torch.randperm(len(self._train)).split(self._batch_size):
            x = self._read([self._train[row] for row in rows])
            self._optimizer.zero_grad()
            F.mse_loss(self._network(x), x).backward()
            self._optimizer.step()
        self._network.eval()
        with torch.no_grad():
            for start in range(0, len(self._val), self._batch_size):
                x = self._read(self._val[start : start + self._batch_size])
                F.mse_loss(self._network(x), x).item()

    def _read(self, files: list[Path]) -> Tensor:
        scans = [np.asarray(Image.open(file).convert("L").resize(self._size), dtype=np.float32) for file in files]
        return torch.from_numpy(np.stack(scans)).unsqueeze(1) / 255
