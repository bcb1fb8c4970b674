"""How mriad was called: what its messages tell a person to type, and where its option files are looked for."""

from __future__ import annotations

import os
import sys
from pathlib import Path

from mriad.errors import fail

VARIABLE = "MRIAD_CALLED_BY_NAME"  # set by the command mriad, for itself and for the processes that it starts
_IN_A_CLONE = {
    "train": "python train.py",
    "evaluate": "python evaluate.py",
    "predict": "python predict.py",
    "audit": "python -m mriad.audit",
    "compare": "python -m mriad.compare",
    "review": "python -m mriad.review",
    "agreement": "python -m mriad.review.agree",
    "labels": "python -m mriad.review.label",
    "resend": "python -m mriad.tracking resend",
    "ui": "make ui",
}
CONF = Path(__file__).with_name("conf")
"""The folder of mriad's own option files."""


def typed(command: str) -> str:
    """A command the way this user types it, such as ``mriad train``, or ``python train.py`` in a clone.

    Args:
        command: name of the command, such as ``train``.
    """
    name = f"mriad {command}"
    return name if VARIABLE in os.environ else _IN_A_CLONE.get(command, name)


def option_files() -> Path:
    """The folder of option files in which Hydra looks first: mriad's own, or the one that ``--config-dir`` names.

    Hydra would look into that one last, and a file there could not take the place of one of mriad's. So the two are
    exchanged: in ``sys.argv`` the option then names mriad's own.
    """
    for place, word in enumerate(sys.argv):
        option, equals, value = word.partition("=")
        if option not in ("--config-dir", "-cd"):
            continue
        if not equals:
            value = sys.argv[place + 1] if place + 1 < len(sys.argv) else ""
        if not (folder := Path(value).expanduser().absolute()).is_dir() or not value:
            fail(f"{option} names no folder ({value or 'nothing'}); give the one that your own option files lie in.")
        sys.argv[place : place + (1 if equals else 2)] = ["--config-dir", str(CONF)]
        return folder
    return CONF


def in_a_clone() -> bool:
    """Whether this code lies in a clone of its repository, and not where pip has put it."""
    return Path(__file__).parents[1].joinpath("train.py").exists()
