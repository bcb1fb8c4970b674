"""What a training is, settled before it reads a scan."""

from __future__ import annotations

from contextlib import AbstractContextManager
from dataclasses import dataclass, field
from pathlib import Path

from hydra.utils import instantiate
from omegaconf import DictConfig, OmegaConf

from mriad.checkpoints.checkpoint import Checkpoint
from mriad.data.roles.recorded import RecordedSplit
from mriad.errors import MriadError
from mriad.experiment.initial import FROM_INIT, Initial
from mriad.experiment.members import Members
from mriad.experiment.naming import describe, labelled, tags, varied_here
from mriad.experiment.run import open_run
from mriad.models import Detector
from mriad.tracking.run import Run
from mriad.tracking.sweep import parent_run
from mriad.tracking.tracker import Tracker


@dataclass(frozen=True, kw_only=True)
class Training:
    """A training that is to be run.

    Args:
        config: its options, interpolations unresolved only where it is new.
        choices: the option file of each config group.
        folder: where it writes to.
        tracker: its store.
        processes: how many to start for its devices; 0 if this one will do, or is one of them.
        run_id: MLflow run to go on with; None for a new one.
        earlier: the checkpoint to go on from; None for new weights.
        members: the trained detectors that it makes one of; none for any other model.
        initial: the detector that gives a new training its first weights; None for new weights.
    """

    config: DictConfig
    choices: dict[str, str | None]
    folder: Path
    tracker: Tracker
    processes: int = 0
    run_id: str | None = None
    earlier: Checkpoint | None = None
    members: Members = field(default_factory=Members)
    initial: Initial | None = None

    @property
    def labelled_train(self) -> int:
        """Number of anomalous scans that train with their masks, those of the detector that gave weights included."""
        before = self.initial.labelled if self.initial else self.earlier.labelled_before if self.earlier else 0
        return self.config.data.get("labelled_train", 0) + before

    @property
    def split(self) -> RecordedSplit | None:
        """The roles that the scans have had; None to draw them."""
        if self.earlier:
            return self.earlier.roles()
        if self.initial and self.choices.get("split") == FROM_INIT:
            return self.initial.roles()
        return self.members.roles()

    def open_run(self) -> AbstractContextManager[Run]:
        """Its run: a new one, or that which it goes on with."""
        name = describe(self.choices, self.config.seed, self.labelled_train, varied_here(self.tracker))
        found = tags(self.choices, self.config.data, self.folder) | labelled(self.labelled_train)
        if self.initial:
            found["init"] = self.initial.name
        return open_run(self.tracker, name=name, tags=found, parent=parent_run(), resume=self.run_id)

    def detector(self) -> Detector:
        """What it trains, with weights that are new or its members'.

        Raises:
            MriadError: if what trains and what is served to it do not fit: masks for none, or none for masks, or cubes
                or slabs of volumes for what sees slices.
        """
        detector: Detector = instantiate(self.config.model)
        if self.members.checkpoints:  # each of them was asked when it was trained
            self.members.load_into(detector)
            return detector
        model = self.choices["model"]
        neighbours = OmegaConf.select(self.config, "data.slices.neighbours", default=0)
        if detector.neighbours != neighbours:
            raise MriadError(
                f"model={model} cannot see the neighbours of a slice, which data.slices.neighbours={neighbours} would "
                "show it; set that to 0, or choose model=ae, vae, dae or synthetic_anomaly."
            )
        size = OmegaConf.select(self.config, "data.patches.size")
        if size is not None and detector.spatial_dims != 3:
            raise MriadError(
                f"data.patches.size={size} cuts volumes into cubes, which model={model} cannot take; choose "
                "model=ae_3d or vae_3d and data of volumes, or set data.patches.size=null."
            )
        given = [option for option in ("anomalies", "labelled_train") if self.config.data.get(option)]
        if given and not detector.learns_masks:
            raise MriadError(
                f"model={model} learns from healthy scans only and would take the anomalous ones of data.{given[0]} "
                "for healthy; drop that option, or choose a model that learns from masks, such as "
                "model=synthetic_anomaly."
            )
        if detector.learns_masks and not given:
            raise MriadError(f"model={model} learns from masks; set anomalies=all, or data.labelled_train=<scans>.")
        if self.initial:
            self.initial.load_into(detector, str(model))
        return detector
