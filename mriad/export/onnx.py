"""A detector's graph as ONNX, held against the detector before it is kept."""

from __future__ import annotations

import contextlib
import io
import logging
import re
import warnings
from pathlib import Path
from typing import Any

import numpy as np
import torch

from mriad.checkpoints.checkpoint import Checkpoint
from mriad.disk import written_whole
from mriad.errors import MriadError
from mriad.export.graph import Sample, ScanGraph, size_factor

MODEL = "model.onnx"
TOLERANCE = 1e-4  # by which a score of the graph may differ from mriad's
_OPSET = 20
_LOUD = ("torch.onnx", "torch.export", "onnxscript", "onnx_ir")


def export_onnx(checkpoint: Checkpoint, folder: Path) -> tuple[Sample, int | None]:
    """Write ``model.onnx``.

    Args:
        checkpoint: of the detector.
        folder: where to.

    Returns:
        A sample that mriad and the graph agree upon, and what height and width of a picture must be multiples of, None
        where they must be those that the detector was trained with.

    Raises:
        MriadError: if the detector is no graph, ONNX is not installed, or the graph says something else than mriad.
    """
    _require_libraries()
    spatial = checkpoint.preprocess().spatial
    graph = ScanGraph(checkpoint.detector())
    factor = size_factor(graph.detector) if len(spatial) == 2 else None
    sample = Sample.of(_levels(2, spatial), checkpoint)
    content = _exported(graph, sample, factor)
    name = type(graph.detector).__name__
    _require_agreement(name, content, sample)
    _require_agreement(name, content, Sample.of(_levels(3, spatial), checkpoint))
    with written_whole(folder / MODEL) as part:
        part.write_bytes(content)
    return sample, factor


def _require_libraries() -> None:
    try:
        import onnx  # noqa: F401
        import onnxruntime  # noqa: F401
        import onnxscript  # noqa: F401
    except ImportError as error:
        raise MriadError(f"format=onnx needs what cannot be imported ({error}): pip install 'mriad[onnx]'.") from error


def _exported(graph: ScanGraph, sample: Sample, factor: int | None) -> bytes:
    batch = torch.export.Dim("batch", min=1)
    shape: dict[int, Any] = {0: batch}
    if factor is not None:
        shape |= {1: factor * torch.export.Dim("rows", min=1), 2: factor * torch.export.Dim("columns", min=1)}
    inputs = {name: torch.from_numpy(values) for name, values in sample.inputs.items()}
    for name in _LOUD:
        logging.getLogger(name).setLevel(logging.ERROR)
    said = io.StringIO()
    try:
        with torch.no_grad(), warnings.catch_warnings(), contextlib.redirect_stdout(said):
            warnings.simplefilter("ignore")
            program = torch.export.export(
                graph, (), inputs, dynamic_shapes={name: shape for name in inputs}, strict=False
            )
            made = torch.onnx.export(
                program,
                (),
                kwargs=inputs,
                input_names=list(inputs),
                output_names=["map", "score"],
                opset_version=_OPSET,
                dynamo=True,
                verbose=False,
            )
    except Exception as error:  # the exporter raises whatever its parts do
        raise MriadError(
            f"{type(graph.detector).__name__} cannot be exported, for its steps are no graph ({_first_cause(error)}); "
            "serve it with mriad."
        ) from error
    assert made is not None
    return made.model_proto.SerializeToString()


def _first_cause(error: BaseException) -> str:
    """What began an exception, in one line."""
    while error.__cause__ is not None:
        error = error.__cause__
    first = next(iter(str(error).strip().splitlines()), type(error).__name__)
    return " ".join(re.sub(r"\x1b\[[0-9;]*m", "", first).split()).rstrip(".")[:200]


def _require_agreement(name: str, content: bytes, sample: Sample) -> None:
    """Run the graph on a sample.

    Raises:
        MriadError: if a score differs from mriad's.
    """
    import onnxruntime

    _, scores = onnxruntime.InferenceSession(content, providers=["CPUExecutionProvider"]).run(None, sample.inputs)
    apart = float(np.abs(scores - sample.score).max())
    if not apart <= TOLERANCE:
        raise MriadError(f"{name} cannot be exported: the scores of its graph differ by {apart:.2g} from mriad's.")


def _levels(count: int, spatial: tuple[int, ...]) -> np.ndarray:
    """Scans to try a graph on: bright blobs of noise on black."""
    rng = np.random.default_rng(count)
    axes = np.meshgrid(*[np.linspace(-1, 1, side) for side in spatial], indexing="ij")
    inside = sum(axis**2 for axis in axes) < 0.8
    return (rng.integers(40, 200, (count, *spatial)) * inside).astype(np.uint8)
