"""Open MLflow's pages on a store of this machine: mriad ui; see --help."""

from __future__ import annotations

import argparse
import os
import sys

from mriad.errors import OptionParser, fail
from mriad.invocation import typed
from mriad.tracking.store import database_file

# MLflow would start eight more processes, for jobs that mriad has none of, and tell its makers that it was started
_ENVIRONMENT = {"MLFLOW_SERVER_ENABLE_JOB_EXECUTION": "false", "MLFLOW_DISABLE_TELEMETRY": "true"}


def _options() -> argparse.Namespace:
    parser = OptionParser(
        prog=typed("ui"),
        description="Open MLflow's pages on a store of this machine: runs, figures, reports, registered models. "
        "Ctrl-C closes them.",
    )
    parser.add_argument(
        "--tracking-uri",
        metavar="URI",
        default=os.environ.get("MLFLOW_TRACKING_URI") or "sqlite:///mlflow.db",
        help="the MLflow store (default: MLFLOW_TRACKING_URI, or sqlite:///mlflow.db)",
    )
    parser.add_argument("--port", type=int, default=5000, help="port of this machine (default: 5000)")
    return parser.parse_args()


def main() -> None:
    """Become MLflow's server; what it could not show ends with one sentence and exit code 1."""
    options = _options()
    uri: str = options.tracking_uri
    if uri.startswith(("http://", "https://")):
        fail("The store is an MLflow server, which shows its pages itself; open its address in a browser.")
    if (file := database_file(uri)) and not file.is_file():
        fail(
            f"There is no MLflow store {uri}; name it with --tracking-uri, or go to the folder where the runs were "
            "trained."
        )
    command = ["-m", "mlflow", "ui", "--backend-store-uri", uri]
    # one worker is enough for one person, and none is ended for being slow to start on a busy machine
    command += ["--workers", "1", "--host", "127.0.0.1", "--port", str(options.port)]
    os.execve(sys.executable, [sys.executable, *command], _ENVIRONMENT | os.environ)


if __name__ == "__main__":
    main()
