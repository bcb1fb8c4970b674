"""Types a training, the toy if no other, as ``commands.command_line`` does, with a store of its own."""

import time
from dataclasses import dataclass
from pathlib import Path

import mlflow
import pandas as pd
from commands.command_line import Terminal

TOY = Path(__file__).with_name("toy.py")


@dataclass
class Toy:
    """A folder with a store, and a training typed in it."""

    folder: Path
    uri: str
    script: Path = TOY
    experiment: str = "mriad"
    patience: int = 1200  # seconds after which it counts as hanging, also on a machine that is busy

    def __post_init__(self):
        self._terminal = Terminal(self.folder, draws=True, MLFLOW_TRACKING_URI=self.uri)

    def start(self, *options, **environment):
        return self._terminal.start(str(self.script), *options, environment=environment)

    def type(self, *options, **environment):
        """Run a command to its end: exit code, and the one sentence it ended with, if any."""
        outcome = self.start(*options, **environment).wait(self.patience)
        self.said = outcome.out + outcome.err
        assert len(outcome.errors) == (outcome.code == 1), self.said
        return outcome.code, "".join(outcome.errors)

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

    def wait_for(self, condition, command=None):
        """Wait until a condition gives something, if given while a command runs, and return that."""
        for _ in range(10 * self.patience):
            if found := condition():
                return found
            assert command is None or command.runs, command.wait()
            time.sleep(0.1)
        raise AssertionError("it did not happen")
