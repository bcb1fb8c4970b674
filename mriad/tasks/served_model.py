"""The MLflow model of a run. MLflow executes this file to load the model; nothing is unpickled."""

from __future__ import annotations

import tempfile
from pathlib import Path
from typing import Any

import mlflow
import numpy as np
from mlflow.pyfunc import PythonModel

from mriad.tasks.checkpoint import Checkpoint
from mriad.tasks.predictor import Predictor

_BATCH = 32


class ServedDetector(PythonModel):
    """Takes images (n, H, W) uint8, returns score (n,), decision (n,) and map (n, H, W)."""

    def load_context(self, context: Any) -> None:
        """Load the checkpoint: the model's own copy, or the one in its run."""
        path = context.artifacts.get("checkpoint")
        if path is None:
            path = mlflow.artifacts.download_artifacts(context.model_config["checkpoint"], dst_path=tempfile.mkdtemp())
        self._predictor = Predictor(checkpoint=Checkpoint.load(Path(path)))

    def predict(self, context: Any, model_input: np.ndarray, params: Any = None) -> dict[str, np.ndarray]:
        """Predict a stack of images of one size."""
        scans = [self._predictor.prepare(image) for image in np.asarray(model_input, dtype=np.uint8)]
        predictions = [
            one for start in range(0, len(scans), _BATCH) for one in self._predictor(scans[start : start + _BATCH])
        ]
        return {
            "score": np.array([one.score for one in predictions]),
            "decision": np.array([one.decision for one in predictions], dtype=np.int64),
            "map": np.stack([one.map for one in predictions]),
        }


mlflow.models.set_model(ServedDetector())
