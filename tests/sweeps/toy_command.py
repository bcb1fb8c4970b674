"""Types a training, the toy if no other, the way a user does: in a process of its own, with a store of its own."""

import os
import subprocess
import sys
import time
from dataclasses import dataclass
from pathlib import Path

import mlflow
import pandas as pd

TOY = Path(__file__).with_name("toy.py")


@dataclass
class Toy:
    """A folder with a store, and a training typed in it."""

    folder: Path
    uri: str
    script: Path = TOY
    experiment: str = "mriad"
    patience: int = 300  # seconds after which it counts as hanging

    def start(self, *options, **environment):
        clean = {name: value for name, value in os.environ.items() if not name.startswith(("MLFLOW_", "MRIAD_"))}
        return subprocess.Popen(
            [sys.executable, str(self.script), *options],
            cwd=self.folder,
            env=clean | {"MLFLOW_TRACKING_URI": self.uri} | environment,
            stdout=subprocess.PIPE,
            stderr=subprocess.PIPE,
            text=True,
        )

    def type(self, *options, **environment):
        """Run a command to its end: exit code, and the one sentence it ended with, if any."""
        process = self.start(*options, **environment)
        out, err = process.communicate(timeout=self.patience)
        self.said = out + err
        errors = [line for line in err.splitlines() if line.startswith("Error:")]
        assert len(errors) == (process.returncode == 1), self.said
        return process.returncode, "".join(errors)

    @property
    def client(self):
        return mlflow.MlflowClient(self.uri)

    def runs(self):
        experiment = self.client.get_experiment_by_name(self.experiment)
        found = [] if experiment is None else self.client.search_runs([experiment.experiment_id])
        return sorted(found, key=lambda run: run.info.start_time)

    def parent(self):
        (parent,) = [run for run in self.runs() if run.data.tags.get("kind") == "sweep"]
        return parent

    def children(self):
        """The jobs' runs by the option that tells them apart."""
        parent = self.parent().info.run_id
        return [run for run in self.runs() if run.data.tags.get("mlflow.parentRunId") == parent]

    def statuses(self):
        return sorted((run.data.tags["sweep.job"].split()[-1], run.info.status) for run in self.children())

    def table(self):
        parent = self.parent().info.run_id
        return pd.read_csv(
            mlflow.artifacts.download_artifacts(run_id=parent, artifact_path="sweep.csv", tracking_uri=self.uri)
        )

    def finished_seeds(self):
        """Seeds of the trainings that came to their end, in order."""
        file = self.folder / "started.txt"
        return [int(line) for line in file.read_text().split()] if file.exists() else []

    def wait_for(self, condition, process=None):
        """Wait until a condition gives something, if given while a command runs, and return that."""
        for _ in range(10 * self.patience):
            if found := condition():
                return found
            assert process is None or process.poll() is None, process.communicate()
            time.sleep(0.1)
        if process is not None:
            process.kill()
        raise AssertionError("it did not happen")
