"""What the processes that share one task know of each other: rank 0 speaks and writes for all of them."""

from __future__ import annotations

from typing import TypeVar, cast

from lightning.pytorch.utilities import rank_zero_only
from torch import distributed

Part = TypeVar("Part")


def set_rank(rank: int) -> None:
    """Say which of the processes this one is; Lightning's own idea of it before a training is a guess."""
    rank_zero_only.rank = rank  # type: ignore[attr-defined]


def is_first() -> bool:
    """Whether this process is rank 0, as the only process of a task is."""
    return rank_zero_only.rank == 0  # type: ignore[attr-defined]


def gather(part: Part) -> list[Part]:
    """What each process has, by rank, in every process; to be called in all of them. Tensors must be on the CPU."""
    if not _connected():
        return [part]
    parts: list[Part | None] = [None] * distributed.get_world_size()
    distributed.all_gather_object(parts, part)
    return cast(list[Part], parts)


def gather_on_first(part: Part) -> list[Part]:
    """What each process has, by rank, in rank 0 alone, and nothing elsewhere; to be called in all of them."""
    if not _connected():
        return [part]
    first = distributed.get_rank() == 0
    parts: list[Part | None] = [None] * distributed.get_world_size() if first else []
    distributed.gather_object(part, parts if first else None)
    return cast(list[Part], parts)


def _connected() -> bool:
    return distributed.is_available() and distributed.is_initialized()
