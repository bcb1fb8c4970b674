"""A task on several devices: one process for each, which start, fail and end together.

Lightning would start the others by typing the command again, and with it the whole sweep that a job belongs to. Here
the job starts them all with its own config, as torchrun would, and waits for them. On several nodes srun or torchrun
starts them.
"""

from __future__ import annotations

import logging
import os
import signal
import sys
import tempfile
from pathlib import Path

import torch
from hydra.core.hydra_config import HydraConfig
from hydra.core.singleton import Singleton
from hydra.utils import instantiate
from omegaconf import DictConfig, ListConfig

from mriad.errors import MriadError, reason
from mriad.interrupts import OF_CLUSTERS
from mriad.processes.outcome import Task
from mriad.processes.team import WORK, Order, Team
from mriad.ranks import is_first, set_rank

log = logging.getLogger(__name__)

_STRATEGIES = ("ddp", "ddp_find_unused_parameters_true", "ddp_find_unused_parameters_false")


def processes_to_start(trainer: DictConfig) -> int:
    """How many processes a task needs that are not there yet; 0 if this one will do, or is one of them.

    Sets the rank of this process.

    Args:
        trainer: the options ``trainer``.

    Raises:
        MriadError: if the options do not fit each other, the machine, or what srun or torchrun has started.
    """
    strategy, nodes = str(trainer.get("strategy", "auto")), trainer.get("num_nodes", 1)
    devices = devices_per_node(trainer)
    if not strategy.startswith("ddp"):
        if devices * nodes > 1:
            raise MriadError(
                f"trainer.devices={trainer.devices} and trainer.num_nodes={nodes} take one process per device, which "
                f"strategy {strategy} has not; choose trainer=ddp, or one device."
            )
        set_rank(0)
        return 0
    if strategy not in _STRATEGIES:
        raise MriadError(f"trainer.strategy={strategy} starts its processes in another way; choose ddp.")
    place = _place()
    if place is None:
        if nodes > 1:
            raise MriadError(
                f"trainer.num_nodes={nodes} needs one process per device on each node; start them with srun or "
                "torchrun before the command."
            )
        return devices
    rank, count = place
    if count != devices * nodes:
        raise MriadError(
            f"trainer.devices={trainer.devices} times trainer.num_nodes={nodes} is {devices * nodes} devices, and "
            f"{count} processes were started; make them as many."
        )
    set_rank(rank)
    if not is_first():
        for number in OF_CLUSTERS:  # srun gives them to all ranks, and would end rank 0 when another has ended
            signal.signal(number, signal.SIG_IGN)
        logging.disable(logging.WARNING)
    return 0


def run_on_devices(count: int, task: Task, cfg: DictConfig) -> float | None:
    """Run a task in new processes, one per device of this machine, and end all of them when one fails.

    Rank 0 has the terminal; what the others print goes to ``rank<number>.log`` in the folder of the job.

    Args:
        count: number of devices.
        task: a function of a module.
        cfg: its config.

    Returns:
        What the task returned in rank 0.

    Raises:
        MriadError: if a process failed or died.
        KeyboardInterrupt: if this process was interrupted; rank 0 has had time to save its state.
    """
    with tempfile.TemporaryDirectory() as work:
        team = Team(count=count, work=Path(work), logs=Path(HydraConfig.get().runtime.output_dir))
        order = Order(task=task, config=cfg, singletons=Singleton.get_state(), arguments=sys.argv)
        try:
            team.start(order)
            failed = team.wait()
        except KeyboardInterrupt:
            team.interrupt()
            outcome = team.outcome()
            if outcome is None:
                _close_run(cfg, team.run_id(), "KILLED", "interrupted")
            raise KeyboardInterrupt(outcome.failure if outcome and outcome.failure else "") from None
        finally:
            team.end()
        if failed is None:
            outcome = team.outcome()
            assert outcome is not None
            return outcome.value
        failure = team.failure(failed)
        _close_run(cfg, team.run_id(), "FAILED", failure)
        raise MriadError(failure)


def announce(run_id: str) -> None:
    """Tell the job whose devices this task runs on which run it has opened, so that it can be closed in any case."""
    if folder := os.environ.get(WORK):
        (Path(folder) / "run").write_text(run_id)


def devices_per_node(trainer: DictConfig) -> int:
    """Number of devices that the options ``trainer`` ask for on each node.

    Raises:
        MriadError: if that is no number, or more than there are.
    """
    wanted, accelerator = trainer.get("devices", "auto"), trainer.get("accelerator", "auto")
    gpus = torch.cuda.device_count() if accelerator in ("auto", "gpu", "cuda") else 0
    if wanted in (-1, "auto"):
        return max(gpus, 1)
    if isinstance(wanted, ListConfig) and len(wanted) > 0:
        count = len(wanted)
    elif isinstance(wanted, int) and wanted > 0:
        count = wanted
    else:
        raise MriadError(f"trainer.devices={wanted} is no number of devices; give 1 or more, or GPUs as in [0,1].")
    if count > max(gpus, 1) and (gpus or accelerator in ("gpu", "cuda")):
        raise MriadError(f"trainer.devices={wanted} is more than the {gpus} GPUs of this machine; lower it.")
    return count


def _place() -> tuple[int, int] | None:
    """Rank and number of the processes, if something has started them: a job of mriad, torchrun or srun."""
    known = os.environ
    if "TORCHELASTIC_RUN_ID" in known:
        return int(known["RANK"]), int(known["WORLD_SIZE"])
    if int(known.get("SLURM_STEP_NUM_TASKS", "1")) > 1:  # a step, not the batch script round it
        return int(known["SLURM_PROCID"]), int(known["SLURM_STEP_NUM_TASKS"])
    return None


def _close_run(cfg: DictConfig, run_id: str | None, status: str, failure: str) -> None:
    """Close the run of a rank 0 that may not have been able to."""
    if run_id is None:
        return
    try:
        instantiate(cfg.logger).find(run_id).close(status, failure)
    except Exception as error:  # must not hide why the task ended
        log.warning("Run %s is not closed in its store: %s", run_id, reason(error))
