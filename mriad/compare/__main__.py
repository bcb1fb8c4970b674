"""Compare tested runs: python -m mriad.compare RUN_ID [RUN_ID ...]; see --help."""

from __future__ import annotations

import argparse
import os
import sys

from mriad.errors import MriadError, OptionParser, fail
from mriad.invocation import typed
from mriad.passwords import conceal


def _options() -> argparse.Namespace:
    parser = OptionParser(
        prog=typed("compare"),
        description="Compare tested runs on the test scans that they share. Runs that differ only by their seed are "
        "pooled into one method. Differences of AUROC and average precision (AP) come with intervals and p-values "
        "of a bootstrap over the groups of the test scans.",
    )
    parser.add_argument("runs", nargs="+", metavar="RUN_ID", help="MLflow run id of a training or an evaluation")
    parser.add_argument(
        "--tracking-uri",
        default=os.environ.get("MLFLOW_TRACKING_URI") or "sqlite:///mlflow.db",
        help="the MLflow store that the runs are in (default: MLFLOW_TRACKING_URI, or sqlite:///mlflow.db)",
    )
    parser.add_argument("--output", default="comparison", help="folder of tables and figure (default: comparison)")
    parser.add_argument(
        "--markdown",
        action="store_true",
        help="print the table of methods on stdout as GitHub markdown",
    )
    return parser.parse_args()


def main() -> None:
    """Run the command; bad input ends with one sentence and exit code 1."""
    options = _options()
    try:
        from mriad.compare.command import compare_runs  # heavy: --help need not wait for it

        compare_runs(
            options.runs, tracking_uri=conceal(options.tracking_uri), output=options.output, markdown=options.markdown
        )
    except MriadError as error:
        # a store that cannot be opened is told with the option of the other commands
        fail(str(error).replace("logger.tracking_uri", "--tracking-uri"))
    except KeyboardInterrupt:
        print("Interrupted.", file=sys.stderr)
        sys.exit(130)


if __name__ == "__main__":
    main()
