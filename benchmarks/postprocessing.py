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
from hydra.utils import instantiate
from omegaconf import OmegaConf

from mriad.checkpoints.checkpoint import Checkpoint
from mriad.experiment.data import load_data
from mriad.metrics.pixel import pixel_metrics
from mriad.scoring import Score

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
    if len(options) == len(words):
        sys.exit("Give the paths of one or more checkpoints.")
    found = [measured(Checkpoint.load(Path(word)), options) for word in words if "=" not in word]
    print(f"| step | {' | '.join(SHOWN.values())} |\n|---|{'---|' * len(SHOWN)}")
    for name in STEPS:
        means = [np.mean([metrics[name][key] for metrics in found]) for key in SHOWN]
        print(f"| {name} | {' | '.join(f'{mean:.3f}' for mean in means)} |")


@torch.inference_mode()
def measured(checkpoint: Checkpoint, options: Sequence[str]) -> dict[str, dict[str, float]]:
    """Pixel metrics of the val scans, by step."""
    config = deepcopy(checkpoint.config)
    config.merge_with(OmegaConf.from_dotlist(list(options)))
    detector = replace(checkpoint, config=config).detector()
    if detector.score.atlas is not None:
        sys.exit(f"{checkpoint.path} compares its maps with an atlas of other steps; train it with score.atlas=false.")
    data = load_data(config.data, roles=("val",), split=checkpoint.roles())
    rows = data.rows("val")
    rows = rows[data.cache.has_mask(rows)]
    rows = rows[data.cache.masks_of(rows).any(axis=(1, 2))]
    batches, areas = data.images(rows).split(32), torch.from_numpy(data.cache.pixel_area(rows))
    maps = torch.cat([detector.anomaly_map(x).float() for x in batches])
    inside = torch.cat([detector.score.mask(x) for x in batches])

    def metrics(step: dict[str, Any]) -> dict[str, float]:
        score: Score = instantiate(config.model.score, postprocess=[step] if step else [])
        processed = score.postprocess(maps, inside, areas).squeeze(1).numpy()
        return pixel_metrics(processed, data.cache.masks_of(rows), threshold=0.5)

    return {name: metrics(step) for name, step in STEPS.items()}


if __name__ == "__main__":
    main(sys.argv[1:])
