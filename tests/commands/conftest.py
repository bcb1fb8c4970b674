from collections.abc import Callable
from pathlib import Path

import pytest

from .brains import write_scans
from .command_line import Terminal, TrainedRun
from .hospital import train_on_series

SMALL = ("data.image_size=32", "data.batch_size=8", "trainer.max_epochs=2", "model.network.latent_dim=16")
MadeOnce = Callable[[str, Callable[[Path], object]], Path]


@pytest.fixture(scope="session")
def scans(made_once: MadeOnce) -> Path:
    """40 healthy and 20 anomalous scans of 64 x 64 pixels, with masks; to be read only."""
    return made_once("scans", write_scans)


@pytest.fixture(scope="session")
def small(scans: Path) -> tuple[str, ...]:
    """The options that make a quick training on ``scans``."""
    return ("data=folder", f"data.root={scans}", *SMALL)


@pytest.fixture(scope="session")
def trained(made_once: MadeOnce, small: tuple[str, ...]) -> Path:
    """The folder in which an autoencoder and then a VAE were trained, figures and all, once for all workers."""

    def train(folder: Path) -> None:
        desk = Terminal(folder, draws=True)
        desk.train(*small, "model=ae").ok()
        desk.train(*small, "model=vae", "logger.model_copy=false").ok()

    return made_once("trained", train)


@pytest.fixture(scope="session")
def bench(tmp_path_factory: pytest.TempPathFactory, trained: Path) -> Terminal:
    """A terminal whose store holds the shared trainings; what fails or only reads may be typed in it as well."""
    return Terminal(tmp_path_factory.mktemp("bench"), store=trained / "mlflow.db")


@pytest.fixture(scope="session")
def ae(bench: Terminal) -> TrainedRun:
    """A finished training of the autoencoder; to be read only."""
    return TrainedRun(bench, bench.runs("training")[0].info.run_id)


@pytest.fixture(scope="session")
def vae(bench: Terminal) -> TrainedRun:
    """A finished training of the VAE, whose served model reads the run's checkpoint instead of a copy."""
    return TrainedRun(bench, bench.runs("training")[1].info.run_id)


@pytest.fixture(scope="session")
def hospital(made_once: MadeOnce) -> Path:
    """The folder in which a detector was trained on DICOM series, see ``train_on_series``; to be read only."""
    return made_once("hospital", train_on_series)


@pytest.fixture
def terminal(tmp_path: Path, migrated_store: Path) -> Terminal:
    """A fresh terminal with an empty store."""
    return Terminal(tmp_path / "work", store=migrated_store)


@pytest.fixture
def bare(tmp_path: Path) -> Terminal:
    """A fresh terminal without a store, whose figures are painted."""
    return Terminal(tmp_path / "work", draws=True)
