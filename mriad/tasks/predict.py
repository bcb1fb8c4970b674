"""Score scans from anywhere with a trained detector."""

from __future__ import annotations

import logging
import shlex
from collections.abc import Sequence
from concurrent.futures import ThreadPoolExecutor
from contextlib import ExitStack
from functools import partial
from pathlib import Path
from typing import Any, TypeAlias

from joblib import cpu_count
from numpy.typing import NDArray
from omegaconf import DictConfig
from rich.console import Console
from rich.progress import track

from mriad.checkpoints.named import named_checkpoint
from mriad.data.reading.read import read_scan
from mriad.data.reading.scan import Scan
from mriad.data.reading.volume_masks import read_mask_on
from mriad.errors import MriadError
from mriad.experiment.job import prepare
from mriad.prediction.inputs import Wanted, find_scans
from mriad.prediction.predictor import Predictor, Prepared
from mriad.prediction.scan_files import ScanFile
from mriad.prediction.unlike import Unlike
from mriad.review.folder import PAGE, ReviewFolder
from mriad.tables import printable
from mriad.writing.maps import MapFolder
from mriad.writing.tables import GrowingTable, lesion_rows, lesion_table, prediction_table, told

log = logging.getLogger(__name__)

Row: TypeAlias = dict[str, Any]


def predict(cfg: DictConfig) -> None:
    """Write ``predictions.csv``: path, score, threshold, decision, error; of volumes what lesions they show, too, and
    these in ``lesions.csv``; and maps, and a page to read them by, where asked.

    A scan that cannot be read has an error and no score, one whose map cannot be written has both.

    Args:
        cfg: the composed ``conf/predict.yaml``.

    Raises:
        MriadError: on bad input, or if not one scan could be read.
    """
    folder = prepare(cfg)
    output = Path(cfg.output).expanduser()
    checkpoint, _ = named_checkpoint(cfg, None, folder)
    predictor = Predictor(checkpoint=checkpoint, device=cfg.device)
    of_volumes = predictor.of_volumes
    series = None if cfg.series is None else str(cfg.series)
    wanted = Wanted(volumes=of_volumes, series=series, contrast=cfg.contrast, brains=predictor.wants_brain)
    scans = find_scans(cfg.input, wanted)
    files = [scan.path for scan in scans]
    maps = MapFolder(output, scans=scans, calibration=predictor.calibration) if cfg.maps or cfg.review else None
    unlike = Unlike(predictor=predictor)

    rows: list[Row] = []
    console = Console()
    batch_size = 1 if of_volumes else cfg.batch_size  # a volume is a batch of slices
    with ExitStack() as stack:
        table = stack.enter_context(prediction_table(output, scans=files, volumes=of_volumes))
        lesions = stack.enter_context(lesion_table(output, scans=files)) if of_volumes else None
        page = ReviewFolder(output, calibration=predictor.calibration) if cfg.review else None
        if page is not None:
            stack.enter_context(page)
        pool = stack.enter_context(ThreadPoolExecutor(max_workers=cpu_count()))
        starts = range(0, len(scans), batch_size)
        for start in track(starts, description="Scanning", console=console, disable=not console.is_terminal):
            batch = scans[start : start + batch_size]
            read = list(pool.map(partial(_read, predictor=predictor), batch))
            found = _rows(batch, read, predictor, maps, lesions, page)
            table.add(found)
            rows += found
            for file, one in zip(batch, read, strict=True):
                if not isinstance(one, MriadError):
                    unlike.note(file, one[0])
    unlike.tell(len(scans))
    _summarise(rows, table.file, console)
    if page is not None:
        console.print(f"[bold]Review[/bold]      {page.folder / PAGE}", soft_wrap=True, highlight=False)
        console.print(
            f"[bold]Mark[/bold]        mriad review {shlex.quote(str(output))}", soft_wrap=True, highlight=False
        )


def _read(file: ScanFile, predictor: Predictor) -> tuple[Scan, Prepared] | MriadError:
    try:
        scan = read_scan(file.path, series=file.series or None)
        wanted = file.brain_mask if scan.is_volume and predictor.wants_brain else None
        brain = read_mask_on(wanted, scan.grid) if wanted else None
    except MriadError as error:
        return error
    try:
        return scan, predictor.prepare(scan, spacing=file.spacing, brain=brain)
    except MriadError as error:
        return MriadError(f"{file.path}: {error}")


def _rows(
    batch: Sequence[ScanFile],
    read: Sequence[tuple[Scan, Prepared] | MriadError],
    predictor: Predictor,
    maps: MapFolder | None,
    lesions: GrowingTable | None,
    page: ReviewFolder | None,
) -> list[Row]:
    """Rows of the table for a batch of scans, in its order; writes their lesions, maps and page where wanted."""
    prepared = [scan[1] for scan in read if not isinstance(scan, MriadError)]
    predictions = iter(predictor(prepared) if prepared else [])
    rows = []
    for file, scan in zip(batch, read, strict=True):
        row: Row = {"path": str(file.path), "threshold": predictor.calibration.threshold, "error": ""}
        if isinstance(scan, MriadError):
            row |= {"error": str(scan), "patient": file.patient}
            if page is not None:
                page.add(file, None, None, row)
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
            if page is not None:
                problems.append(page.add(file, scan[0], found.map, row))
            row["error"] = "; ".join(filter(None, problems))
        rows.append(row)
    return rows


def _is_flat(levels: NDArray[Any]) -> bool:
    """Whether a scan holds two levels and none in between."""
    low, high = levels.min(), levels.max()
    return bool(low < high and ((levels == low) | (levels == high)).all())


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
