"""train.py with a training that takes no time: everything around it is real, the sweeper, launchers and store."""

import os
import signal
import time
from pathlib import Path

from mriad.command import run
from mriad.errors import MriadError

UNLUCKY, DEADLY, REFUSED, ENDLESS = 13, 14, 15, 16  # seeds that end badly, unless HEALED


def train(cfg):
    from hydra.utils import instantiate

    from mriad.tracking.sweep import parent_run

    seed = 0 if "HEALED" in os.environ else cfg.seed
    if seed == REFUSED:
        raise MriadError("seed=15 is refused; take another.")
    tracker = instantiate(cfg.logger)
    earlier = None
    if "SLURM_RESTART_COUNT" in os.environ:
        from mriad.experiment.resume import requeued_run

        earlier = requeued_run(tracker)
    with tracker.run(
        name=f"seed {cfg.seed}", tags={"kind": "training"}, parent=parent_run(), resume=earlier
    ) as tracked:
        if seed == UNLUCKY:
            raise ValueError("unlucky")
        if seed == int(os.environ.get("DEADLY_SEED", DEADLY)) or cfg.model.get("beta") == 0.5:
            os.kill(os.getpid(), signal.SIGKILL)
        while seed == ENDLESS:
            time.sleep(0.05)
        value = None if "UNLABELLED" in os.environ else 0.5 + cfg.seed / 100 - abs(cfg.model.get("beta", 0.0))
        tracked.log_metrics({"val/auroc": value or float("nan"), "val/loss": cfg.seed + 1.0})
        with Path("started.txt").open("a") as log:
            log.write(f"{cfg.seed}\n")
        return value if cfg.objective == "val/auroc" else cfg.seed + 1.0


def load_task():
    return train


if __name__ == "__main__":
    run(load_task, config="train")
