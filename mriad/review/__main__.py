"""Serve the page of a prediction on this machine: mriad review FOLDER; see --help."""

from __future__ import annotations

import argparse
import getpass
import shlex
import sys
import webbrowser
from pathlib import Path

from mriad.errors import MriadError, OptionParser, fail
from mriad.invocation import typed
from mriad.review.options import parsed


def _options() -> argparse.Namespace:
    parser = OptionParser(
        usage=f"{typed('review')} [-h] [--port PORT] [--reader NAME] [--open] FOLDER",
        description="Serve the page of a prediction, which predict writes with review=true, on 127.0.0.1, and keep "
        "each mark that is made on it at once in marks.csv beside the page. Ctrl-C ends it.",
    )
    parser.add_argument("folder", metavar="FOLDER", type=Path, help="output of a prediction, or its folder review")
    parser.add_argument(
        "--port", type=int, default=8321, help="port on 127.0.0.1, 0 for any that is free (default: 8321)"
    )
    parser.add_argument(
        "--reader", metavar="NAME", help="who reads, which can be changed on the page (default: your login)"
    )
    parser.add_argument("--open", action="store_true", help="open the page in the browser")
    return parsed(parser)


def main() -> None:
    """Run the command; bad input ends with one sentence and exit code 1."""
    options = _options()
    try:
        from mriad.review.folder import review_folder  # heavy: --help need not wait for it
        from mriad.review.server import ReviewServer

        folder = review_folder(options.folder)
        server = ReviewServer(folder, port=options.port, reader=options.reader or _login())
    except MriadError as error:
        fail(str(error))
    except KeyboardInterrupt:
        sys.exit(130)
    with server:
        print(f"Review  {server.address}", flush=True)
        print(f"Marks   {server.marks}", flush=True)
        print("Ctrl-C ends it.", flush=True)
        if options.open:
            webbrowser.open(server.address)
        try:
            server.serve_forever()
        except KeyboardInterrupt:
            print("Ended; each mark is in the file.", file=sys.stderr)
            if server.marks.exists():
                file = shlex.quote(str(server.marks))
                print(
                    f"Agree   {typed('agreement')} {file}\nLabels  {typed('labels')} {file} --with=FOLDER_THAT_TRAINED"
                )


def _login() -> str:
    try:
        return getpass.getuser()
    except (OSError, KeyError):
        return "reader"


if __name__ == "__main__":
    main()
