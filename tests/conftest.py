import multiprocessing
import os
import pickle
import shutil
import signal
import subprocess
from collections.abc import Callable, Iterator
from pathlib import Path
from typing import Any

import pytest
import torch
from filelock import FileLock
from hydra.core.global_hydra import GlobalHydra
from hydra.core.hydra_config import HydraConfig
from torch.distributed import TCPStore

_SETTINGS = ("MLFLOW_", "MRIAD_", "HYDRA_")


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


@pytest.fixture(scope="session", autouse=True)
def ctrl_c_is_heard() -> None:
    """Whoever is started in the background of a shell ignores it, and so does all that it starts."""
    signal.signal(signal.SIGINT, signal.default_int_handler)


@pytest.fixture(autouse=True)
def nothing_left_over() -> Iterator[None]:
    """What a test has told Hydra and MLflow of itself is not what the next one finds, in whatever order they run."""
    before = {name: value for name, value in os.environ.items() if name.startswith(_SETTINGS)}
    yield
    HydraConfig.instance().cfg = None
    GlobalHydra.instance().clear()
    for name in [name for name in os.environ if name.startswith(_SETTINGS)]:
        del os.environ[name]
    os.environ.update(before)


@pytest.fixture(scope="session")
def made_once(tmp_path_factory: pytest.TempPathFactory) -> Callable[[str, Callable[[Path], object]], Path]:
    """Gives a folder that all workers share: whoever asks first fills it, the others wait; to be read only."""
    root = tmp_path_factory.getbasetemp()
    root = root.parent if "PYTEST_XDIST_WORKER" in os.environ else root

    def make(name: str, fill: Callable[[Path], object]) -> Path:
        folder, whole = root / name, root / f"{name}.whole"
        with FileLock(root / f"{name}.lock"):
            if not whole.exists():
                shutil.rmtree(folder, ignore_errors=True)  # a worker failed half-way
                folder.mkdir()
                fill(folder)
                whole.touch()
        return folder

    return make


@pytest.fixture(scope="session")
def migrated_store(made_once: Callable[[str, Callable[[Path], object]], Path]) -> Path:
    """A migrated MLflow database without experiments, to be copied: migration takes seconds."""
    from mriad.tracking.store import connect

    return made_once("store", lambda folder: connect(f"sqlite:///{folder / 'mlflow.db'}")) / "mlflow.db"


@pytest.fixture
def tracking_uri(migrated_store: Path, tmp_path: Path) -> str:
    """A store of the test's own, in ``tmp_path``."""
    shutil.copy(migrated_store, tmp_path / "mlflow.db")
    return f"sqlite:///{tmp_path / 'mlflow.db'}"


@pytest.fixture
def small_disk(tmp_path: Path) -> Iterator[Path]:
    """A disk of 2 MB; a test that asks for it is skipped where none can be mounted."""
    folder = tmp_path / "small disk"
    folder.mkdir()
    try:
        subprocess.run(["mount", "-t", "tmpfs", "-o", "size=2m", "none", folder], check=True, capture_output=True)
    except (OSError, subprocess.CalledProcessError) as error:
        pytest.skip(f"a small disk cannot be mounted here, as root alone may: {error}")
    yield folder
    subprocess.run(["umount", "--lazy", folder], check=True)


@pytest.fixture
def on_two_ranks(tmp_path: Path) -> Callable[[Callable[[int], Any]], list[Any]]:
    """Calls a function with 0 and 1 in two processes that Lightning takes for ranks, and gives what each returned."""

    def call(work: Callable[[int], Any]) -> list[Any]:
        store = TCPStore("127.0.0.1", 0, is_master=True, wait_for_workers=False)
        context = multiprocessing.get_context("fork")
        ranks = [context.Process(target=_be_rank, args=(rank, work, store.port, tmp_path)) for rank in (0, 1)]
        for process in ranks:
            process.start()
        for process in ranks:
            process.join(120)
            process.kill()
        assert [process.exitcode for process in ranks] == [0, 0]
        return [pickle.loads((tmp_path / f"rank{rank}.pkl").read_bytes()) for rank in (0, 1)]

    return call


def _be_rank(rank: int, work: Callable[[int], Any], port: int, folder: Path) -> None:
    place = {"RANK": rank, "LOCAL_RANK": rank, "WORLD_SIZE": 2, "MASTER_ADDR": "127.0.0.1", "MASTER_PORT": port}
    workers = {"TORCHELASTIC_RUN_ID": "test", "TORCHELASTIC_USE_AGENT_STORE": True}
    os.environ.update({name: str(value) for name, value in (place | workers).items()})
    (folder / f"rank{rank}.pkl").write_bytes(pickle.dumps(work(rank)))
