"""The queue before a detector: so many places, one scan looked at at a time, and an end to all waiting."""

from __future__ import annotations

import asyncio
import time
from collections.abc import Awaitable, Callable
from concurrent.futures import Future, ThreadPoolExecutor
from threading import Lock
from typing import TypeVar

from mriad.errors import MriadError

T = TypeVar("T")
_LOOK = 0.25  # seconds between looks whether a client is still there


class OverTimeError(MriadError):
    """A scan has taken longer than it may."""


class HungUp(Exception):  # noqa: N818  an event, not an error
    """The client is gone; nobody waits for an answer."""


class Place:
    """A place in the queue, which is given back once, by whoever has it last."""

    def __init__(self, give_back: Callable[[], None]) -> None:
        self._give_back, self._taken, self._handed_on = give_back, True, False

    def hand_to(self, work: Future[T]) -> None:
        """Let a job have the place: it is free when the job has ended, or was called off before it began."""
        self._handed_on = True
        work.add_done_callback(lambda _: self._free())

    def leave(self) -> None:
        """Give it back, unless a job has it."""
        if not self._handed_on:
            self._free()

    def _free(self) -> None:
        if self._taken:
            self._taken = False
            self._give_back()


class Desk:
    """Where scans wait for the one thread that looks at them.

    Args:
        places: how many requests may be under way at once, those that still send their scan among them.
        seconds: how long a scan may wait and be looked at.

    Attributes:
        taken: how many places are taken.
    """

    def __init__(self, *, places: int, seconds: float) -> None:
        self.places, self.taken = places, 0
        self._seconds = seconds
        self._counting = Lock()
        self._worker = ThreadPoolExecutor(1, thread_name_prefix="detector")

    def enter(self) -> Place | None:
        """A place; None if there is none left."""
        with self._counting:
            if self.taken >= self.places:
                return None
            self.taken += 1
        return Place(self._leave)

    def _leave(self) -> None:
        with self._counting:
            self.taken -= 1

    async def work(self, job: Callable[[], T], place: Place, is_gone: Callable[[], Awaitable[bool]]) -> T:
        """Do a job when its turn comes.

        Args:
            job: what is to be done, in the worker's thread.
            place: the request's.
            is_gone: whether the client has hung up.

        Raises:
            OverTimeError: if it takes too long; a job that has begun goes on, and keeps its place until it ends.
            HungUp: if the client is gone, likewise.
        """
        until = time.monotonic() + self._seconds
        future = self._worker.submit(job)
        place.hand_to(future)
        ended = asyncio.wrap_future(future)
        ended.add_done_callback(lambda done: done.cancelled() or done.exception())  # which nobody may wait for any more
        while not (await asyncio.wait({ended}, timeout=_LOOK))[0]:
            if await is_gone():
                future.cancel()
                raise HungUp
            if time.monotonic() > until:
                future.cancel()
                raise OverTimeError(
                    f"The scan has taken more than {self._seconds:g} seconds; send a smaller one, or later."
                )
        return ended.result()

    def close(self) -> None:
        """Call off what waits."""
        self._worker.shutdown(wait=False, cancel_futures=True)
