"""The one error that a user of mriad is meant to read."""


class MriadError(Exception):
    """Bad input or a bad option, told in one sentence: what is wrong, where, and what to do.

    The commands print the sentence without a stack trace and exit with code 1.
    """
