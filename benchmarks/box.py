"""The detector in the box, of a checkpoint: ``python -m benchmarks.box CHECKPOINT``.

What a training leaves in its checkpoint of the machine and the store that it ran on is left out; weights, options,
calibration, and the marks by which its scans are known stay.
"""

from __future__ import annotations

import argparse
from pathlib import Path

import torch

from mriad.checkpoints.box import PLACE
from mriad.checkpoints.checkpoint import Checkpoint
from mriad.models.detector import CHECKPOINT_KEY

_OF_THE_MACHINE = ("hydra", "logger", "trainer", "callbacks")


def main() -> None:
    """Write ``mriad/box/detector.ckpt``."""
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("checkpoint", type=Path, help="best.ckpt of a training")
    path = parser.parse_args().checkpoint
    Checkpoint.load(path).require_calibration()
    whole = torch.load(path, map_location="cpu", weights_only=True)
    record = whole[CHECKPOINT_KEY] | {"run_id": None}
    config = {name: part for name, part in record["config"].items() if name not in _OF_THE_MACHINE}
    record["config"] = config | {"data": config["data"] | {"root": None}}
    PLACE.parent.mkdir(exist_ok=True)
    kept = {name: whole[name] for name in ("state_dict", "epoch", "global_step", "pytorch-lightning_version")}
    torch.save(kept | {CHECKPOINT_KEY: record}, PLACE)
    print(f"{PLACE}: {PLACE.stat().st_size / 1e6:.1f} MB")


if __name__ == "__main__":
    main()
