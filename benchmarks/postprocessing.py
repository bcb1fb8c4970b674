"""What a step of post-processing does to the maps of trained detectors, on the val scans that have a lesion mask.

``python -m benchmarks.postprocessing CKPT ... [model.turns=[0] ...]`` prints means over the checkpoints; each step
stands in the place of those that the detectors were trained to have, and options change what else is in their config.
"""

from __future__ import annotations

import sys
from collections.abc import Sequence
from copy import deepcopy
from dataclasses import replace
from pathlib import Path
from typing import Any

import numpy as np
import torch
from omegaconf import OmegaConf

from mriad.metrics.pixel import pixel_metrics
from mriad.tasks.checkpoint import Checkpoint
from mriad.tasks.session import load_data

STEPS: dict[str, dict[str, Any]] = {
    "none": {},
    "`Gaussian` of 1 pixel": {"_target_": "mriad.scoring.postprocess.Gaussian", "sigma": 1},
    "`Gaussian` of 2 pixels": {"_target_": "mriad.scoring.postprocess.Gaussian", "sigma": 2},
    "`Median` of 3 pixels": {"_target_": "mriad.scoring.postprocess.Median", "size": 3},
    "`Median` of 5 pixels": {"_target_": "mriad.scoring.postprocess.Median", "size": 5},
    "`Opening` of 3 pixels": {"_target_": "mriad.scoring.postprocess.Opening", "size": 3},
    "`SmallestComponent` of 20 pixels above 0.3": {
        "_target_": "mriad.scoring.postprocess.SmallestComponent", "area": 20, "threshold": 0.3
    },
}  # fmt: skip
SHOWN = {"pixel_ap": "pixel AP", "dice_oracle": "Dice, oracle", "pointing": "peak inside the lesion"}


def main(words: Sequence[str]) -> None:
    """Print a Markdown table."""
    options = [word for word in words if "=" in word]
    checkpoints = [Checkpoint.load(Path(word)) for word in words if "=" not in word]
    print(f"| step | {' | '.join(SHOWN.values())} |\n|---|{'---|' * len(SHOWN)}")
    for name, step in STEPS.items():
        found = [measured(checkpoint, step, options) for checkpoint in checkpoints]
        print(f"| {name} | {' | '.join(f'{np.mean([one[key] for one in found]):.3f}' for key in SHOWN)} |", flush=True)


@torch.inference_mode()
def measured(checkpoint: Checkpoint, step: dict[str, Any], options: Sequence[str]) -> dict[str, float]:
    """Pixel metrics of the val scans."""
    config = deepcopy(checkpoint.config)
    config.merge_with(OmegaConf.from_dotlist(list(options)))
    config.model.score.postprocess = [step] if step else []
    detector = replace(checkpoint, config=config).detector()
    data = load_data(config.data, roles=("val",), split=checkpoint.roles())
    rows = data.rows("val")
    rows = rows[data.cache.has_mask(rows)]
    rows = rows[data.cache.masks_of(rows).any(axis=(1, 2))]
    maps = [detector.scan(x)[0] for x in data.images(rows).split(32)]
    return pixel_metrics(torch.cat(maps).squeeze(1).numpy(), data.cache.masks_of(rows), threshold=0.5)


if __name__ == "__main__":
    main(sys.argv[1:])
