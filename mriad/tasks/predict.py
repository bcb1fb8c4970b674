"""Score scans from anywhere with a trained detector."""

from __future__ import annotations

import glob
import logging
import os
from collections.abc import Sequence
from concurrent.futures import ThreadPoolExecutor
from functools import partial
from pathlib import Path

import pandas as pd
from joblib import cpu_count
from omegaconf import DictConfig, ListConfig
from PIL import Image
from rich.console import Console
from rich.progress import track

from mriad.data.decode import IMAGE_SUFFIXES, DecodedImage, decode
from mriad.data.layouts.files import image_files
from mriad.data.levels import percentiles, rescaled
from mriad.data.preprocess import BlankScanError
from mriad.errors import MriadError
from mriad.plots import overlay
from mriad.tasks.predictor import Prediction, Predictor, Prepared
from mriad.tasks.session import prepare, trained

log = logging.getLogger(__name__)


def predict(cfg: DictConfig) -> None:
    """Write ``predictions.csv``: path, score, threshold, decision, error; and maps where asked.

    Args:
        cfg: the composed ``conf/predict.yaml``.

    Raises:
        MriadError: on bad input, or if not one scan could be read.
    """
    folder = prepare(cfg)
    files = find_scans(cfg.input)
    output = Path(cfg.output).expanduser()
    try:
        output.mkdir(parents=True, exist_ok=True)
    except OSError as error:
        raise MriadError(f"The folder {output} cannot be made ({error.strerror}); choose another output.") from error
    if not os.access(output, os.W_OK):
        raise MriadError(f"The folder {output} cannot be written; choose another output.")
    files = [file for file in files if output.absolute() not in file.absolute().parents]  # of an earlier prediction
    checkpoint, _ = trained(cfg, None, folder)
    predictor = Predictor(checkpoint=checkpoint, device=cfg.device)
    base = Path(os.path.commonpath([file.absolute().parent for file in files]))

    rows: list[dict[str, object]] = []
    console = Console()
    with ThreadPoolExecutor(max_workers=cpu_count()) as pool:
        starts = range(0, len(files), cfg.batch_size)
        for start in track(starts, description="Scanning", console=console, disable=not console.is_terminal):
            batch = files[start : start + cfg.batch_size]
            read = list(pool.map(partial(_read, predictor=predictor), batch))
            prepared = [scan[1] for scan in read if not isinstance(scan, MriadError)]
            predictions = iter(predictor(prepared) if prepared else [])
            for file, scan in zip(batch, read, strict=True):
                if isinstance(scan, MriadError):
                    rows.append({"path": str(file), "error": str(scan)})
                    continue
                found = next(predictions)
                rows.append({"path": str(file), "score": found.score, "decision": found.decision, "error": ""})
                if cfg.maps:
                    _write_map(output / "maps" / file.absolute().relative_to(base), scan[0], found, predictor)
    table = pd.DataFrame(rows, columns=["path", "score", "threshold", "decision", "error"])
    table["threshold"] = predictor.calibration.threshold
    table["decision"] = table["decision"].astype("Int64")
    table.to_csv(output / "predictions.csv", index=False)
    _summarise(table, output, console)


def find_scans(wanted: str | Sequence[str]) -> list[Path]:
    """Image files that an input names.

    Args:
        wanted: a file, a folder (read with its sub-folders), a glob, or a list of these. A name that exists is taken
            as it is, even if it holds brackets or stars.

    Raises:
        MriadError: if an entry matches nothing.
    """
    files: list[Path] = []
    for entry in wanted if isinstance(wanted, list | tuple | ListConfig) else [wanted]:
        if not str(entry).strip():
            raise MriadError("input is empty; give a file, a folder or a glob.")
        path = Path(str(entry)).expanduser()
        if path.is_file():
            files.append(path)
        elif path.is_dir():
            inside = image_files(path)
            if not inside:
                raise MriadError(
                    f"There is no image in {path}; give a folder with {', '.join(sorted(IMAGE_SUFFIXES))} files."
                )
            files += inside
        else:
            matches = sorted(Path(name) for name in glob.glob(str(path), recursive=True))
            images = [match for match in matches if match.is_file() and match.suffix.lower() in IMAGE_SUFFIXES]
            if not images:
                raise MriadError(f"input={entry} matches no image; give a file, a folder or a glob that does.")
            files += images
    if not files:
        raise MriadError("The list input=[] names no scan; give a file, a folder, a glob or a list of them.")
    return list(dict.fromkeys(files))


def _read(file: Path, predictor: Predictor) -> tuple[DecodedImage, Prepared] | MriadError:
    try:
        decoded = decode(file)
        return decoded, predictor.prepare(decoded.levels)
    except BlankScanError as error:
        return MriadError(f"{file}: {error}")
    except MriadError as error:
        return error


def _write_map(target: Path, scan: DecodedImage, found: Prediction, predictor: Predictor) -> None:
    """``<target>.map.tiff`` (float32) and ``<target>.overlay.png``, both at the scan's size."""
    target.parent.mkdir(parents=True, exist_ok=True)
    anomaly_map = found.map
    Image.fromarray(anomaly_map).save(f"{target}.map.tiff")
    low, high = percentiles(scan.levels, [0.5, 99.5])  # a 12-bit scan in a 16-bit file would be black
    picture = overlay(
        rescaled(scan.levels, low, high) / 255,
        anomaly_map,
        map_scale=predictor.calibration.map_scale,
        pixel_threshold=predictor.calibration.pixel_threshold,
    )
    Image.fromarray(picture).save(f"{target}.overlay.png")


def _summarise(table: pd.DataFrame, output: Path, console: Console) -> None:
    broken = table[table["error"] != ""]
    if len(broken) == len(table):
        raise MriadError(f"None of {len(table)} scans could be read; the first: {broken['error'].iloc[0]}")
    if len(broken):
        log.warning("%d of %d scans could not be read:\n  %s", len(broken), len(table), "\n  ".join(broken["error"]))
    console.print(
        f"{len(table) - len(broken)} scans scored, {int(table['decision'].sum())} called anomalous "
        f"(score above {table['threshold'].iloc[0]:.5g})."
    )
    console.print(f"[bold]Predictions[/bold] {output / 'predictions.csv'}", soft_wrap=True, highlight=False)
