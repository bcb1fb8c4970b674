"""Keeps a detector in MLflow as a model that can be registered, loaded and served."""

from __future__ import annotations

import tempfile
import warnings
from importlib import metadata
from pathlib import Path
from typing import Any

import numpy as np

from mriad.models import Detector
from mriad.models.features import Encoder
from mriad.tracking.run import Run

_REQUIREMENTS = (
    "torch",
    "lightning",
    "hydra-core",
    "torchmetrics",
    "scikit-learn",
    "pandas",
    "pillow",
    "opencv-python-headless",
)


def log_model(run: Run, detector: Detector, checkpoint: Path, *, copy: bool) -> None:
    """Log the pyfunc model 'model' of a run.

    It takes images (n, H, W) and returns ``score`` (n,), ``decision`` (n,) and ``map`` (n, H, W). Its signature leaves
    the type of the images open: MLflow would cast or refuse what ``mriad.data.reading.arrays`` understands.

    Args:
        run: the run.
        detector: what is in the checkpoint.
        checkpoint: the calibrated checkpoint.
        copy: give the model its own copy; False lets it read the run's artifact.
    """
    import mlflow
    from mlflow.models.signature import ModelSignature
    from mlflow.types import ParamSchema, ParamSpec, Schema, TensorSpec

    def tensor(dtype: Any, *shape: int, name: str | None = None) -> TensorSpec:
        return TensorSpec(np.dtype(dtype), (-1, *shape), name)

    signature = ModelSignature(
        outputs=Schema(
            [
                tensor(np.float64, name="score"),
                tensor(np.int64, name="decision"),
                tensor(np.float32, -1, -1, name="map"),
            ]
        ),
        params=ParamSchema([ParamSpec("spacing", "string", [], (-1,)), ParamSpec("dtype", "string", "")]),
    )
    source: dict[str, Any] = (
        {"artifacts": {"checkpoint": str(checkpoint)}}
        if copy
        else {"model_config": {"checkpoint": f"runs:/{run.run_id}/checkpoint/{checkpoint.name}"}}
    )
    with tempfile.TemporaryDirectory() as work, warnings.catch_warnings():
        warnings.filterwarnings("ignore", message=".*input example was not provided.*")  # the signature is exact
        model = Path(work) / "model"
        mlflow.pyfunc.save_model(
            path=str(model),
            python_model=str(Path(__file__).with_name("served_model.py")),
            signature=signature,
            pip_requirements=requirements(detector),
            **source,
        )
        run.log_model(model)


def requirements(detector: Detector) -> list[str]:
    """What must be installed besides mriad to serve a detector, for pip, in the versions that are here."""
    pretrained = ("timm",) if any(isinstance(part, Encoder) for part in detector.modules()) else ()
    return [f"{name}=={metadata.version(name)}" for name in (*_REQUIREMENTS, *pretrained)]
