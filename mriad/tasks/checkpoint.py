"""A checkpoint carries all that evaluation and prediction need: config, weights, calibration."""

from __future__ import annotations

import pickle
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import pandas as pd
import torch
from hydra.utils import get_object, instantiate
from lightning import Trainer
from omegaconf import DictConfig, OmegaConf

from mriad.data.preprocess import Preprocess
from mriad.data.recorded import RecordedSplit
from mriad.errors import MriadError
from mriad.invocation import typed
from mriad.models.detector import CHECKPOINT_KEY, Detector
from mriad.thresholds import Calibration

_TRUSTED = ("mriad.", "torch.optim.", "lightning.", "albumentations.")
_TRUSTED_HOMES = (  # not all of the libraries: Lightning also has a function that unpickles any file
    "mriad.",
    "torch.optim.",
    "lightning.pytorch.trainer.",
    "lightning.pytorch.callbacks.",
    "lightning.pytorch.strategies.",
    "albumentations.augmentations.",
    "albumentations.core.composition.",
)
_RECORD = {"config", "choices", "split", "seen"}


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
        split: who stood in which role: path, role, group.
        seen: the scans that it was trained and calibrated on, as ``MRIDataModule.drop_seen`` knows them.
        resumable: whether it holds the state of the training besides the weights.
    """

    path: Path
    weights: dict[str, Any]
    config: DictConfig
    choices: dict[str, str | None]
    run_id: str | None
    calibration: Calibration | None
    split: pd.DataFrame
    seen: pd.DataFrame
    resumable: bool = False

    @classmethod
    def load(cls, path: Path) -> Checkpoint:
        """Read a checkpoint without running any code in it.

        Raises:
            MriadError: if the file is missing, is no checkpoint, or is not mriad's.
        """
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
        calibration = record.get("calibration")
        return cls(
            path=path,
            weights=content["state_dict"],
            config=DictConfig(record["config"]),
            choices=record["choices"],
            run_id=record.get("run_id"),
            calibration=Calibration.from_record(calibration) if calibration else None,
            split=pd.DataFrame(record["split"]),
            seen=pd.DataFrame(record["seen"]),
            resumable="optimizer_states" in content,
        )

    def detector(self) -> Detector:
        """The trained detector, in evaluation mode on the CPU."""
        detector = instantiate_trusted(self.config.model)
        load_weights(detector, self.weights, self.path)
        return detector.eval()

    def roles(self) -> RecordedSplit:
        """The roles that were drawn for the training."""
        return RecordedSplit(scans=self.split, published=(self.choices["split"] or "").startswith("published_"))

    @property
    def labelled_train(self) -> int:
        """Number of anomalous scans that trained with their masks."""
        return self.config.data.get("labelled_train", 0)

    def preprocess(self) -> Preprocess:
        """The preprocessing that the detector was trained with."""
        return instantiate_trusted(self.config.data.preprocess)

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


def load_weights(detector: Detector, weights: dict[str, Any], path: Path) -> None:
    """Load weights into a detector.

    Raises:
        MriadError: if they belong to another network.
    """
    try:
        detector.load_state_dict(weights)
    except RuntimeError as error:
        raise MriadError(
            f"{path} was made by another model than {type(detector).__name__} with these options "
            f"({str(error).splitlines()[1].strip() if len(str(error).splitlines()) > 1 else error}); "
            "use the options it was trained with."
        ) from None


def restore_best(trainer: Trainer, detector: Detector, folder: Path) -> Path:
    """Load the best weights of a training into the detector, where its checkpoints were chosen by a metric.

    Returns:
        Path of the checkpoint to be: the best one, or ``folder``/best.ckpt if none was chosen.
    """
    chosen = trainer.checkpoint_callback
    best = Path(getattr(chosen, "best_model_path", "") or folder / "best.ckpt")
    if getattr(chosen, "monitor", None) is not None and best.exists():
        load_weights(detector, torch.load(best, map_location="cpu", weights_only=True)["state_dict"], best)
    return best


def instantiate_trusted(config: DictConfig) -> Any:
    """Instantiate a config from a checkpoint, see ``require_trusted``."""
    require_trusted(config)
    return instantiate(config)


def require_trusted(config: DictConfig) -> None:
    """A checkpoint may be anybody's: its config may call nothing but what mriad and its libraries define.

    Raises:
        MriadError: if it names anything else.
    """
    for target in _targets(OmegaConf.to_container(config, resolve=True)):
        if not target.startswith(_TRUSTED) or not _home(target).startswith(_TRUSTED_HOMES):
            raise MriadError(f"The checkpoint asks for '{target}', which mriad does not use; do not trust the file.")


def _home(target: str) -> str:
    """Module that defines a target, whatever name it goes by, with a dot behind it."""
    try:
        found = get_object(target)
    except (ImportError, AttributeError, ValueError):
        raise MriadError(
            f"The checkpoint asks for '{target}', which this version of mriad does not have; "
            "use the version that wrote it."
        ) from None
    return f"{getattr(found, '__module__', None)}."


def _targets(node: Any) -> list[str]:
    if isinstance(node, dict):
        own = [str(node["_target_"])] if "_target_" in node else []
        return own + [target for value in node.values() for target in _targets(value)]
    if isinstance(node, list):
        return [target for value in node for target in _targets(value)]
    return []
