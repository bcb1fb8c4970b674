"""A checkpoint carries all that evaluation and prediction need: config, weights, calibration."""

from __future__ import annotations

import pickle
from collections.abc import Mapping
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any, cast

import pandas as pd
import torch
from hydra.utils import instantiate
from omegaconf import DictConfig, OmegaConf

from mriad.checkpoints.trusted import require_local, require_trusted
from mriad.checkpoints.whole_files import WholeFiles
from mriad.data.preparing.prepared import Preparation
from mriad.data.roles.recorded import RecordedSplit
from mriad.errors import MriadError
from mriad.invocation import typed
from mriad.models.detector import CHECKPOINT_KEY, Detector
from mriad.thresholds import Calibration

_RECORD = {"config", "choices", "key", "split", "seen"}
_NEARNESS = ("bits", "view", "mirrored")


@dataclass(frozen=True, kw_only=True)
class Checkpoint:
    """A checkpoint on disk.

    Args:
        path: the file.
        weights: state dict of the detector.
        config: the config of the training run, resolved.
        choices: the option file of each config group in it.
        run_id: MLflow run that made it.
        calibration: threshold, pixel threshold and val scores; None before calibration.
        key: what contents, paths and patients are marked with in the two tables, see ``roles.identity.marks``.
        split: who stood in which role: content, path, role, group; see ``MRIDataModule.roles``.
        seen: the scans of its data that it was trained and calibrated on, see ``MRIDataModule.seen``.
        seen_elsewhere: scans of other data: those that the detector had learned from which gave it its first weights,
            and those that it was recalibrated on.
        labelled_before: number of anomalous scans that trained that detector with their masks.
        trained: what the train scans were like: known 'contrasts', and of volumes 'spacing', the least and the greatest
            of their widest voxels in mm; empty in a checkpoint from before it was kept.
        resumable: whether it holds the state of the training besides the weights.
        epochs: how many the training had done.
    """

    path: Path
    weights: dict[str, Any]
    config: DictConfig
    choices: dict[str, str | None]
    run_id: str | None
    calibration: Calibration | None
    key: str
    split: pd.DataFrame
    seen: pd.DataFrame
    trained: dict[str, Any] = field(default_factory=dict)
    resumable: bool = False
    epochs: int = 0
    seen_elsewhere: pd.DataFrame = field(default_factory=pd.DataFrame)
    labelled_before: int = 0

    @classmethod
    def load(cls, path: Path) -> Checkpoint:
        """Read a checkpoint without running any code in it or that it names, see ``mriad.checkpoints.trusted``.

        Raises:
            MriadError: if the file is missing, is no checkpoint, is not mriad's, or asks for what mriad does not use.
        """
        if path.is_dir():
            inside = ", ".join(sorted(file.name for file in path.glob("*.ckpt")))
            raise MriadError(
                f"{path} is a folder{f' that holds {inside}' if inside else ''}; give the path of a .ckpt file in it."
            )
        if not path.is_file():
            raise MriadError(
                f"There is no checkpoint at {path}; give the path of a .ckpt file, or run=<MLflow run id>."
            )
        try:
            content = torch.load(path, map_location="cpu", weights_only=True, mmap=True)
        except (RuntimeError, pickle.UnpicklingError, EOFError, ValueError, OSError, KeyError):
            raise MriadError(
                f"{path} is no checkpoint that can be read; give a .ckpt file that mriad has written."
            ) from None
        record = content.get(CHECKPOINT_KEY) if isinstance(content, dict) else None
        if not isinstance(record, dict) or not record.keys() >= _RECORD or "state_dict" not in content:
            raise MriadError(f"{path} is a checkpoint of another program or of an older mriad; give one of this.")
        try:
            require_trusted(record["config"])
            require_local(content.get("callbacks"))
        except MriadError as error:
            raise MriadError(f"The checkpoint {path} is refused: {error}.") from None
        except RecursionError:
            raise MriadError(f"The checkpoint {path} is refused: it has no end; do not trust the file.") from None
        calibration = record.get("calibration")
        try:
            return cls(
                path=path,
                weights=content["state_dict"],
                config=DictConfig(record["config"]),
                choices=dict(record["choices"]),
                run_id=record.get("run_id"),
                calibration=Calibration.from_record(calibration) if calibration else None,
                key=record["key"],
                split=pd.DataFrame(record["split"]),
                seen=pd.DataFrame(record["seen"]),
                trained=dict(record.get("trained", {})),
                resumable="optimizer_states" in content,
                epochs=content.get("epoch", 0),
                seen_elsewhere=pd.DataFrame(record.get("seen_elsewhere", {})),
                labelled_before=record.get("labelled_before", 0),
            )
        except (AttributeError, KeyError, TypeError, ValueError):
            raise MriadError(f"{path} is damaged, or was written by another mriad; give one of this.") from None

    def detector(self) -> Detector:
        """The trained detector, in evaluation mode on the CPU."""
        detector = instantiate(self.config.model)
        load_weights(detector, self.weights, self.path)
        return detector.eval()

    def roles(self) -> RecordedSplit:
        """The roles that were drawn for the training."""
        nearness = {name: self.config.data.split[name] for name in _NEARNESS if name in self.config.data.split}
        return RecordedSplit(scans=self.split, key=self.key, published=self.published, **nearness)

    @property
    def known(self) -> pd.DataFrame:
        """All scans that it must not be tested with: those of ``seen`` and of ``seen_elsewhere``."""
        return (
            self.seen if self.seen_elsewhere.empty else pd.concat([self.seen, self.seen_elsewhere], ignore_index=True)
        )

    def write_recalibrated(self, path: Path, calibration: Calibration, *, seen: pd.DataFrame, run_id: str) -> None:
        """Write the same detector with another calibration.

        Args:
            path: of the new checkpoint.
            calibration: what it gets.
            seen: the scans that it was fitted on, marked with ``key``, see ``MRIDataModule.seen``.
            run_id: MLflow run that makes it.

        Raises:
            MriadError: if the disk is full.
        """
        content = torch.load(self.path, map_location="cpu", weights_only=True, mmap=True)
        elsewhere = pd.concat([self.seen_elsewhere, seen], ignore_index=True)
        record = content[CHECKPOINT_KEY] | {
            "calibration": calibration.as_record(),
            "seen_elsewhere": elsewhere.to_dict(orient="list"),
            "run_id": run_id,
        }
        WholeFiles().save_checkpoint({**content, CHECKPOINT_KEY: record}, path)

    @property
    def published(self) -> bool:
        """Whether its split repeats a published, flawed protocol."""
        return is_published(self.choices, self.config.data)

    @property
    def labelled_train(self) -> int:
        """Number of anomalous scans that trained with their masks, here or in the detector that it started from."""
        return self.config.data.get("labelled_train", 0) + self.labelled_before

    def preprocess(self) -> Preparation:
        """The preparation that the detector was trained with."""
        return cast(Preparation, instantiate(self.config.data.preprocess))

    def require_calibration(self) -> Calibration:
        """The calibration.

        Raises:
            MriadError: if the run ended before it was calibrated.
        """
        if self.calibration is None:
            raise MriadError(
                f"{self.path} has no threshold: its run ended before calibration; go on with "
                f"'{typed('train')} resume={self.run_id or self.path}'."
            )
        return self.calibration


def is_published(choices: Mapping[str, str | None], data: DictConfig) -> bool:
    """Whether a split repeats a published, flawed protocol: by its option file, or because ``published`` says so.

    Args:
        choices: the option file of each config group.
        data: the options ``data``.
    """
    option = OmegaConf.select(data, "split.published", default=False)
    return bool(option) or (choices.get("split") or "").startswith("published_")


def load_weights(detector: Detector, weights: dict[str, Any], path: Path) -> None:
    """Load weights into a detector.

    Raises:
        MriadError: if they belong to another network.
    """
    try:
        detector.load_state_dict(weights)
    except RuntimeError as error:
        why = str(error).splitlines()[1:2] or [str(error)]  # the first line names the class alone
        raise MriadError(
            f"{path} was made by another model than {type(detector).__name__} with these options "
            f"({why[0].strip()}); use the options it was trained with."
        ) from None
