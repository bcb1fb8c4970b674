"""The one error that a user of mriad is meant to read."""


class MriadError(Exception):
    """Bad input or a bad option, told in one sentence: what is wrong, where, and what to do.

    The commands print the sentence without a stack trace and exit with code 1.
    """


def told(error: BaseException) -> MriadError | None:
    """The MriadError that an exception is or was raised from, for Hydra wraps what a constructor raises; else None."""
    cause: BaseException | None = error
    while cause is not None and not isinstance(cause, MriadError):
        cause = cause.__cause__
    return cause
