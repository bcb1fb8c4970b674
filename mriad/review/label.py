"""Make labels of what readers have marked: mriad labels marks.csv; see --help."""

from __future__ import annotations

import argparse
import os
import sys
from pathlib import Path

from mriad.errors import MriadError, OptionParser, fail, unknown
from mriad.invocation import typed
from mriad.review.options import parsed

_ORDERS = ("uncertain", "score", "path", "time")


def _options() -> argparse.Namespace:
    parser = OptionParser(
        usage=f"{typed('labels')} [-h] [--page FOLDER] [--output FOLDER] [--order ORDER] [--first N] [--with MANIFEST] "
        "MARKS [MARKS ...]",
        description="Make labels of what readers have marked on the page of a prediction: a manifest of the scans that "
        "they read, with masks of the lesions that they found true, for data.labelled_train of the next training.",
    )
    parser.add_argument(
        "marks", metavar="MARKS", nargs="+", type=Path, help="marks.csv of a page, or of several readers"
    )
    parser.add_argument(
        "--page", metavar="FOLDER", type=Path, help="folder of the page (default: that of the first MARKS)"
    )
    parser.add_argument("--output", metavar="FOLDER", type=Path, default=Path("labels"), help="default: labels")
    parser.add_argument(
        "--order", default="uncertain", help="uncertain (nearest to the threshold first), score, path or time"
    )
    parser.add_argument(
        "--first", metavar="N", type=int, help="take so many of the scans that were read, by this order"
    )
    parser.add_argument("--with", dest="others", metavar="MANIFEST", type=Path, help="list the scans of this one, too")
    options = parsed(parser)
    if options.order not in _ORDERS:
        fail(str(unknown("--order", options.order, _ORDERS)))
    if options.first is not None and options.first < 1:
        fail(f"--first={options.first} is no number of scans; give 1 or more.")
    return options


def main() -> None:
    """Run the command; bad input ends with one sentence and exit code 1."""
    options = _options()
    try:
        _label(options)
    except MriadError as error:
        fail(str(error))
    except KeyboardInterrupt:
        print("Interrupted.", file=sys.stderr)
        sys.exit(130)


def _label(options: argparse.Namespace) -> None:
    from mriad.data.layouts.manifest import listed_scans  # heavy: --help need not wait for it
    from mriad.review.agree import marks_of
    from mriad.review.folder import review_folder
    from mriad.review.labels import MANIFEST, write_labels

    page = review_folder(options.page or options.marks[0].parent)
    others: list[dict[str, object]] = []
    if options.others is not None:
        root, records = listed_scans(options.others)
        files = ("path", "mask", "brain_mask")
        others = [
            {
                name: os.path.join(root.absolute(), value) if name in files and value else value
                for name, value in row.items()
            }
            for row in records
        ]
    found = write_labels(
        page, marks_of(options.marks), options.output, order=options.order, first=options.first, others=others
    )
    masked = sum(bool(row["mask"]) for row in found.rows)
    healthy = sum(row["label"] == 0 for row in found.rows)
    print(
        f"{len(found.rows)} scans: {healthy} healthy, {masked} anomalous with a mask, {found.without_mask} without one."
    )
    if found.without_mask:
        print("Without a mask: a lesion was missed or not marked, none is true, or readers differ; they do not train.")
    for count, why in (
        (found.disputed, "readers differ"),
        (found.unsure, "no reader is sure"),
        (found.unknown, "not on this page"),
    ):
        if count:
            print(f"{count} left out: {why}.")
    print(f"Manifest  {options.output / MANIFEST}")
    if masked:
        print(
            f"Train     {typed('train')} model=synthetic_anomaly data=... "
            f"data.layout.manifest={options.output / MANIFEST} data.labelled_train={masked}"
        )


if __name__ == "__main__":
    main()
