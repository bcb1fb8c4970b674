"""The MLflow model of a run. MLflow executes this file to load the model; nothing is unpickled."""

from __future__ import annotations

import tempfile
from collections.abc import Sequence
from pathlib import Path
from typing import Any

import mlflow
import numpy as np
from mlflow.exceptions import MlflowException
from mlflow.pyfunc import PythonModel

from mriad.checkpoints.checkpoint import Checkpoint
from mriad.data.reading.arrays import scans_of
from mriad.data.reading.levels import Levels
from mriad.errors import MriadError
from mriad.geometry import spacing_of
from mriad.prediction.predictor import Predictor, Prepared

_BATCH = 32


class ServedDetector(PythonModel):
    """Takes images (n, H, W) of any type, see ``arrays``; returns score (n,), decision (n,), map (n, H, W)."""

    def load_context(self, context: Any) -> None:
        """Load the checkpoint: the model's own copy, or the one in its run."""
        path = context.artifacts.get("checkpoint")
        if path is None:
            path = mlflow.artifacts.download_artifacts(context.model_config["checkpoint"], dst_path=tempfile.mkdtemp())
        self._predictor = Predictor(checkpoint=Checkpoint.load(Path(path)))

    def predict(
        self, context: Any, model_input: np.ndarray, params: dict[str, Any] | None = None
    ) -> dict[str, np.ndarray]:
        """Predict images of one size.

        Args:
            model_input: see ``mriad.data.reading.arrays.scans_of``.
            params: ``spacing``, millimetres per pixel as a manifest states them ('0.5' or '0.5 x 0.6', '' where
                unknown), one for all images or one for each; ``dtype``, the type that the pixels are meant in.

        Raises:
            MlflowException: if that is no input.
        """
        params = params or {}
        try:
            levels = scans_of(model_input, kind=params.get("dtype", ""))
            spacings = _spacings(params.get("spacing", []), len(levels))
            scans = [
                self._prepare(number, image, spacing)
                for number, (image, spacing) in enumerate(zip(levels, spacings, strict=True))
            ]
        except MriadError as error:
            raise MlflowException.invalid_parameter_value(str(error)) from error
        predictions = [
            one for start in range(0, len(scans), _BATCH) for one in self._predictor(scans[start : start + _BATCH])
        ]
        return {
            "score": np.array([one.score for one in predictions], dtype=np.float64),
            "decision": np.array([one.decision for one in predictions], dtype=np.int64),
            "map": np.array([one.map for one in predictions], dtype=np.float32),
        }

    def _prepare(self, number: int, image: Levels, spacing: tuple[float, float] | None) -> Prepared:
        try:
            return self._predictor.prepare(image, spacing=spacing)
        except MriadError as error:
            raise MriadError(f"Image {number} of the input (counted from 0): {error}") from error


def _spacings(stated: Sequence[str], count: int) -> list[tuple[float, float] | None]:
    texts = list(stated) or [""]
    if len(texts) not in (1, count):
        raise MriadError(f"The input has {count} images but {len(texts)} spacings; send one for all or one for each.")
    spacings = [spacing_of(text) for text in texts]
    for text, spacing in zip(texts, spacings, strict=True):
        if text.strip() and spacing is None:
            raise MriadError(f"The spacing '{text}' is none; send millimetres per pixel, as in '0.5' or '0.5 x 0.6'.")
    return spacings * count if len(texts) == 1 else spacings


mlflow.models.set_model(ServedDetector())
