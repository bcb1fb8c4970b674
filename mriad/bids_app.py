"""mriad as a BIDS app (Gorgolewski et al. 2017, PLoS Comput Biol 13): ``mriad bids_dir out_dir participant``."""

from __future__ import annotations

import csv
import os
import re
import sys
from collections.abc import Callable, Sequence
from datetime import datetime
from pathlib import Path
from typing import Any

from filelock import FileLock

import mriad
from mriad.disk import written_whole
from mriad.errors import OptionParser, fail

_LOGS = "logs"
_IGNORED = ("logs/", "*.csv")
_TABLES = ("predictions.csv", "lesions.csv")


def run_as_bids_app(words: Sequence[str], *, predict: Callable[[], None]) -> None:
    """Score the scans of a BIDS data set, and write maps and masks as a derivative data set.

    Several may write to one folder, as when each participant is a job of its own: each adds its rows to the tables.

    Args:
        words: the command line, without the program's name.
        predict: runs the command predict with the options in ``sys.argv``.
    """
    asked = _parser().parse_args(words)
    data, output = Path(asked.bids_dir).absolute(), Path(asked.output_dir).absolute()
    if asked.analysis_level == "group":
        fail("mriad has no group level: run participant, whose predictions.csv has a row for each scan.")
    if not data.is_dir():
        fail(f"There is no folder {data}; give that of a BIDS data set.")
    if not asked.skip_bids_validation and not (data / "dataset_description.json").is_file():
        fail(
            f"{data} has no dataset_description.json, as every BIDS data set must; write one, or go on with "
            "--skip-bids-validation."
        )
    if data == output:
        fail(f"{output} is the data set itself; give another folder for what is derived from it.")
    logs = output / _LOGS / f"{datetime.now():%Y%m%d-%H%M%S}-{os.getpid()}"
    options = {
        "input": str(data),
        "output": str(output),
        "tables": str(logs),
        "hydra.run.dir": str(logs),
        "run": asked.run,
        "checkpoint": asked.checkpoint,
        "contrast": asked.contrast,
        "participants": asked.participant_label,
        "sessions": asked.session_label,
        "device": asked.device,
        "threads": asked.nthreads,
    }
    told = [f"{name}={_quoted(value)}" for name, value in options.items() if value is not None]
    sys.argv = [sys.argv[0], *told, "maps=true"]
    predict()
    with FileLock(output / _LOGS / ".lock"):
        for name in _TABLES:
            if (logs / name).is_file():
                _add(logs / name, output / name)
        (output / ".bidsignore").write_text("".join(f"{pattern}\n" for pattern in _IGNORED))


def _parser() -> OptionParser:
    parser = OptionParser(
        prog="mriad", description="mriad as a BIDS app: finds anomalies in brain MRI. It is no medical device."
    )
    parser.add_argument("bids_dir", help="folder of the BIDS data set")
    parser.add_argument("output_dir", help="folder of the derivative data set; several jobs may write to one")
    parser.add_argument("analysis_level", choices=["participant", "group"], help="participant; there is no group level")
    several: dict[str, Any] = {"nargs": "+", "metavar": "LABEL"}
    parser.add_argument("--participant-label", "--participant_label", **several, help="with sub- or without; else all")
    parser.add_argument("--session-label", "--session_label", "--session-id", **several, help="likewise")
    detector = parser.add_mutually_exclusive_group()
    detector.add_argument("--run", help="MLflow run id of the detector, or models:/name@alias")
    detector.add_argument("--checkpoint", help="path of its checkpoint; without either, the one that comes with mriad")
    parser.add_argument("--contrast", help="which scans, such as T1w or FLAIR, where sessions have several")
    parser.add_argument("--device", help="auto, cpu, cuda, ...")
    parser.add_argument("--nthreads", "--nprocs", "--n-cpus", "--n_cpus", type=int, help="threads of torch")
    parser.add_argument("--skip-bids-validation", "--skip_bids_validation", action="store_true",
                        help="take a data set without dataset_description.json")  # fmt: skip
    parser.add_argument("-w", "--work-dir", help="not needed; taken so that command lines of other apps fit")
    parser.add_argument("-v", "--version", action="version", version=f"mriad {mriad.__version__}")
    return parser


def _quoted(value: object) -> str:
    """A value as Hydra reads it: as a text, or a list of texts."""
    if isinstance(value, list):
        return f"[{','.join(map(_quoted, value))}]"
    if not isinstance(value, str):
        return str(value)
    escaped = re.sub(r'(\\*)("|$)', r"\1\1\2", value)  # backslashes count before a quote alone
    return '"' + escaped.replace('"', '\\"') + '"'


def _add(new: Path, table: Path) -> None:
    """Put the rows of a table in the place of those that another has of the same scans."""
    with new.open(newline="", encoding="utf-8") as stream:
        columns, *rows = list(csv.reader(stream))
    kept: list[list[str]] = []
    scored = _scans(new.parent / _TABLES[0])
    if table.is_file():
        with table.open(newline="", encoding="utf-8") as stream:
            before, *older = list(csv.reader(stream))
        if before == columns:
            kept = [row for row in older if row[0] not in scored]
    with written_whole(table) as part, part.open("w", newline="", encoding="utf-8") as stream:
        csv.writer(stream, lineterminator="\n").writerows([columns, *sorted([*kept, *rows], key=lambda row: row[0])])


def _scans(table: Path) -> set[str]:
    """The scans that a table has a row of."""
    with table.open(newline="", encoding="utf-8") as stream:
        return {row[0] for row in csv.reader(stream)}
