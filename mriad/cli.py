"""The command mriad, and behind it all that train.py, evaluate.py and predict.py do: one road for both."""

from __future__ import annotations

import ctypes
import os
import sys
from difflib import get_close_matches
from functools import partial
from importlib import import_module
from typing import TYPE_CHECKING

import mriad
from mriad.errors import fail
from mriad.invocation import VARIABLE

if TYPE_CHECKING:
    from mriad.command import Task

TASKS = {
    "train": "train a detector on healthy scans, calibrate its threshold, test it",
    "evaluate": "test a trained detector again, under another threshold, or on other data",
    "predict": "score scans with a trained detector",
    "listen": "score what a scanner or an archive sends over the network",
    "audit": "tell what a data set gives away without any model",
    "export": "write a trained detector as ONNX, for programs without mriad",
    "serve": "answer over HTTP with a trained detector",
    "register": "give a trained detector a name in MLflow's registry, and an alias",
}
OTHERS = {
    "compare": ("mriad.compare.__main__", "compare tested runs"),
    "review": ("mriad.review.__main__", "serve the page of a prediction, and keep the marks that are made on it"),
    "agreement": ("mriad.review.agree", "tell how far readers agree with each other and with the detector"),
    "labels": ("mriad.review.label", "make labels of what readers have marked"),
    "ui": ("mriad.tracking.ui", "open MLflow's pages on this machine"),
    "resend": ("mriad.tracking.__main__", "send what runs have logged while their MLflow store was away"),
}
_NAMES = (*TASKS, *OTHERS)
_TURNS = "1000"  # of a loop that waits, about 0.05 ms
_KEPT = 2**30  # bytes of freed memory, about what the steps of a training take and free
_TRIM_THRESHOLD, _MMAP_THRESHOLD = -1, -3  # as <malloc.h> numbers them
_COMPLETION = ("-sc", "--shell-completion")


def run_task(name: str) -> None:
    """Run a task under Hydra with the command line's options.

    Args:
        name: of the task and of its config in ``conf``.
    """
    from mriad.command import run  # Hydra: the other commands need not wait for it

    _let_idle_threads_sleep()
    _keep_freed_memory()
    run(partial(_task, name), config=name)


def main() -> None:
    """Run the command that stands first on the command line."""
    words = sys.argv[1:]
    if not words or words[0] in ("-h", "--help"):
        print(_help())
        return
    if words[0] == "--version":
        print(f"mriad {mriad.__version__}")
        return
    if any(word in _COMPLETION for word in words[:2]):
        _complete(words)
        return
    name = words[0]
    if name not in _NAMES and is_bids_app(words):
        from mriad.bids_app import run_as_bids_app

        run_as_bids_app(words, predict=partial(run_task, "predict"))
        return
    if name not in _NAMES:
        near = get_close_matches(name, _NAMES, n=1)
        meant = f"did you mean {near[0]}? mriad" if near else "mriad"
        fail(f"There is no command '{name}'; {meant} --help lists those there are.")
    os.environ[VARIABLE] = "1"
    sys.argv = [f"mriad {name}", *words[1:]]
    if name in TASKS:
        run_task(name)
    else:
        import_module(OTHERS[name][0]).main()


def is_bids_app(words: list[str]) -> bool:
    """Whether a command line is that of a BIDS app: ``mriad bids_dir out_dir participant``."""
    return len(words) > 2 and any(level in words for level in ("participant", "group"))


def _let_idle_threads_sleep() -> None:
    """Let torch's threads give their core away soon after a loop in which they shared the work.

    GNU's OpenMP lets them turn 300,000 times, 20 ms, before they sleep, for the next loop may come soon. Beside another
    busy process they turn while the thread that they wait for has no core, and two threads are slower than one. It
    reads the number as torch is loaded.
    """
    if "OMP_WAIT_POLICY" not in os.environ:
        os.environ.setdefault("GOMP_SPINCOUNT", _TURNS)


def _keep_freed_memory() -> None:
    """Let glibc keep what a step of a training frees for the next one.

    It gives blocks of 32 MB and more back to the system, which hands them out again page by page, each of them filled
    with zeros first: a quarter of the time that ``ae`` trains, whose weights and gradients are such blocks. What the
    environment says of it stands, and other libraries of C know of no ``mallopt``.
    """
    mallopt = getattr(ctypes.CDLL(None), "mallopt", None) if sys.platform == "linux" else None
    if mallopt is None or any(name.startswith("MALLOC_") for name in os.environ):
        return
    for threshold in (_TRIM_THRESHOLD, _MMAP_THRESHOLD):
        mallopt(threshold, _KEPT)


def _task(name: str) -> Task:
    """Import a task; heavy, so only once the options are known to be right."""
    task: Task = getattr(import_module(f"mriad.tasks.{name}"), name)
    return task


def _help() -> str:
    told = TASKS | {name: what for name, (_, what) in OTHERS.items()}
    lines = [f"  {name:<10}{what}" for name, what in told.items()]
    return "\n".join(
        [
            "usage: mriad COMMAND [OPTIONS]",
            "",
            "mriad finds anomalies in brain MRI after training on healthy scans only.",
            "",
            *lines,
            "",
            "As a BIDS app: mriad BIDS_DIR OUTPUT_DIR participant [--participant-label LABEL ...] [--help]",
            "",
            "mriad COMMAND --help lists the options of a command, and all that stands behind them.",
            'Tab completion in bash: eval "$(mriad train --shell-completion install=bash)"',
        ]
    )


def _complete(words: list[str]) -> None:
    """Answer a shell: install its completion, or complete what has been typed so far.

    Hydra completes the options of one program. Here the first word names the command, so it is completed here, and
    taken out of the line before Hydra sees it.
    """
    name = words[0] if words[0] in TASKS else "train"
    sys.argv = ["mriad", *[word for word in words if word != name]]
    if (line := os.environ.get("COMP_LINE")) is None:
        run_task(name)
        return
    program, *typed = line.split()
    if len(typed) + line.endswith(" ") < 2:
        print(" ".join(_NAMES))
        return
    if typed[0] not in TASKS:
        return
    os.environ["COMP_LINE"] = " ".join([program, *typed[1:]]) + " " * (line.endswith(" ") or not typed[1:])
    folder = next((place for place, word in enumerate(typed) if word in ("--config-dir", "-cd")), None)
    if folder is not None and os.path.isdir("".join(typed[folder + 1 : folder + 2])):
        sys.argv += typed[folder : folder + 2]
    run_task(typed[0])
