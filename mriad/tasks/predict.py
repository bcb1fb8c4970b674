"""Score scans from anywhere with a trained detector."""

from __future__ import annotations

import logging
import shlex
from collections.abc import Sequence
from concurrent.futures import ThreadPoolExecutor
from contextlib import ExitStack, suppress
from pathlib import Path
from typing import Any

import pandas as pd
from hydra.utils import get_class
from joblib import cpu_count
from omegaconf import DictConfig
from rich.console import Console
from rich.progress import track

from mriad.checkpoints.checkpoint import Checkpoint
from mriad.checkpoints.named import named_checkpoint
from mriad.errors import MriadError, unknown
from mriad.experiment.job import prepare
from mriad.invocation import typed
from mriad.pacs.address import Address, is_address
from mriad.pacs.dicomweb import DicomWeb
from mriad.prediction.inputs import Wanted, find_scans
from mriad.prediction.predictor import Predictor
from mriad.prediction.unlike import Unlike
from mriad.review.folder import PAGE, ReviewFolder
from mriad.tables import printable
from mriad.tasks.scoring import UNSTORED, Row, Scoring, require_dicom
from mriad.terminal import say
from mriad.thresholds import Calibration, Drift
from mriad.thresholds.calibration import VAL
from mriad.writing.maps import MapFolder
from mriad.writing.tables import lesion_table, prediction_table

log = logging.getLogger(__name__)

FETCHED = ".fetched"
"""Folder of the output that series of an archive are fetched into, one at a time; what is done goes."""

_FORMATS = ("nifti", "dicom")
_FEWEST_FOR_DRIFT = 10  # scores: of fewer than these a test of drift says little


def predict(cfg: DictConfig) -> None:
    """Write ``predictions.csv``: path, score, threshold, decision, error; of volumes what lesions they show, too, and
    these in ``lesions.csv``; and maps, and a page to read them by, where asked.

    A scan that cannot be read has an error and no score, one whose map cannot be written has both. Where scans come
    from an archive, or results go to one, and it does not answer for too long, the command ends, and goes on where it
    was when it is started again.

    Args:
        cfg: the composed ``conf/predict.yaml``.

    Raises:
        MriadError: on bad input, or if not one scan could be read.
    """
    folder = prepare(cfg)
    remote = is_address(cfg.output)
    output = folder if remote else Path(cfg.output).expanduser()
    checkpoint, _ = named_checkpoint(cfg, None, folder, box=True)
    predictor = Predictor(checkpoint=checkpoint, device=cfg.device)
    of_volumes = predictor.of_volumes
    formats = _formats(cfg, of_volumes=of_volumes)
    archive = DicomWeb(Address.of(cfg.output), patience=cfg.patience) if remote else None
    wanted = Wanted(
        volumes=of_volumes,
        series=None if cfg.series is None else str(cfg.series),
        contrast=cfg.contrast,
        brains=predictor.wants_brain,
        participants=_labels(cfg.participants),
        sessions=_labels(cfg.sessions),
        fetched=output / FETCHED,
        patience=cfg.patience,
    )
    scans = find_scans(cfg.input, wanted)
    files = [Path(scan.name) for scan in scans]
    scoring = Scoring(predictor=predictor, archive=archive)
    if formats:
        calibration = predictor.calibration
        scoring.maps = MapFolder(
            output, scans=scans, calibration=calibration, formats=formats, algorithm=scoring.algorithm
        )
    unlike = Unlike(predictor=predictor)

    rows: list[Row] = []
    console = Console()
    batch_size = 1 if of_volumes else cfg.batch_size  # a volume is a batch of slices
    with ExitStack() as stack:
        tables = output if cfg.tables is None else Path(cfg.tables).expanduser()
        table = stack.enter_context(prediction_table(tables, scans=files, volumes=of_volumes))
        scoring.lesions = stack.enter_context(lesion_table(tables, scans=files)) if of_volumes else None
        if cfg.review:
            model, run = _teachable(checkpoint), predictor.run_id or ""
            page = ReviewFolder(output, calibration=predictor.calibration, model=model, run=run)
            scoring.page = stack.enter_context(page)
        pool = stack.enter_context(ThreadPoolExecutor(max_workers=cpu_count()))
        starts = range(0, len(scans), batch_size)
        for start in track(starts, description="Scanning", console=console, disable=not console.is_terminal):
            batch = scans[start : start + batch_size]
            read = list(pool.map(scoring.read, batch))
            found = scoring.rows(batch, read)
            table.add(found)
            rows += found
            for file, one in zip(batch, read, strict=True):
                if isinstance(one, tuple):
                    unlike.note(file, one[0])
            scoring.done(batch)
    unlike.tell(len(scans))
    with suppress(OSError):
        wanted.fetched.rmdir()  # where nothing is left in it
    _warn_of_drift(rows, predictor.calibration)
    _summarise(rows, table.file, console, archive)
    if scoring.page is not None:
        say(console, "Review", scoring.page.folder / PAGE)
        say(console, "Mark", f"mriad review {shlex.quote(str(output))}")


def _teachable(checkpoint: Checkpoint) -> str:
    """Option file of a detector that learns from masks, '' of any other."""
    kind: type[Any] = get_class(checkpoint.config.model._target_)
    return str(checkpoint.choices["model"]) if kind.learns_masks else ""


def _labels(named: Any) -> list[str] | None:
    """Labels of BIDS, of one or a list of them; a number has lost zeros that a label had."""
    if named is None:
        return None
    labels: list[Any] = [named] if isinstance(named, str | int) else list(named)
    if numbers := [label for label in labels if not isinstance(label, str)]:
        raise MriadError(
            f"The label {numbers[0]} is taken for a number, which may have lost zeros; write it as sub-... or ses-..., "
            "or in two pairs of quotes."
        )
    return labels


def _formats(cfg: DictConfig, *, of_volumes: bool) -> list[str]:
    """In what maps are written; [] where none are asked for."""
    named = [cfg.format] if isinstance(cfg.format, str) else list(cfg.format or [])
    for one in named:
        if one not in _FORMATS:
            raise unknown("format", one, _FORMATS)
    if is_address(cfg.output) and "dicom" not in named:
        named = ["dicom"]
    if "dicom" not in named:
        return named if cfg.maps or cfg.review else []
    if not of_volumes:
        raise MriadError(
            "format=dicom is for DICOM series, and the detector was trained on pictures; take one that was trained on "
            "volumes."
        )
    require_dicom("format=dicom")
    return named


def _warn_of_drift(rows: Sequence[Row], calibration: Calibration) -> None:
    """Warn if the scores of many scans lie off those of the healthy scans that their threshold was fitted on."""
    if calibration.pictures is not None:
        _warn_of_drift(
            [row for row in rows if row["threshold"] == calibration.pictures.threshold], calibration.pictures
        )
        rows = [row for row in rows if row["threshold"] == calibration.threshold]
    scored = [row for row in rows if "score" in row]
    patients = [row.get("patient") or f"scan:{row['path']}" for row in scored]
    table = pd.DataFrame({"score": [row["score"] for row in scored], "group": patients}, dtype=object)
    drift = Drift.of(calibration, table)
    if drift is None or drift.scans < _FEWEST_FOR_DRIFT or not drift.significant:
        return
    whose = "val" if drift.fitted_on == VAL else f"the {drift.fitted_on}"
    log.warning(
        "The scores of these scans lie off those of the healthy scans that the threshold was fitted on (%d scores, one "
        "of each patient that is known, against %d of %s: two-sample Kolmogorov-Smirnov D = %.2f, p = %.2g, median "
        "%.4g against %.4g). Many anomalous scans among them do that, and so does another source: if most of them "
        "should be healthy, the threshold does not hold here; %s with calibrate=healthy fits it on healthy scans of "
        "this source.",
        drift.scans,
        drift.known,
        whose,
        drift.statistic,
        drift.p_value,
        drift.median,
        drift.known_median,
        typed("evaluate"),
    )


def _summarise(rows: Sequence[Row], file: Path, console: Console, archive: DicomWeb | None) -> None:
    scored = [row for row in rows if "score" in row]
    broken = [printable(str(row["error"])) for row in rows if "score" not in row]
    mapless = [printable(f"{row['path']}: {row['error']}") for row in scored if row["error"]]
    if not scored:
        raise MriadError(f"None of {len(rows)} scans could be read; the first: {broken[0]}")
    if broken:
        log.warning("%d of %d scans could not be read:\n  %s", len(broken), len(rows), "\n  ".join(broken))
    if mapless:
        log.warning(
            "%d of %d scans are scored, but not all of their files are written:\n  %s",
            len(mapless),
            len(rows),
            "\n  ".join(mapless),
        )
    if flat := [printable(row["path"]) for row in scored if row["flat"]]:
        log.warning(
            "%d of %d scans hold two levels only, as lesion masks do; leave them out if they are masks:\n  %s",
            len(flat),
            len(rows),
            "\n  ".join(flat),
        )
    above = " or ".join(dict.fromkeys(f"{row['threshold']:.5g}" for row in scored))
    anomalous = sum(row["decision"] == 1 for row in scored)
    console.print(f"{len(scored)} scans scored, {anomalous} called anomalous (score above {above}).")
    if known := sum(row.get("known", False) for row in scored):
        console.print(f"{known} of them were scored before: the archive holds what this detector says of them.")
    say(console, "Predictions", file)
    unstored = [row for row in scored if UNSTORED in row["error"]]
    if archive is not None and unstored:
        raise MriadError(
            f"The results of {len(unstored)} of {len(scored)} scans are not in {archive.address.name}, the first "
            f"because {unstored[0]['error']}; they lie in {file.parent}."
        )
