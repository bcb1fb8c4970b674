"""The package as pip installs it: built from this tree, put into a folder of its own, and typed in another."""

import os
import shutil
import subprocess
import sys
from pathlib import Path

import mlflow
import pytest

pytestmark = pytest.mark.slow

ROOT = Path(__file__).parents[1]
BUILT_FROM = ("pyproject.toml", "README.md", "LICENSE", "conf", "mriad", "hydra_plugins")
SMALL = (
    "model=pca model.n_components=2,4 data.image_size=32 trainer=cpu threads=1 logger.log_model=false "
    "data.layout.healthy_subjects=16 data.layout.diseased_subjects=8 data.layout.slices_per_subject=2"
)


@pytest.fixture(scope="module")
def site(tmp_path_factory):
    """A folder with the installed wheel; what it needs is there already."""
    tree, wheels, site = (tmp_path_factory.mktemp(name) for name in ("tree", "wheels", "site"))
    for name in BUILT_FROM:  # elsewhere: setuptools would leave a folder in the clone, and take old files from it
        source = ROOT / name
        if source.is_dir():
            shutil.copytree(source, tree / name, symlinks=True, ignore=shutil.ignore_patterns("__pycache__"))
        else:
            shutil.copy(source, tree)
    pip = [sys.executable, "-m", "pip", "--quiet", "--disable-pip-version-check"]
    subprocess.run([*pip, "wheel", "--no-deps", "--no-build-isolation", "-w", wheels, tree], check=True)
    (wheel,) = wheels.glob("mriad-*.whl")
    subprocess.run([*pip, "install", "--no-deps", "--no-index", "--target", site, wheel], check=True)
    return site


def test_the_wheel_brings_the_option_files_and_the_plugins(site):
    def below(folder):
        return {str(file.relative_to(folder)) for file in folder.rglob("*") if file.is_file() and file.suffix != ".pyc"}

    assert below(site / "mriad" / "conf") == below(ROOT / "conf")
    assert below(ROOT / "mriad") <= below(site / "mriad")
    assert below(ROOT / "hydra_plugins") == below(site / "hydra_plugins")


def test_a_sweep_runs_from_the_wheel_outside_of_the_clone(site, tmp_path):
    environment = {name: value for name, value in os.environ.items() if not name.startswith(("MLFLOW_", "MRIAD_"))}
    environment |= {
        "PYTHONPATH": str(site),
        "PATH": f"{site / 'bin'}{os.pathsep}{os.environ['PATH']}",
        "MRIAD_CACHE_DIR": str(tmp_path / "cache"),
        "OMP_NUM_THREADS": "1",
    }
    line = f"mriad train -m hydra/launcher=joblib hydra.launcher.n_jobs=1 {SMALL}"
    done = subprocess.run(["bash", "-c", line], cwd=tmp_path, env=environment, capture_output=True, text=True)
    assert done.returncode == 0, done.stdout + done.stderr
    client = mlflow.MlflowClient(f"sqlite:///{tmp_path / 'mlflow.db'}")
    (experiment,) = [one for one in client.search_experiments() if one.name == "mriad"]
    runs = client.search_runs([experiment.experiment_id], "tags.kind = 'training'")
    assert sorted(run.data.params["model.n_components"] for run in runs) == ["2", "4"]
    for run in runs:
        assert run.info.status == "FINISHED"
        assert run.data.tags["mlflow.runName"].startswith("n_components=")
        assert "mlflow.source.git.commit" not in run.data.tags  # which the clone's own code would have logged
        contexts = {data.tags[0].value for data in run.inputs.dataset_inputs}
        assert contexts == {"training", "validation", "test"}
    logs = [file.read_text() for file in tmp_path.glob("multirun/*/*/*.log")]
    assert len(logs) == 2
    for log in logs:
        assert "mriad evaluate run=" in log and "python evaluate.py" not in log
        assert str(ROOT / "mriad") not in log
