"""Write a trained detector for programs without mriad and torch."""

from __future__ import annotations

import json
import shutil
from pathlib import Path
from typing import Any

import numpy as np
from omegaconf import DictConfig
from rich.console import Console

import mriad
from mriad.checkpoints.checkpoint import Checkpoint
from mriad.checkpoints.named import named_checkpoint
from mriad.errors import MriadError, unknown
from mriad.experiment.job import prepare
from mriad.export import EXAMPLE
from mriad.export.describe import described
from mriad.export.graph import Sample
from mriad.export.onnx import MODEL, export_onnx
from mriad.export.openvino import write_openvino
from mriad.export.preparation import write_preparation
from mriad.prediction.inputs import Wanted, find_scans
from mriad.prediction.predictor import Predictor
from mriad.prediction.reading import read_prepared
from mriad.terminal import say

_FORMATS = ("onnx", "openvino")


def export(cfg: DictConfig) -> None:
    """Write the detector's graph, a JSON with what stands round it, a sample and an example that scores a file.

    Args:
        cfg: the composed ``conf/export.yaml``.

    Raises:
        MriadError: on bad input, or if the detector is no graph.
    """
    folder = prepare(cfg)
    if cfg.format not in _FORMATS:
        raise unknown("format", cfg.format, _FORMATS)
    checkpoint, _ = named_checkpoint(cfg, None, folder, box=True)
    checkpoint.require_calibration()
    output = Path(cfg.output).expanduser()
    try:
        output.mkdir(parents=True, exist_ok=True)
    except OSError as error:
        raise MriadError(f"The folder {output} cannot be made ({error.strerror}); choose another output.") from error
    sample, factor = export_onnx(checkpoint, output)
    if cfg.input is not None:
        sample = _sample_of(cfg, checkpoint)
    if cfg.format == "openvino":
        write_openvino(output)
    about = described(checkpoint, version=mriad.__version__, file=MODEL, sample=sample, factor=factor)
    (output / "model.json").write_text(json.dumps(about, indent=2) + "\n", encoding="utf-8")
    arrays: dict[str, Any] = {**sample.inputs, "map": sample.map, "score": sample.score}
    np.savez_compressed(output / "sample.npz", **arrays)
    write_preparation(output, version=mriad.__version__)
    shutil.copyfile(EXAMPLE, output / EXAMPLE.name)
    console = Console()
    say(console, "Exported", f"{output / MODEL}, whose scores are mriad's to 1e-4")
    example = f"python {output / 'example.py'} {output / 'sample.npz'}   # score {sample.score[0]:.6f}"
    say(console, "Try it", example)


def _sample_of(cfg: DictConfig, checkpoint: Checkpoint) -> Sample:
    """The sample of a scan."""
    predictor = Predictor(checkpoint=checkpoint, device="cpu")
    series = None if cfg.series is None else str(cfg.series)
    found = find_scans(cfg.input, Wanted(volumes=predictor.of_volumes, series=series, brains=predictor.wants_brain))
    _, prepared = read_prepared(found[0], predictor)
    return Sample.of(prepared.image[None], checkpoint)
