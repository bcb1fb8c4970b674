"""A SLURM of one node on this machine, and an MLflow server on PostgreSQL that its jobs log to."""

import os
import shutil
import subprocess
import sys
import tempfile
from pathlib import Path

import pytest

sys.path.append(str(Path(__file__).parents[1]))
from servers import MlflowServer, new_postgres
from sweeps.toy_command import Toy

SCRIPT = Path(__file__).with_name("slurm.sh")
WANTED = "MRIAD_TEST_CLUSTER"  # set by make test-cluster: what is missing may be installed


@pytest.fixture(scope="session", autouse=True)
def _wanted():
    if WANTED not in os.environ:
        pytest.skip(f"make test-cluster (or {WANTED}=1) runs the tests on a SLURM of this machine")
    if os.geteuid() != 0 or shutil.which("apt-get") is None:
        pytest.skip("starting a SLURM takes root and apt")


@pytest.fixture(scope="session")
def slurm(_wanted):
    """The environment in which SLURM's commands find the cluster."""
    folder = Path(tempfile.mkdtemp(prefix="mriad-slurm-"))
    environment = {"SLURM_DIR": str(folder), "SLURM_CONF": str(folder / "slurm.conf")}

    def run(*command, timeout):
        return subprocess.run(command, env=os.environ | environment, capture_output=True, text=True, timeout=timeout)

    installed = run("timeout", "600", "bash", str(SCRIPT), "install", timeout=700)
    if installed.returncode:
        pytest.skip(f"SLURM cannot be installed (exit code {installed.returncode}): {installed.stderr[-500:]}")
    started = run("bash", str(SCRIPT), "up", "--accounting", timeout=300)
    if started.returncode:
        logs = "\n".join(f"{log}\n{log.read_text()[-2000:]}" for log in sorted(folder.glob("log/*")))
        pytest.fail(f"SLURM does not start: {started.stdout}{started.stderr}{logs}")
    yield environment
    run("scancel", "--user=root", timeout=60)
    run("bash", str(SCRIPT), "down", timeout=60)
    shutil.rmtree(folder, ignore_errors=True)


@pytest.fixture(scope="session")
def database(slurm):
    with new_postgres() as postgres:
        yield postgres


@pytest.fixture(scope="session")
def server(database, tmp_path_factory):
    """An MLflow server, shared by all tests."""
    server = MlflowServer(tmp_path_factory.mktemp("server"), database.uri("mlflow")).start()
    yield server
    server.stop()


@pytest.fixture
def toy(tmp_path, tracking_uri):
    return Toy(tmp_path, tracking_uri)
