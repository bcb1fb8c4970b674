"""Ctrl-C, and the signals by which a cluster ends a job, as one interrupt that tears no write apart."""

from __future__ import annotations

import signal
import threading
from collections.abc import Iterator
from contextlib import contextmanager
from types import FrameType

OF_CLUSTERS = (signal.SIGTERM, signal.SIGUSR1, signal.SIGUSR2)
_stopped = _held = _waiting = False


def listen() -> None:
    """Let TERM, USR1 and USR2 stop this process as Ctrl-C does, by a KeyboardInterrupt.

    Only the first of them counts: a second one, as TERM some time after USR2, must not disturb what the first has
    begun. Lightning leaves a signal alone that has a handler, so that its own requeueing on SLURM, by USR1, is off.
    """
    for number in OF_CLUSTERS:
        signal.signal(number, _stop)
    if signal.getsignal(signal.SIGINT) is signal.default_int_handler:  # else it runs in the background of a shell
        signal.signal(signal.SIGINT, _interrupt)


@contextmanager
def held() -> Iterator[None]:
    """Let an interrupt wait for the end of a write: a database may stay locked by one that was torn apart.

    Whoever presses Ctrl-C a second time does not wait.
    """
    global _held, _waiting
    if _held or threading.current_thread() is not threading.main_thread():
        yield
        return
    _held = True
    try:
        yield
    finally:
        _held = False
        if _waiting:
            _waiting = False
            raise KeyboardInterrupt


def _stop(number: int, frame: FrameType | None) -> None:
    global _stopped
    if not _stopped:
        _stopped = True
        _interrupt(number, frame)


def _interrupt(number: int, frame: FrameType | None) -> None:
    global _waiting
    if _held and not _waiting:
        _waiting = True
        return
    _waiting = False
    raise KeyboardInterrupt
