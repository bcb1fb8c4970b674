import os
import shutil
from pathlib import Path

import pytest
import torch


@pytest.fixture(scope="session")
def data_root() -> Path:
    """Folder of the real scans; a test that asks for it is skipped where there is none."""
    folder = os.environ.get("MRIAD_DATA_ROOT")
    if not folder:
        pytest.skip("MRIAD_DATA_ROOT is not set: it names the folder of real scans")
    return Path(folder)


@pytest.fixture(scope="session", autouse=True)
def one_torch_thread() -> None:
    """More threads only wait for each other beside other busy processes."""
    torch.set_num_threads(1)


@pytest.fixture(scope="session")
def migrated_store(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """A migrated MLflow database without experiments, to be copied: migration takes seconds."""
    from mriad.tracking.store import connect

    database = tmp_path_factory.mktemp("store") / "mlflow.db"
    connect(f"sqlite:///{database}")
    return database


@pytest.fixture
def tracking_uri(migrated_store: Path, tmp_path: Path) -> str:
    """A store of the test's own, in ``tmp_path``."""
    shutil.copy(migrated_store, tmp_path / "mlflow.db")
    return f"sqlite:///{tmp_path / 'mlflow.db'}"
