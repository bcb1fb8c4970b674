from pathlib import Path

import pytest

from .brains import write_scans
from .command_line import Terminal, TrainedRun

SMALL = ("data.image_size=32", "data.batch_size=8", "trainer.max_epochs=2", "model.network.latent_dim=16")


@pytest.fixture(scope="session")
def scans(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """40 healthy and 20 anomalous scans of 64 x 64 pixels, with masks; to be read only."""
    return write_scans(tmp_path_factory.mktemp("data") / "scans")


@pytest.fixture(scope="session")
def small(scans: Path) -> tuple[str, ...]:
    """The options that make a quick training on ``scans``."""
    return ("data=folder", f"data.root={scans}", *SMALL)


@pytest.fixture(scope="session")
def bench(tmp_path_factory: pytest.TempPathFactory) -> Terminal:
    """A terminal whose store holds the shared trainings; what fails or only reads may be typed in it as well."""
    return Terminal(tmp_path_factory.mktemp("bench"))


@pytest.fixture(scope="session")
def ae(bench: Terminal, small: tuple[str, ...]) -> TrainedRun:
    """A finished training of the autoencoder; to be read only."""
    bench.train(*small, "model=ae").ok()
    return bench.newest("training")


@pytest.fixture(scope="session")
def vae(bench: Terminal, small: tuple[str, ...]) -> TrainedRun:
    """A finished training of the VAE, whose served model reads the run's checkpoint instead of a copy."""
    bench.train(*small, "model=vae", "logger.model_copy=false").ok()
    return bench.newest("training")


@pytest.fixture
def terminal(tmp_path: Path) -> Terminal:
    """A fresh terminal with an empty store."""
    return Terminal(tmp_path / "work")
