"""The one error that a user of mriad is meant to read, and how a command ends with it."""

from __future__ import annotations

import argparse
import errno
import re
import sys
from collections.abc import Iterable
from typing import NoReturn

from mriad.guesses import nearest

_FULL = (errno.ENOSPC, errno.EDQUOT)


class MriadError(Exception):
    """Bad input or a bad option, told in one sentence: what is wrong, where, and what to do.

    The commands print the sentence without a stack trace and exit with code 1.
    """


class ReadError(MriadError):
    """A file could not be read this time, which says nothing of what it holds and must not be remembered of it."""


def unknown(option: str, value: object, known: Iterable[object]) -> MriadError:
    """The error for a value that an option does not know, with the nearest one that it does.

    Args:
        option: its dotted name.
        value: what was given.
        known: what it may be.
    """
    *names, last = [str(name) for name in known]
    choice = f"{', '.join(names)} or {last}" if names else last
    guess = nearest(value, [*names, last])
    meant = f", perhaps {guess} was meant" if guess else ""
    return MriadError(f"{option}={value} is unknown{meant}; choose {choice}.")


def mriad_error(error: BaseException) -> MriadError | None:
    """The MriadError that an exception is or was raised from, for Hydra wraps what a constructor raises; else None.

    A full disk can meet whoever writes, and counts as one wherever it was not told before.
    """
    cause: BaseException | None = error
    while cause is not None and not isinstance(cause, MriadError):
        cause = cause.__cause__
    if cause is None and (why := no_room(error)):
        return MriadError(
            f"A file cannot be written ({why}); make room on that disk, or write to another: outputs go to "
            "hydra.run.dir, runs to logger.tracking_uri, prepared scans to data.cache_dir, the rest to TMPDIR."
        )
    return cause


def reason(error: BaseException) -> str:
    """Why something failed, in one line: a MriadError's sentence, else the exception's name and first line."""
    from mriad.passwords import hide  # needs OmegaConf, which an exported preparation does without

    first = hide(str(mriad_error(error) or error)).strip().split("\n")[0]
    return first if mriad_error(error) else f"{type(error).__name__}: {first}"


def in_a_line(error: BaseException) -> str:
    """What an exception says, without line breaks and full stop; its name where it says nothing."""
    return " ".join(str(error).split()).rstrip(".") or type(error).__name__


def no_room(error: BaseException) -> str | None:
    """What a full disk or quota has made a library say, in a few words; None if an exception is of another kind."""
    cause: BaseException | None = error
    for _ in range(10):  # a chain may close on itself
        if isinstance(cause, OSError) and cause.errno in _FULL:
            where = f" for {cause.filename}" if cause.filename else ""
            return f"{(cause.strerror or 'no space left on device').lower()}{where}"
        text = str(cause)
        if "database or disk is full" in text:  # SQLite, through whatever stands between
            return "the disk of the database is full"
        if isinstance(cause, OSError) and " requested and " in text and text.endswith(" written"):  # ndarray.tofile
            return "no space left on device"
        cause = cause and (cause.__cause__ or cause.__context__)
    return None


def fail(text: str) -> NoReturn:
    """End a command: the text as one line on stderr, exit code 1."""
    sentence = " ".join(line.strip() for line in text.splitlines() if line.strip())
    from mriad.passwords import hide  # see above

    print(f"Error: {hide(sentence)}", file=sys.stderr)
    sys.exit(1)


class OptionParser(argparse.ArgumentParser):
    """Parses the options of a command that is not Hydra's, and ends with a sentence if they are wrong."""

    def error(self, message: str) -> NoReturn:
        """End the command."""
        if wrong := re.match(r"unrecognized arguments: (-\S+)", message):
            typed, _, value = wrong[1].partition("=")
            if guess := nearest(typed, self._option_string_actions):
                message = f"{message}, perhaps {guess}{f'={value}' if value else ''} was meant"
        fail(f"{message[0].upper()}{message[1:]}; --help lists the options.")
