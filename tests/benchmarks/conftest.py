from pathlib import Path

import pytest
import torch
from hydra.utils import instantiate

from benchmarks import heads
from benchmarks.bench import composed
from mriad.experiment.data import load_data


class Few:
    """Forty small heads, and a small autoencoder for them."""

    def __init__(self, folder: Path):
        self.root = heads.write(folder / "scans", healthy=30, anomalous=10, size=64)
        self.cfg = composed(
            "train", "data=folder", f"data.root={self.root}", f"data.cache_dir={folder / 'cache'}",
            "data.image_size=32", "data.batch_size=8", "model.network.latent_dim=8",
        )  # fmt: skip
        self.datamodule = load_data(self.cfg.data, roles=("train", "val"))

    def model(self):
        torch.manual_seed(0)
        return instantiate(self.cfg.model)


@pytest.fixture(scope="session")
def few(tmp_path_factory):
    return Few(tmp_path_factory.mktemp("few"))
