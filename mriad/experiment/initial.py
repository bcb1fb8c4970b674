"""Weights that travel: a training that starts from another detector's, of another contrast or site."""

from __future__ import annotations

import hashlib
import json
import logging
from dataclasses import dataclass, replace
from pathlib import Path
from typing import Any, Self

import numpy as np
from omegaconf import DictConfig, OmegaConf, open_dict

from mriad.checkpoints.checkpoint import Checkpoint
from mriad.checkpoints.named import of_run_or_path
from mriad.data.datamodule import MRIDataModule
from mriad.data.roles.identity import marks
from mriad.data.roles.recorded import RecordedSplit
from mriad.errors import MriadError
from mriad.experiment.members import preparation
from mriad.experiment.method import method_options
from mriad.experiment.provenance import logged_options
from mriad.models import Detector, TrainedDetector
from mriad.tracking.registry import run_id_of
from mriad.tracking.tracker import Tracker

log = logging.getLogger(__name__)

FROM_INIT = "from_init"
"""Option file of the split that gives scans the roles that they had in the training of ``init``."""

_FITTED_LATER = "score."  # what maps are compared with: it is fitted anew on the new val


@dataclass(frozen=True, kw_only=True)
class Initial:
    """The detector that a training has its first weights from.

    Args:
        name: run id or path.
        checkpoint: its checkpoint.
    """

    name: str
    checkpoint: Checkpoint

    @classmethod
    def find(cls, cfg: DictConfig, tracker: Tracker, folder: Path) -> Self:
        """The detector that ``init`` names.

        Args:
            cfg: the config of the training.
            tracker: the store that knows runs.
            folder: where a checkpoint is fetched to if its store is not on this machine.

        Raises:
            MriadError: if it is not to be found.
        """
        name = run_id_of(tracker.client, str(cfg.init), tracker.tracking_uri)
        return cls(name=name, checkpoint=of_run_or_path(name, tracker, folder))

    @property
    def labelled(self) -> int:
        """Number of anomalous scans that have trained it with their masks."""
        return self.checkpoint.labelled_train

    def join(self, config: DictConfig, choices: dict[str, str | None]) -> dict[str, str | None]:
        """Put what it is into the options of the training.

        Args:
            config: the options, which are changed: an alias may point at another run later.
            choices: the option file of each config group.

        Returns:
            The choices, with what a comparison tells methods apart by: the model, the data and the method of the
            detector, whatever its seed was.
        """
        with open_dict(config):
            config.init = self.name
        trained = self.checkpoint
        options = OmegaConf.to_container(trained.config)
        assert isinstance(options, dict)
        method = json.dumps(method_options(logged_options(options, trained.choices)), sort_keys=True)
        digest = hashlib.blake2b(method.encode(), digest_size=3).hexdigest()
        return choices | {"started_from": f"{trained.choices['model']} {trained.config.data.name} {digest}"}

    def load_into(self, detector: Detector, model: str) -> None:
        """Give a new detector its weights.

        Args:
            detector: what is to be trained.
            model: its option file.

        Raises:
            MriadError: if it has no weights, or is of another kind or shape.
        """
        trained = self.checkpoint
        if not isinstance(detector, TrainedDetector):
            raise MriadError(
                f"model={model} is fitted in one pass over the train scans and has no weights to start from; drop "
                f"init={self.name}, or choose a model that is trained."
            )
        theirs = trained.choices["model"]
        kind = trained.config.model._target_.rpartition(".")[2]
        if kind != type(detector).__name__:
            raise MriadError(
                f"init={self.name} is of model={theirs}, and its weights mean nothing to model={model}; set "
                f"model={theirs}, or give a detector that was trained with model={model}."
            )
        given = {name: value for name, value in trained.weights.items() if not name.startswith(_FITTED_LATER)}
        own = {name: value for name, value in detector.state_dict().items() if not name.startswith(_FITTED_LATER)}
        if (unlike := _unlike(given, own)) is not None:
            raise MriadError(
                f"The network of init={self.name} (model={theirs}) has another shape than that of model={model} here: "
                f"{unlike}; set the options model.network.* and data.image_size that it was trained with."
            )
        detector.load_state_dict(given, strict=False)

    def roles(self) -> RecordedSplit:
        """The roles that scans had in its training, and new ones for new scans, none of them in val or test.

        Raises:
            MriadError: if they are those of a published protocol, which may leak.
        """
        if self.checkpoint.published:
            raise MriadError(
                f"init={self.name} was trained by a published protocol, whose roles may leak; choose another split "
                f"than {FROM_INIT}."
            )
        return replace(self.checkpoint.roles(), takes_new=True, source=f"init={self.name}")

    def leave_out_known(self, datamodule: MRIDataModule) -> dict[str, float]:
        """Drop the scans of val and test that the detector was trained or calibrated on, and what resembles them.

        Scans that stood in its own val may stand in val again: no weight has learned from them. What it trained on may
        train again.

        Returns:
            How many were dropped, as metrics.

        Raises:
            MriadError: if val has no healthy scan left, or test none at all.
        """
        trained = self.checkpoint
        reasons = datamodule.recognise(trained.known, key=trained.key)
        split = datamodule.split_table
        known = split["row"].map(reasons) != ""
        content = marks(datamodule.table["content"].loc[split["row"]], kind="content", key=trained.key).to_numpy()
        in_val = trained.split["content"][trained.split["role"] == "val"].to_numpy()
        of_role = {role: split["role"] == role for role in ("val", "test")}
        dropped_of = {"val": of_role["val"] & known & ~np.isin(content, in_val), "test": of_role["test"] & known}
        counts = {role: (int(dropped_of[role].sum()), int(there.sum())) for role, there in of_role.items()}
        datamodule.split_table = split[~(dropped_of["val"] | dropped_of["test"])].reset_index(drop=True)
        for role, label in (("val", 0), ("test", None)):
            if len(datamodule.rows(role, label)) == 0 and counts[role][0]:
                raise MriadError(
                    f"No {'healthy ' if label == 0 else ''}scan is left for {role} in data set '{datamodule.name}': "
                    f"{counts[role][0]} of {counts[role][1]} are known from what init={self.name} was trained or "
                    "calibrated on; give data that it has not seen, or the data and the split that it was trained with."
                )
        for role, (dropped, total) in counts.items():
            if dropped:
                log.warning(
                    "%d of %d %s scans are known from what init=%s was trained or calibrated on, or resemble it, and "
                    "are left out.",
                    dropped,
                    total,
                    role,
                    self.name,
                )
        return {f"{role}/overlap_dropped": dropped for role, (dropped, _) in counts.items()}

    def warn_of_preparation(self, config: DictConfig) -> None:
        """Warn if scans are prepared otherwise than those that the detector has learned from."""
        theirs, ours = preparation(self.checkpoint.config), preparation(config)
        for option in theirs:
            if theirs[option] != ours.get(option):
                log.warning(
                    "init=%s was trained with %s=%s, and here it is %s: its weights know scans that look otherwise.",
                    self.name,
                    option,
                    theirs[option],
                    ours.get(option),
                )


def _unlike(given: dict[str, Any], own: dict[str, Any]) -> str | None:
    """The first weights that do not fit, in words; None if all do."""
    for name, value in own.items():
        if name not in given:
            return f"it has no {name}"
        if given[name].shape != value.shape:
            return f"{name} is {_size(given[name])} there and {_size(value)} here"
    return next((f"{name} is not there here" for name in given if name not in own), None)


def _size(value: Any) -> str:
    return " x ".join(map(str, value.shape)) or "a number"
