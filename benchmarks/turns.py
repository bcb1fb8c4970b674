"""How two things are compared on a machine that is never quite quiet: in turns, by medians; and how a cost grows."""

from __future__ import annotations

import math
import time
from collections.abc import Callable, Iterator, Mapping, Sequence
from itertools import pairwise
from statistics import median

TURNS = 5


def alternate(
    sides: Mapping[str, Callable[[], object]], *, turns: int = TURNS, clock: Callable[[], float] = time.perf_counter
) -> dict[str, list[float]]:
    """Let all sides work in turns, so that whatever slows the machine down meets all of them alike.

    Args:
        sides: what is timed, by name; each works once before, untimed.
        turns: how often each works.
        clock: gives seconds.

    Returns:
        The seconds of each turn, by name.
    """
    seconds: dict[str, list[float]] = {name: [] for name in sides}
    for turn in range(turns + 1):
        for name, work in sides.items():
            start = clock()
            work()
            if turn:
                seconds[name].append(clock() - start)
    return seconds


def repeat(
    work: Callable[[], object],
    *,
    turns: int = TURNS,
    budget: float = math.inf,
    clock: Callable[[], float] = time.perf_counter,
) -> list[float]:
    """Seconds of each time that ``work`` was done: once at least, then no more where ``budget`` seconds are spent."""
    seconds: list[float] = []
    while not seconds or (len(seconds) < turns and sum(seconds) < budget):
        start = clock()
        work()
        seconds.append(clock() - start)
    return seconds


def ratio(ours: Sequence[float], theirs: Sequence[float]) -> float:
    """How many times as large as theirs ours is, by medians."""
    return median(ours) / median(theirs)


def side_by_side(ours: Sequence[float], theirs: Sequence[float]) -> str:
    """Both medians in words."""
    return f"{median(ours):.3g} s to {median(theirs):.3g} s, medians of {min(len(ours), len(theirs))}"


def growing(measure: Callable[[int], float], sizes: Sequence[int], *, budget: float) -> Iterator[tuple[int, float]]:
    """Measure rising sizes as long as the next one is expected to take no more than ``budget`` seconds.

    The first two are measured in any case; the steepest growth so far says what to expect of the next.

    Yields:
        Size and seconds.
    """
    found: list[tuple[int, float]] = []
    for size in sizes:
        if len(found) > 1:
            last, seconds = found[-1]
            if seconds * (size / last) ** max(1.0, exponent(found)) > budget:
                return
        found.append((size, measure(size)))
        yield found[-1]


def exponent(points: Sequence[tuple[int, float]]) -> float:
    """The steepest exponent b between neighbours of (size, cost), where cost grows as size ** b.

    A fit through all of them would let a constant cost of the small sizes hide how the large ones grow.
    """
    pairs = pairwise(points)
    return max(math.log(cost / before) / math.log(size / smaller) for (smaller, before), (size, cost) in pairs)


def extrapolated(points: Sequence[tuple[int, float]], size: int) -> float:
    """The cost at ``size`` on the line through the last two of (size, cost)."""
    (smaller, before), (larger, after) = points[-2:]
    return after + (after - before) / (larger - smaller) * (size - larger)
