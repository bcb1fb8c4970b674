"""The one error that a user of mriad is meant to read, and how a command ends with it."""

from __future__ import annotations

import argparse
import sys
from typing import NoReturn


class MriadError(Exception):
    """Bad input or a bad option, told in one sentence: what is wrong, where, and what to do.

    The commands print the sentence without a stack trace and exit with code 1.
    """


class ReadError(MriadError):
    """A file could not be read this time, which says nothing of what it holds and must not be remembered of it."""


def told(error: BaseException) -> MriadError | None:
    """The MriadError that an exception is or was raised from, for Hydra wraps what a constructor raises; else None."""
    cause: BaseException | None = error
    while cause is not None and not isinstance(cause, MriadError):
        cause = cause.__cause__
    return cause


def fail(text: str) -> NoReturn:
    """End a command: the text as one line on stderr, exit code 1."""
    sentence = " ".join(line.strip() for line in text.splitlines() if line.strip())
    print(f"Error: {sentence}", file=sys.stderr)
    sys.exit(1)


class OptionParser(argparse.ArgumentParser):
    """Parses the options of a command that is not Hydra's, and ends with a sentence if they are wrong."""

    def error(self, message: str) -> NoReturn:
        """End the command."""
        fail(f"{message[0].upper()}{message[1:]}; --help lists the options.")
