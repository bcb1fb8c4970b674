"""A graph that was written as ONNX, in OpenVINO's own form."""

from __future__ import annotations

from pathlib import Path

from mriad.errors import MriadError, reason
from mriad.export.onnx import MODEL


def write_openvino(folder: Path) -> None:
    """Write ``model.xml`` and ``model.bin`` of the ``model.onnx`` in a folder; weights stay float32.

    Raises:
        MriadError: if OpenVINO is not installed, or does not take the graph.
    """
    try:
        import openvino
    except ImportError as error:
        raise MriadError(
            f"format=openvino needs OpenVINO, which cannot be imported ({error}): pip install "
            f"'mriad[openvino]'. It reads {folder / MODEL} as it is, too."
        ) from error
    try:
        openvino.save_model(openvino.convert_model(folder / MODEL), folder / "model.xml", compress_to_fp16=False)
    except Exception as error:  # OpenVINO raises whatever its parts do
        why = reason(error).rstrip(".")
        raise MriadError(f"OpenVINO does not take {folder / MODEL} ({why}); use format=onnx.") from error
