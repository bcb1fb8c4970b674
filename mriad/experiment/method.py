"""The method of a run: the options that it shares with its repetitions under other seeds and on other machines."""

from __future__ import annotations

import json
from collections.abc import Mapping
from typing import Any

from mriad.tracking.run import METHOD, Run

# where and how a run was computed, or said by another option
_NOT_THE_METHOD = {
    "callbacks",
    "compile",
    "data.cache_dir",
    "data.download",
    "data.layout.manifest",
    "data.max_broken",
    "data.num_workers",
    "data.on_device",
    "data.preprocess.image_size",
    "data.root",
    "data.split.file",
    "data.val_on",
    "experiment",
    "init",
    "logger",
    "model.members",
    "model.network.image_size",
    "model.network.neighbours",
    "model.optimizer.fused",
    "model.runs",
    "objective",
    "resume",
    "seed",
    "threads",
    "trainer",
    "trainer.accelerator",
    "trainer.deterministic",
    "trainer.devices",
    "trainer.num_nodes",
    "trainer.strategy",
}


def method_options(params: Mapping[str, Any]) -> dict[str, str]:
    """The parameters of a training that make its method."""
    return {name: str(value) for name, value in params.items() if name not in _NOT_THE_METHOD}


def log_method(run: Run, params: Mapping[str, Any], *, threshold: Mapping[str, Any] | None = None) -> None:
    """Log ``method.json``, by which comparisons know what is to be compared.

    The data that an evaluation was run on are no part of it: a comparison has one test set.

    Args:
        run: where to.
        params: parameters of the training, its seed among them.
        threshold: the rule of an evaluation and its values, as in {'threshold': 'quantile', 'threshold.q': 0.5}; only
            values where the rule is the training's own.
    """
    options = method_options(params)
    own = {name: str(value) for name, value in (threshold or {}).items()}
    if own.get("threshold") not in (None, options.get("threshold")):
        options = {name: value for name, value in options.items() if name.partition(".")[0] != "threshold"}
    run.log_text(json.dumps({"seed": params.get("seed"), "options": options | own}, indent=2), METHOD)
