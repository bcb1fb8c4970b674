"""Trained detectors that become one: what they are, what they know, and the roles they leave to the scans."""

from __future__ import annotations

from collections.abc import Iterator, Mapping
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any, cast

import pandas as pd
from hydra.core.hydra_config import HydraConfig
from omegaconf import DictConfig, OmegaConf, open_dict

from mriad.checkpoints.checkpoint import Checkpoint, load_weights
from mriad.checkpoints.named import of_run_or_path
from mriad.data.datamodule import MRIDataModule
from mriad.data.roles.recorded import RecordedSplit
from mriad.errors import MriadError
from mriad.models import Detector, Ensemble
from mriad.tracking.registry import run_id_of
from mriad.tracking.tracker import Tracker

_OF_MEMBERS = ("anomalies=", "data.anomalies", "data.labelled_train", "data.slices.neighbours")
_OTHER_ROLES = (
    "The scans of {name} did not have the roles of those of {first}, so one may have trained on what the other is "
    "tested with; give runs of one data set and one split."
)


@dataclass(frozen=True, kw_only=True)
class Members:
    """The members of an ensemble that is to be made; none for any other model.

    Args:
        names: run ids or paths, as they were given.
        checkpoints: the checkpoint of each.
    """

    names: list[str] = field(default_factory=list)
    checkpoints: list[Checkpoint] = field(default_factory=list)

    @classmethod
    def find(cls, cfg: DictConfig, tracker: Tracker, folder: Path) -> Members:
        """The trained runs that ``model.runs`` names, where the model has members.

        Args:
            cfg: the config of the training.
            tracker: the store that knows the runs.
            folder: where a checkpoint is fetched to if its store is not on this machine.

        Raises:
            MriadError: if one is not to be found, or has not finished, or they do not fit together.
        """
        runs = cfg.model.get("runs", ())
        named = [runs] if isinstance(runs, str) else [str(name) for name in runs]
        names = [run_id_of(tracker.client, name, tracker.tracking_uri) for name in named]
        members = cls(names=names, checkpoints=[of_run_or_path(name, tracker, folder / name) for name in names])
        for name, member in members:
            member.require_calibration()
            if not member.seen_elsewhere.empty:
                raise MriadError(
                    f"{name} also knows scans of other data, by init= or calibrate=healthy, of which an ensemble keeps "
                    "no record; give runs that were trained from new weights."
                )
            if not _may_share_roles(member, members.checkpoints[0]):
                raise MriadError(_OTHER_ROLES.format(name=name, first=names[0]))
        return members

    def __iter__(self) -> Iterator[tuple[str, Checkpoint]]:
        return zip(self.names, self.checkpoints, strict=True)

    def roles(self) -> RecordedSplit | None:
        """The roles that all of them know; None where there is none of them."""
        return self.checkpoints[0].roles() if self.checkpoints else None

    def join(self, config: DictConfig, choices: dict[str, str | None]) -> dict[str, str | None]:
        """Put their options into the config of an ensemble.

        Args:
            config: its options, which are changed.
            choices: the option file of each config group.

        Returns:
            The choices with theirs.

        Raises:
            MriadError: if the command asks for other scans, other roles or another preparation than theirs.
        """
        if not self.checkpoints:
            return choices
        for override in HydraConfig.get().overrides.task:
            if override.lstrip("+~").startswith(("split=", "data.split")):
                raise MriadError(f"{override} cannot be set here: in an ensemble scans keep the roles of its members.")
            if override.lstrip("+~").startswith(_OF_MEMBERS):
                raise MriadError(f"{override} cannot be set here: an ensemble's members are trained; drop it.")
        for name, member in self:
            _require_same_data(name, member, config, choices)
        first = self.checkpoints[0]
        with open_dict(config):
            config.model.runs = self.names  # an alias may point at another run later
            config.model.members = [member.config.model for member in self.checkpoints]
            config.data.split = first.config.data.split
            config.data.labelled_train = max(member.labelled_train for member in self.checkpoints)
        # a comparison pools ensembles of the same models, not those of the same runs
        models = " + ".join(sorted(str(member.choices["model"]) for member in self.checkpoints))
        return choices | {"split": first.choices["split"], "members": models}

    def load_into(self, detector: Detector) -> None:
        """Give the members of an ensemble what they have learned."""
        if isinstance(detector, Ensemble):
            for member, checkpoint in zip(detector.members, self.checkpoints, strict=True):
                load_weights(cast(Detector, member), checkpoint.weights, checkpoint.path)

    def require_seen(self, datamodule: MRIDataModule) -> None:
        """Raise a MriadError if the members have not learned from the very scans of train and val, in the same roles.

        Contents tell, for each checkpoint marks its scans with a key of its own, and files may have been renamed.
        """
        learned = datamodule.table.loc[datamodule.split_table["row"][datamodule.split_table["role"] != "test"].unique()]
        for name, member in self:
            known = datamodule.recognise(member.seen, key=member.key)
            unknown = int((known[learned.index] != "content").sum())
            gone = member.seen["content"].nunique() - (learned["content"].nunique() - unknown)
            if unknown or gone:
                raise MriadError(
                    f"{unknown + gone} scans of train and val are not those that {name} was trained and calibrated on; "
                    "set data.root to the folder it was given."
                )
            if not _roles(datamodule.roles(member.key)) <= _roles(member.split):
                raise MriadError(_OTHER_ROLES.format(name=name, first=self.names[0]))


def _may_share_roles(one: Checkpoint, other: Checkpoint) -> bool:
    """Whether as many scans stood in each role, and those that were seen look alike; whether they are the same only the
    data can tell, see ``Members.require_seen``."""
    sizes = [member.split["role"].value_counts().to_dict() for member in (one, other)]
    looks = [sorted(member.seen["phash"]) for member in (one, other)]
    return sizes[0] == sizes[1] and looks[0] == looks[1]


def _roles(split: pd.DataFrame) -> set[tuple[str, str]]:
    return set(zip(split["content"], split["role"], strict=True))


def _require_same_data(name: str, member: Checkpoint, config: DictConfig, choices: Mapping[str, str | None]) -> None:
    data = member.choices["data"]
    if choices["data"] != data:
        raise MriadError(f"{name} was trained on data={data}, not on data={choices['data']}; set data={data}.")
    wanted, found = preparation(member.config), preparation(config)
    for option in [option for option in wanted if wanted[option] != found.get(option)][:1]:
        raise MriadError(
            f"{name} was trained with {option}={wanted[option]}, and here it is {found.get(option)}; "
            "set it likewise: members see a scan as they have learned to."
        )


def preparation(config: DictConfig) -> dict[str, Any]:
    """What is done to a scan, option by option."""
    preprocess = cast(dict[str, Any], OmegaConf.to_container(config.data.preprocess, resolve=True))
    return {"data.image_size": config.data.image_size} | {
        f"data.preprocess.{option}": value for option, value in preprocess.items()
    }
