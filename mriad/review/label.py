"""Make labels of what readers have marked: mriad labels marks.csv; see --help."""

from __future__ import annotations

import argparse
import os
import shlex
import sys
from pathlib import Path

from mriad.errors import MriadError, OptionParser, fail, unknown
from mriad.invocation import typed
from mriad.review.options import parsed
from mriad.tables import printable

_ORDERS = ("uncertain", "score", "path", "time")


def _options() -> argparse.Namespace:
    parser = OptionParser(
        usage=f"{typed('labels')} [-h] [--page FOLDER] [--output FOLDER] [--order ORDER] [--first N] [--with SCANS] "
        "MARKS [MARKS ...]",
        description="Make labels of what readers have marked on the page of a prediction: a manifest of the scans that "
        "they read, with masks of the lesions that they found true, for data.labelled_train of the next training.",
    )
    parser.add_argument(
        "marks",
        metavar="MARKS",
        nargs="+",
        type=Path,
        help="marks.csv of a page, or its folder; several of several readers",
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
    parser.add_argument(
        "--with",
        dest="others",
        metavar="SCANS",
        type=Path,
        help="list these, too: a manifest, or a folder of healthy/ and anomalies, as of the training",
    )
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
    from mriad.review.agree import marks_of  # heavy: --help need not wait for it
    from mriad.review.folder import read_list
    from mriad.review.labels import MANIFEST, write_labels

    marks = marks_of(options.marks)
    page = _page(options)
    told = read_list(page)
    of_volumes = any(scan.get("volume") for scan in told["scans"])
    others = [] if options.others is None else _listed(options.others, of_volumes=of_volumes)
    found = write_labels(page, marks, options.output, order=options.order, first=options.first, others=others)
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
    if not others:
        print("It lists no other scans: --with=FOLDER (or a manifest) adds those that train.")
    elif masked:
        words = [f"model={told.get('model') or 'synthetic_anomaly'}", f"data={'volumes' if of_volumes else 'folder'}"]
        words += [f"data.layout.manifest={options.output / MANIFEST}", f"data.labelled_train={masked}"]
        if told.get("model") and told.get("run"):
            words += [f"init={told['run']}", "split=from_init"]
        print(f"Train     {typed('train')} {' '.join(shlex.quote(printable(word)) for word in words)}")


def _page(options: argparse.Namespace) -> Path:
    """The folder of the page that was read."""
    from mriad.review.folder import review_folder

    if options.page is not None:
        return review_folder(options.page)
    try:
        return review_folder(options.marks[0])
    except MriadError as error:
        raise MriadError(
            f"There is no page beside {options.marks[0]}; say with --page=FOLDER which prediction was read."
        ) from error


def _listed(scans: Path, *, of_volumes: bool) -> list[dict[str, object]]:
    """The scans of a manifest, or of folders of healthy and anomalous ones, with absolute paths."""
    from mriad.data.layouts import folder, volumes
    from mriad.data.layouts.manifest import listed_scans

    if scans.is_dir():
        catalog = (volumes if of_volumes else folder)(root=scans)
        root, records = catalog.root, catalog.table.to_dict("records")
    elif scans.exists():
        root, records = listed_scans(scans)
    else:
        raise MriadError(f"There is no {scans}; give --with the folder of the scans that train, or their manifest.")
    files = ("path", "mask", "brain_mask")
    return [
        {
            name: os.path.join(root.absolute(), value) if name in files and value else value
            for name, value in row.items()
        }
        for row in records
    ]


if __name__ == "__main__":
    main()
