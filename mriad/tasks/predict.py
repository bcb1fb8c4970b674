"""Score scans from anywhere with a trained detector."""

from __future__ import annotations

import logging
from collections.abc import Sequence
from concurrent.futures import ThreadPoolExecutor
from contextlib import ExitStack
from functools import partial
from pathlib import Path
from typing import Any, TypeAlias

import pandas as pd
from joblib import cpu_count
from numpy.typing import NDArray
from omegaconf import DictConfig
from rich.console import Console
from rich.progress import track

from mriad.checkpoints.named import named_checkpoint
from mriad.data.reading.scan import Scan
from mriad.errors import MriadError
from mriad.experiment.job import prepare
from mriad.invocation import typed
from mriad.prediction.inputs import Wanted, find_scans
from mriad.prediction.predictor import Predictor, Prepared
from mriad.prediction.reading import read_prepared
from mriad.prediction.scan_files import ScanFile
from mriad.prediction.unlike import Unlike
from mriad.tables import printable
from mriad.thresholds import Calibration, Drift
from mriad.thresholds.calibration import VAL
from mriad.writing.maps import MapFolder
from mriad.writing.tables import GrowingTable, lesion_rows, lesion_table, prediction_table, told

log = logging.getLogger(__name__)

Row: TypeAlias = dict[str, Any]

_FEWEST_FOR_DRIFT = 10  # scores: of fewer than these a test of drift says little


def predict(cfg: DictConfig) -> None:
    """Write ``predictions.csv``: path, score, threshold, decision, error; of volumes what lesions they show, too, and
    these in ``lesions.csv``; and maps where asked.

    A scan that cannot be read has an error and no score, one whose map cannot be written has both.

    Args:
        cfg: the composed ``conf/predict.yaml``.

    Raises:
        MriadError: on bad input, or if not one scan could be read.
    """
    folder = prepare(cfg)
    output = Path(cfg.output).expanduser()
    checkpoint, _ = named_checkpoint(cfg, None, folder, box=True)
    predictor = Predictor(checkpoint=checkpoint, device=cfg.device)
    of_volumes = predictor.of_volumes
    series = None if cfg.series is None else str(cfg.series)
    wanted = Wanted(
        volumes=of_volumes,
        series=series,
        contrast=cfg.contrast,
        brains=predictor.wants_brain,
        participants=_labels(cfg.participants),
        sessions=_labels(cfg.sessions),
    )
    scans = find_scans(cfg.input, wanted)
    files = [scan.path for scan in scans]
    maps = MapFolder(output, scans=scans, calibration=predictor.calibration) if cfg.maps else None
    unlike = Unlike(predictor=predictor)

    rows: list[Row] = []
    console = Console()
    batch_size = 1 if of_volumes else cfg.batch_size  # a volume is a batch of slices
    with ExitStack() as stack:
        tables = Path(cfg.tables).expanduser()
        table = stack.enter_context(prediction_table(tables, scans=files, volumes=of_volumes))
        lesions = stack.enter_context(lesion_table(tables, scans=files)) if of_volumes else None
        pool = stack.enter_context(ThreadPoolExecutor(max_workers=cpu_count()))
        starts = range(0, len(scans), batch_size)
        for start in track(starts, description="Scanning", console=console, disable=not console.is_terminal):
            batch = scans[start : start + batch_size]
            read = list(pool.map(partial(_read, predictor=predictor), batch))
            found = _rows(batch, read, predictor, maps, lesions)
            table.add(found)
            rows += found
            for file, one in zip(batch, read, strict=True):
                if not isinstance(one, MriadError):
                    unlike.note(file, one[0])
    unlike.tell(len(scans))
    _warn_of_drift(rows, predictor.calibration)
    _summarise(rows, table.file, console)


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


def _read(file: ScanFile, predictor: Predictor) -> tuple[Scan, Prepared] | MriadError:
    try:
        return read_prepared(file, predictor)
    except MriadError as error:
        return error


def _rows(
    batch: Sequence[ScanFile],
    read: Sequence[tuple[Scan, Prepared] | MriadError],
    predictor: Predictor,
    maps: MapFolder | None,
    lesions: GrowingTable | None,
) -> list[Row]:
    """Rows of the table for a batch of scans, in its order; writes their lesions and maps where they are wanted."""
    prepared = [scan[1] for scan in read if not isinstance(scan, MriadError)]
    predictions = iter(predictor(prepared) if prepared else [])
    rows = []
    for file, scan in zip(batch, read, strict=True):
        row: Row = {"path": str(file.path), "threshold": predictor.calibration.threshold, "error": ""}
        row["patient"] = file.patient
        if isinstance(scan, MriadError):
            row["error"] = str(scan)
        else:
            found = next(predictions)
            row |= {"score": found.score, "decision": found.decision, "flat": _is_flat(scan[0].levels)}
            problems = []
            if lesions is not None:
                shown = found.lesions(predictor.calibration.pixel_threshold)
                row |= {"patient": file.patient or scan[0].facts.patient, "lesions": len(shown)}
                row["lesion_ml"] = told(sum(lesion.ml for lesion in shown))
                try:
                    lesions.add(lesion_rows(str(file.path), shown))
                except MriadError as error:
                    problems.append(f"its lesions are missing: {error}")
            if maps is not None:
                problems.append(maps.write(file, scan[0], found))
            row["error"] = "; ".join(filter(None, problems))
        rows.append(row)
    return rows


def _is_flat(levels: NDArray[Any]) -> bool:
    """Whether a scan holds two levels and none in between."""
    low, high = levels.min(), levels.max()
    return bool(low < high and ((levels == low) | (levels == high)).all())


def _warn_of_drift(rows: Sequence[Row], calibration: Calibration) -> None:
    """Warn if the scores of many scans lie off those of the healthy scans that the threshold was fitted on."""
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


def _summarise(rows: Sequence[Row], file: Path, console: Console) -> None:
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
    console.print(
        f"{len(scored)} scans scored, {sum(row['decision'] == 1 for row in scored)} called anomalous "
        f"(score above {scored[0]['threshold']:.5g})."
    )
    console.print(f"[bold]Predictions[/bold] {file}", soft_wrap=True, highlight=False)
