"""Options of the commands round a page, written as other programs write theirs or as mriad's tasks do."""

from __future__ import annotations

import argparse
import re
import sys

from mriad.errors import OptionParser


def parsed(parser: OptionParser) -> argparse.Namespace:
    """The options of the command line; ``port=8000`` means ``--port=8000`` where there is such an option."""
    known = {option.removeprefix("--") for option in parser._option_string_actions if option.startswith("--")}
    words = [
        f"--{name[1].replace('_', '-')}={word[name.end() :]}"
        if (name := re.match(r"([a-z][a-z_-]*)=", word)) and name[1].replace("_", "-") in known
        else word
        for word in sys.argv[1:]
    ]
    return parser.parse_args(words)
