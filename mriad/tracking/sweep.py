"""How a job of a sweep knows its parent run and its own name in it."""

from __future__ import annotations

import os
import shlex
from collections.abc import Iterable

from hydra.core.hydra_config import HydraConfig
from hydra.types import RunMode

PARENT_VARIABLE = "MRIAD_PARENT_RUN"
_NOT_OF_JOBS = ("resume_sweep", "hydra")


def parent_run() -> str | None:
    """Id of the parent run of the sweep that this job belongs to, or None."""
    return os.environ.get(PARENT_VARIABLE) if _in_a_sweep() else None


def this_job() -> str | None:
    """Name of this job in its sweep, or None outside of one."""
    return job_name(HydraConfig.get().overrides.task) if _in_a_sweep() else None


def slurm_job() -> str | None:
    """Id of the SLURM job that this process runs in, such as ``12``, or ``12_3`` in an array; None outside of one.

    SLURM_JOB_ID would not do in an array: that of its last job is the id of the array.
    """
    if "SLURM_ARRAY_TASK_ID" in os.environ:
        return f"{os.environ['SLURM_ARRAY_JOB_ID']}_{os.environ['SLURM_ARRAY_TASK_ID']}"
    return os.environ.get("SLURM_JOB_ID")


def job_name(overrides: Iterable[str]) -> str:
    """What tells a job of a sweep from the others: its options as they are typed, in one order.

    Args:
        overrides: options such as ``model=vae``; those of Hydra and of the sweep itself do not count.
    """
    return shlex.join(sorted(option for option in overrides if not _root(option).startswith(_NOT_OF_JOBS)))


def job_options(name: str) -> dict[str, str]:
    """The options of a job, by their names."""
    pairs = (option.partition("=") for option in shlex.split(name))
    return {key.lstrip("+~"): value for key, _, value in pairs}


def varied_options(names: Iterable[str]) -> list[str]:
    """Names of the options in which jobs differ, in alphabetical order."""
    values: dict[str, set[str | None]] = {}
    jobs = [job_options(name) for name in names]
    for key in sorted({key for job in jobs for key in job}):
        values[key] = {job.get(key) for job in jobs}
    return [key for key, found in values.items() if len(found) > 1]


def _root(option: str) -> str:
    return option.lstrip("+~").partition("=")[0]


def _in_a_sweep() -> bool:
    return HydraConfig.initialized() and HydraConfig.get().mode == RunMode.MULTIRUN
