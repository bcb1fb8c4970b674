"""What a run is called, and the tags by which it is found."""

from __future__ import annotations

import shlex
from collections.abc import Mapping
from pathlib import Path

from hydra.core.override_parser.overrides_parser import OverridesParser
from omegaconf import DictConfig

from mriad.checkpoints.checkpoint import is_published
from mriad.tracking.sweep import job_options, parent_run, this_job
from mriad.tracking.tags import OUTPUT_TAG
from mriad.tracking.tracker import Tracker

_NOT_NAMED = ("data.root", "run", "checkpoint", "init")  # options of a job that say nothing a person could read


def describe(
    choices: Mapping[str, str | None], seed: int, labelled_train: int, varied: Mapping[str, str] | None = None
) -> str:
    """Name of a run, such as 'vae nickparvar youden seed 0', with 'labelled 20' where so many scans trained.

    In a sweep what varies stands first, as in 'beta=0.01 seed 0 vae nickparvar youden': MLflow shows few letters.

    Args:
        choices: names of the option files.
        seed: of the training.
        labelled_train: number of anomalous scans that trained with their masks.
        varied: options in which the jobs of its sweep differ.
    """
    varied = {name: value for name, value in (varied or {}).items() if name not in _NOT_NAMED}
    words = {name: str(choices[name]) for name in ("model", "data", "threshold")}
    words |= {"data.labelled_train": f"labelled {labelled_train}"} if labelled_train else {}
    words |= {name: f"{name.rpartition('.')[2]}={_short(value)}" for name, value in varied.items() if name not in words}
    words |= {"init": f"from {choices['started_from']}"} if choices.get("started_from") else {}
    words["seed"] = f"seed {seed}"
    return " ".join(words[name] for name in sorted(words, key=lambda name: name not in varied))[:250]


def varied_here(tracker: Tracker) -> dict[str, str]:
    """The options of this job in which the jobs of its sweep differ; none outside of a sweep."""
    if (parent := parent_run()) is None:
        return {}
    given = OverridesParser.create().parse_overrides(shlex.split(tracker.find(parent).tags["overrides"]))
    shared = {option.key_or_group for option in given if not option.is_sweep_override()}
    return {name: value for name, value in job_options(this_job() or "").items() if name not in shared}


def tags(choices: Mapping[str, str | None], data: DictConfig, folder: Path) -> dict[str, str]:
    """Tags of a training run; ``data`` are the options of that name."""
    place = {OUTPUT_TAG: str(folder.absolute())}
    return {"kind": "training", **place, **protocol(choices, data), **labelled(data.get("labelled_train", 0))}


def labelled(labelled_train: int) -> dict[str, str]:
    """The tag of a detector that has seen anomalous scans with their masks; none for any other."""
    return {"labelled_train": str(labelled_train)} if labelled_train else {}


def protocol(choices: Mapping[str, str | None], data: DictConfig) -> dict[str, str]:
    """The tag that a published, flawed protocol carries; see ``is_published``."""
    return {"protocol": f"{choices.get('split')}: flawed on purpose"} if is_published(choices, data) else {}


def _short(value: str) -> str:
    """A number without the digits that a search draws beyond reading."""
    try:
        return f"{float(value):.4g}" if len(value) > 6 else value
    except ValueError:
        return value
