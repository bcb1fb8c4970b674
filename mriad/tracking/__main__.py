"""Send what waited for an MLflow store: python -m mriad.tracking resend FOLDER; see --help."""

from __future__ import annotations

import argparse
import sys
from pathlib import Path

from mriad.errors import MriadError, OptionParser, fail
from mriad.invocation import typed
from mriad.passwords import conceal_environment


def _options() -> argparse.Namespace:
    parser = OptionParser(
        usage=f"{typed('resend')} [-h] [--tracking-uri URI] FOLDER",
        description="Send what runs have logged while their MLflow store was away. It waits in the output folder of "
        "each run; the store gets it in its order and with its times, and nothing twice. What was interrupted can be "
        "repeated.",
    )
    parser.add_argument(
        "folder",
        metavar="FOLDER",
        type=Path,
        help="output folder of a run, or one above, such as that of a sweep",
    )
    parser.add_argument(
        "--tracking-uri",
        metavar="URI",
        help="the MLflow store, if it has moved since (default: the one that each run was logged to)",
    )
    words = sys.argv[1:]
    return parser.parse_args(words[1:] if words[:1] == ["resend"] else words)


def main() -> None:
    """Run the command; a store that is away ends with one sentence and exit code 1."""
    options = _options()
    conceal_environment()
    try:
        from mriad.tracking.resend import resend  # heavy: --help need not wait for it

        resend(options.folder, tracking_uri=options.tracking_uri)
    except MriadError as error:
        fail(str(error).replace("logger.tracking_uri", "--tracking-uri"))
    except KeyboardInterrupt:
        print("Interrupted; the same command goes on.", file=sys.stderr)
        sys.exit(130)


if __name__ == "__main__":
    main()
