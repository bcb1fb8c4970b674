"""A call in a Python process of its own: it goes there pickled, and its outcome comes back as JSON."""

from __future__ import annotations

import json
import os
import pickle
import signal
import subprocess
import sys
from collections.abc import Callable, Mapping
from dataclasses import asdict
from pathlib import Path
from typing import IO

import cloudpickle

from mriad.disk import written_whole
from mriad.interrupts import OF_CLUSTERS
from mriad.processes.outcome import Outcome

_ROOT = Path(__file__).parents[2]
_CALL, _OUTCOME = "call.pkl", "outcome.json"


class Process:
    """A process that runs one call. Ctrl-C reaches it through this object only.

    Args:
        call: what it runs; the signals of clusters are ignored there until it says otherwise.
        folder: empty folder that this user alone can write to.
        environment: variables that it has besides those of this process.
        output: file for what it prints; None for the terminal of this process.
    """

    def __init__(
        self,
        call: Callable[[], Outcome],
        *,
        folder: Path,
        environment: Mapping[str, str],
        output: IO[bytes] | None = None,
    ) -> None:
        self._outcome = folder / _OUTCOME
        (folder / _CALL).write_bytes(cloudpickle.dumps(call))
        path = os.pathsep.join([str(_ROOT), *filter(None, [os.environ.get("PYTHONPATH")])])
        self._process = subprocess.Popen(
            [sys.executable, "-m", __name__, str(folder)],
            stdin=subprocess.PIPE,
            stdout=output,
            stderr=subprocess.STDOUT if output else None,
            env={**os.environ, **environment, "PYTHONPATH": path},
            start_new_session=True,
        )

    def poll(self) -> int | None:
        """Its exit code; None while it runs."""
        return self._process.poll()

    def wait(self) -> None:
        """Wait until it has ended."""
        self._process.wait()

    def interrupt(self) -> None:
        """Let it be interrupted as by Ctrl-C."""
        self._process.send_signal(signal.SIGINT)

    def end(self) -> None:
        """Kill it if it still runs."""
        self._process.kill()
        self._process.wait()
        assert self._process.stdin is not None
        self._process.stdin.close()

    def outcome(self) -> Outcome | None:
        """How its call ended; None if it has not, or never will."""
        return Outcome(**json.loads(self._outcome.read_text())) if self._outcome.exists() else None

    def ending(self) -> str:
        """How it has ended itself, as in 'was killed by SIGKILL'."""
        code = self._process.wait()
        return f"was killed by {signal.Signals(-code).name}" if code < 0 else f"ended with exit code {code}"


def main(folder: Path) -> None:
    """In the new process: run the call and leave word how it ended."""
    signal.signal(signal.SIGINT, signal.default_int_handler)
    for number in OF_CLUSTERS:
        signal.signal(number, signal.SIG_IGN)
    call = pickle.loads((folder / _CALL).read_bytes())  # of a Process, in a folder that its user alone can write to
    outcome: Outcome = call()
    with written_whole(folder / _OUTCOME) as part:
        part.write_text(json.dumps(asdict(outcome)))
    sys.exit(outcome.failure is not None)


if __name__ == "__main__":
    main(Path(sys.argv[1]))
