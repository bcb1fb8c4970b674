"""Checkpoints that are there as a whole or not at all."""

from __future__ import annotations

from pathlib import Path
from typing import Any

import torch
from lightning.fabric.plugins.io.torch_io import TorchCheckpointIO

from mriad.disk import written_whole


class WholeFiles(TorchCheckpointIO):
    """Writes each checkpoint beside the one that it replaces, which stays as it is until the new one is complete.

    Lightning's own way writes to a temporary folder, which may lie on another disk, and copies from there.
    """

    def save_checkpoint(self, checkpoint: dict[str, Any], path: Any, storage_options: Any = None) -> None:
        """Save a checkpoint.

        Raises:
            MriadError: if the disk is full.
        """
        file = Path(path)
        file.parent.mkdir(parents=True, exist_ok=True)
        with written_whole(file) as part, part.open("wb") as stream:
            torch.save(checkpoint, stream)
