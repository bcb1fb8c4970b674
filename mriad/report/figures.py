"""The figures of a test, drawn from its result and nothing else."""

from __future__ import annotations

from collections.abc import Mapping

import numpy as np
import pandas as pd
import torch
from matplotlib.figure import Figure
from numpy.typing import NDArray
from torch import Tensor

from mriad import plots
from mriad.geometry.planes import views_through
from mriad.models import VAE, Detector, ReconstructionDetector
from mriad.report.result import Result
from mriad.scoring.assemble import in_plane

OUTCOMES = ("true positive", "false positive", "false negative", "true negative")
_SCANS_PER_OUTCOME = 4

Examples = Mapping[str, tuple[NDArray[np.float32], NDArray[np.bool_]]]  # scans and masks (N, S, S) by name


def result_figures(result: Result, detector: Detector) -> dict[str, Figure]:
    """The figures of the decisions, and the gallery."""
    return decision_figures(result) | {"gallery": gallery(result, detector)}


def decision_figures(result: Result) -> dict[str, Figure]:
    """ROC and precision-recall curves (where both labels are there), histogram, confusion matrix."""
    labels = result.table["label"].to_numpy()
    scores = result.table["score"].to_numpy(dtype=float)
    threshold = result.calibration.threshold
    figures = {}
    if 0 < labels.mean() < 1:
        figures["roc"] = plots.roc_curve(labels, scores, threshold)
        figures["pr"] = plots.pr_curve(labels, scores, threshold)
    figures["score_histogram"] = plots.score_histogram(labels, scores, threshold)
    figures["confusion_matrix"] = plots.confusion_matrix(result.confusion)
    return figures


def training_figures(
    history: pd.DataFrame, result: Result, detector: Detector, anomalies: Examples | None = None
) -> dict[str, Figure]:
    """Loss curves, examples of synthetic anomalies, and what a VAE dreams of: walks between scans, samples."""
    figures = {}
    if "train/loss" in history:
        figures["loss"] = plots.loss_curves(history)
    if anomalies:
        figures["anomalies"] = plots.anomaly_examples(anomalies, title=f"Synthetic anomalies in scans of {result.data}")
    if isinstance(detector, VAE):
        with torch.inference_mode():
            figures["latent_interpolation"] = plots.latent_interpolation(_interpolation(result, detector))
            figures["prior_samples"] = plots.prior_samples(_pictures(detector.prior_samples(24).squeeze(1), detector))
    return figures


def gallery(result: Result, detector: Detector) -> Figure:
    """Original, reconstruction, map and overlay of scans of each outcome, spread over the range of their scores."""
    counts = result.outcomes().value_counts()
    sections = {
        f"{outcome}s ({counts[outcome]})": gallery_rows(result, detector, picks)
        for outcome, picks in spread_over_scores(result, _SCANS_PER_OUTCOME).items()
    }
    return plots.gallery(
        sections,
        map_scale=result.calibration.map_scale,
        pixel_threshold=result.calibration.pixel_threshold,
        title=f"Hits and misses on {result.data}",
    )


def spread_over_scores(result: Result, count: int) -> dict[str, NDArray[np.int64]]:
    """Up to ``count`` rows of the table for each outcome that happened, from the highest score to the lowest."""
    outcomes = result.outcomes()
    picks = {}
    for outcome in OUTCOMES:
        members = result.table[outcomes == outcome].sort_values("score", ascending=False).index.to_numpy()
        if len(members):
            picks[outcome] = members[np.unique(np.linspace(0, len(members) - 1, count).round().astype(int))]
    return picks


def gallery_rows(result: Result, detector: Detector, picks: NDArray[np.int64]) -> list[plots.GalleryRow]:
    """The pictures of the scans in these rows of the table."""
    rows = []
    for pick, (_, scan) in zip(picks, result.table.loc[picks].iterrows(), strict=True):
        shown = {"image": result.images[pick], "anomaly_map": result.maps[pick], "mask": result.masks[pick]}
        if isinstance(detector, ReconstructionDetector):
            with torch.inference_mode():
                x = torch.from_numpy(shown["image"])[None, None].to(detector.device)
                shown["reconstruction"] = detector.reconstructions(x)[0, 0].float().cpu().numpy()
        if shown["image"].ndim == 3:
            there = {name: values for name, values in shown.items() if values is not None}
            views = views_through(list(there.values()), shown["anomaly_map"])
            shown |= dict(zip(there, views, strict=True))
        title = f"{scan['class']}, score {scan['score']:.3g}"
        rows.append(plots.GalleryRow(title=title, **{"reconstruction": None} | shown))
    return rows


def _interpolation(result: Result, detector: VAE, *, walks: int = 3, steps: int = 9) -> NDArray[np.float32]:
    """(walks, steps, S, S): from one test scan to the next through the latent space."""
    ends = np.linspace(0, len(result.images) - 1, 2 * walks).round().astype(int)
    images = torch.from_numpy(np.stack([result.images[end] for end in ends])).unsqueeze(1)
    if images.ndim == 3 + detector.spatial_dims:  # slices of volumes
        depth = images.shape[2]
        images = in_plane(images, "axial", neighbours=detector.neighbours)[depth // 2 :: depth]
    x = images.to(detector.device)
    codes = detector.encode(x if detector.patches is None else detector.patches.middle(x))
    weights = torch.linspace(0, 1, steps, device=codes.device)[:, None]
    rows = [detector.decode(torch.lerp(a, b, weights)) for a, b in zip(codes[::2], codes[1::2], strict=True)]
    return _pictures(torch.stack(rows).squeeze(2), detector)


def _pictures(decoded: Tensor, detector: VAE) -> NDArray[np.float32]:
    """(..., S, S) of images (..., *spatial): of volumes their middle slices."""
    middle = decoded.select(-3, decoded.shape[-3] // 2) if detector.spatial_dims == 3 else decoded
    return middle.float().cpu().numpy()
