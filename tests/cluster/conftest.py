"""A SLURM of one node on this machine, for the tests that need one."""

import os
import shutil
import subprocess
import sys
import tempfile
from pathlib import Path

import pytest

sys.path.append(str(Path(__file__).parents[1]))
from sweeps.toy_command import Toy

SCRIPT = Path(__file__).with_name("slurm.sh")
WANTED = "MRIAD_TEST_CLUSTER"  # set by make test-cluster, which may install what is missing


@pytest.fixture(scope="session")
def slurm():
    """The environment in which SLURM's commands find the cluster."""
    if os.geteuid() != 0 or shutil.which("apt-get") is None:
        pytest.skip("starting a SLURM takes root and apt")
    if shutil.which("slurmctld") is None and WANTED not in os.environ:
        pytest.skip(f"SLURM is not installed; make test-cluster (or {WANTED}=1) installs it")
    folder = Path(tempfile.mkdtemp(prefix="mriad-slurm-"))
    environment = {"SLURM_DIR": str(folder), "SLURM_CONF": str(folder / "slurm.conf")}
    started = subprocess.run(
        ["bash", str(SCRIPT), "up"], env=os.environ | environment, capture_output=True, text=True, timeout=300
    )
    assert started.returncode == 0, started.stdout + started.stderr
    yield environment
    subprocess.run(["scancel", "--user=root"], env=os.environ | environment, timeout=60)
    subprocess.run(["bash", str(SCRIPT), "down"], env=os.environ | environment, capture_output=True, timeout=60)
    shutil.rmtree(folder, ignore_errors=True)


@pytest.fixture
def toy(tmp_path, tracking_uri):
    return Toy(tmp_path, tracking_uri)
