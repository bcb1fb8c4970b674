"""Score scans from anywhere with a trained detector."""

from __future__ import annotations

import logging
from collections.abc import Sequence
from concurrent.futures import ThreadPoolExecutor
from functools import partial
from pathlib import Path
from typing import Any, TypeAlias

from joblib import cpu_count
from omegaconf import DictConfig
from rich.console import Console
from rich.progress import track

from mriad.checkpoints.named import named_checkpoint
from mriad.data.preparing.preprocess import BlankScanError
from mriad.data.reading.decode import DecodedImage, decode
from mriad.data.reading.levels import Levels
from mriad.errors import MriadError
from mriad.experiment.job import prepare
from mriad.prediction.inputs import ScanFile, find_scans
from mriad.prediction.outputs import MapFolder, PredictionTable
from mriad.prediction.predictor import Predictor, Prepared
from mriad.tables import printable

log = logging.getLogger(__name__)

Row: TypeAlias = dict[str, Any]


def predict(cfg: DictConfig) -> None:
    """Write ``predictions.csv``: path, score, threshold, decision, error; and maps where asked.

    A scan that cannot be read has an error and no score, one whose map cannot be written has both.

    Args:
        cfg: the composed ``conf/predict.yaml``.

    Raises:
        MriadError: on bad input, or if not one scan could be read.
    """
    folder = prepare(cfg)
    scans = find_scans(cfg.input)
    output = Path(cfg.output).expanduser()
    checkpoint, _ = named_checkpoint(cfg, None, folder)
    predictor = Predictor(checkpoint=checkpoint, device=cfg.device)
    files = [scan.path for scan in scans]
    maps = MapFolder(output, scans=files, predictor=predictor) if cfg.maps else None

    rows: list[Row] = []
    console = Console()
    with PredictionTable(output, scans=files) as table, ThreadPoolExecutor(max_workers=cpu_count()) as pool:
        starts = range(0, len(scans), cfg.batch_size)
        for start in track(starts, description="Scanning", console=console, disable=not console.is_terminal):
            batch = scans[start : start + cfg.batch_size]
            read = list(pool.map(partial(_read, predictor=predictor), batch))
            found = _rows(batch, read, predictor, maps)
            table.add(found)
            rows += found
    _summarise(rows, table.file, console)


def _read(scan: ScanFile, predictor: Predictor) -> tuple[DecodedImage, Prepared] | MriadError:
    try:
        decoded = decode(scan.path)
        return decoded, predictor.prepare(decoded.levels, spacing=scan.spacing)
    except BlankScanError as error:
        return MriadError(f"{scan.path}: {error}")
    except MriadError as error:
        return error


def _rows(
    batch: Sequence[ScanFile],
    read: Sequence[tuple[DecodedImage, Prepared] | MriadError],
    predictor: Predictor,
    maps: MapFolder | None,
) -> list[Row]:
    """Rows of the table for a batch of scans, in its order; writes their maps where there is a folder for them."""
    prepared = [scan[1] for scan in read if not isinstance(scan, MriadError)]
    predictions = iter(predictor(prepared) if prepared else [])
    rows = []
    for file, scan in zip(batch, read, strict=True):
        row: Row = {"path": str(file.path), "threshold": predictor.calibration.threshold, "error": ""}
        if isinstance(scan, MriadError):
            row["error"] = str(scan)
        else:
            found = next(predictions)
            row |= {"score": found.score, "decision": found.decision, "flat": _is_flat(scan[0].levels)}
            if maps is not None:
                row["error"] = maps.write(file.path, scan[0].levels, found)
        rows.append(row)
    return rows


def _is_flat(levels: Levels) -> bool:
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
        log.warning("%d of %d scans are scored without a map:\n  %s", len(mapless), len(rows), "\n  ".join(mapless))
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
