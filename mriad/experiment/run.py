"""The run of a task in the store: opened by rank 0 alone."""

from __future__ import annotations

from collections.abc import Callable, Iterator
from contextlib import contextmanager
from typing import Any, cast

from mriad.processes.devices import announce
from mriad.ranks import is_first
from mriad.tracking.run import Run
from mriad.tracking.tracker import Tracker


@contextmanager
def open_run(tracker: Tracker, **options: Any) -> Iterator[Run]:
    """The run of a task, see ``Tracker.run``; in a process other than rank 0 one that keeps nothing."""
    if not is_first():
        yield cast(Run, _NoRun())
        return
    with tracker.run(**options) as run:
        announce(run.run_id)
        yield run


class _NoRun:
    """In the place of a run where rank 0 has the real one."""

    run_id = experiment_id = uri = ""

    def __getattr__(self, name: str) -> Callable[..., None]:
        return lambda *_, **__: None
