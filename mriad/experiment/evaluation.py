"""What an evaluation is, settled before it reads a scan."""

from __future__ import annotations

import copy
from contextlib import AbstractContextManager
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from hydra.core.hydra_config import HydraConfig
from omegaconf import DictConfig, OmegaConf, open_dict

from mriad.checkpoints.checkpoint import Checkpoint
from mriad.data.roles.grouping import Patients
from mriad.data.roles.recorded import RecordedSplit
from mriad.experiment.naming import describe, labelled, protocol, varied_here
from mriad.experiment.provenance import logged_options
from mriad.experiment.recalibration import Recalibration
from mriad.experiment.resume import requeued_run
from mriad.experiment.run import open_run
from mriad.thresholds import Calibration
from mriad.tracking.run import Run
from mriad.tracking.sweep import parent_run
from mriad.tracking.tags import OUTPUT_TAG
from mriad.tracking.tracker import Tracker

OF_TRAINING = {  # options of data, and their absence
    "augment": None,
    "anomalies": None,
    "labelled_train": 0,
    "on_device": None,
    "num_workers": None,
}


@dataclass(frozen=True, kw_only=True)
class Evaluation:
    """A test that is to be run.

    Args:
        folder: where it writes to.
        tracker: its store.
        checkpoint: the detector.
        source: the run that trained it, where the store knows it.
        calibration: threshold and pixel threshold that decide, unless they are fitted anew.
        data: options of the data to test on.
        elsewhere: whether these are not the training's own data.
        patients: what a patient's id in other data means, see :data:`mriad.data.roles.grouping.Patients`.
        recalibration: how threshold and pixel threshold are fitted anew on other data; None where they are not.
    """

    folder: Path
    tracker: Tracker
    checkpoint: Checkpoint
    source: Run | None
    calibration: Calibration
    data: DictConfig
    elsewhere: bool
    patients: Patients
    recalibration: Recalibration | None = None

    @property
    def choices(self) -> dict[str, str | None]:
        """What is tested, as a person would call it: model, data, and threshold rule."""
        model = self.checkpoint.choices["model"]
        return {"model": model, "data": self.data.name, "threshold": self.rule}

    @property
    def rule(self) -> str:
        """Name of the threshold rule."""
        return self.recalibration.rule.name if self.recalibration else self.calibration.rule

    @property
    def calibrate_options(self) -> dict[str, Any]:
        """The options by which threshold and pixel threshold are fitted anew; none where they are not."""
        return self.recalibration.options if self.recalibration else {}

    @property
    def trained_options(self) -> dict[str, Any]:
        """The parameters of the training."""
        config = OmegaConf.to_container(self.checkpoint.config)
        assert isinstance(config, dict)
        return logged_options(config, self.checkpoint.choices)

    @property
    def test_data(self) -> DictConfig:
        """The options of the data without what matters for train scans alone."""
        bare = copy.deepcopy(self.data)
        with open_dict(bare):
            bare.update(OF_TRAINING)
        return bare

    @property
    def split(self) -> RecordedSplit | None:
        """The roles that the training's own scans have had; None for other data, whose options say it."""
        return None if self.elsewhere else self.checkpoint.roles()

    @property
    def detector(self) -> str:
        """What the detector is called in a command."""
        return f"run={self.source.run_id}" if self.source else f"checkpoint={self.checkpoint.path}"

    @property
    def config(self) -> DictConfig:
        """The options of the training, with the data that is tested here."""
        config = self.checkpoint.config.copy()
        config.data = self.data
        with open_dict(config):
            for option in OF_TRAINING:
                config.data[option] = self.checkpoint.config.data.get(option)
        return config

    def open_run(self) -> AbstractContextManager[Run]:
        """Its run, below that of the training or of the sweep; the one that it has opened before if it was requeued."""
        trained = self.checkpoint
        name = describe(self.choices, trained.config.seed, trained.labelled_train, varied_here(self.tracker))
        return open_run(
            self.tracker,
            name=f"evaluate {name}"[:250],
            tags=self._tags(),
            parent=parent_run() or (self.source.run_id if self.source else None),
            resume=requeued_run(self.tracker),
        )

    def _tags(self) -> dict[str, str]:
        """The tags of its run; the protocol is that of the split that is tested."""
        trained = self.checkpoint
        place = {"kind": "evaluation", OUTPUT_TAG: str(self.folder.absolute())}
        source = {"source_run": trained.run_id} if trained.run_id else {}
        choices = HydraConfig.get().runtime.choices if self.elsewhere else trained.choices
        return place | source | protocol(choices, self.data) | labelled(trained.labelled_train)
