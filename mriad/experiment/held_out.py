"""How well a detector finds what nothing like it has trained: lesions of the built-in scans, contrast by contrast."""

from __future__ import annotations

from typing import Any

import numpy as np
import torch
from numpy.typing import NDArray
from omegaconf import DictConfig, OmegaConf

from mriad.data.datamodule import MRIDataModule
from mriad.errors import MriadError, unknown
from mriad.experiment.data import load_data
from mriad.experiment.evaluation import OF_TRAINING
from mriad.metrics.pixel_curves import average_precision
from mriad.metrics.pixel_levels import PixelLevels
from mriad.models import Detector

CONTRASTS = ("T1", "T1c", "T2", "FLAIR")

_HEADS = {"healthy_subjects": 1, "diseased_subjects": 16, "spacing": 2.0, "seed": 1}
_SLICES = {"healthy_subjects": 1, "diseased_subjects": 60, "slices_per_subject": 4, "size": 200, "seed": 1}
_SPLIT = {"_target_": "mriad.data.roles.splits.AllTest"}


@torch.inference_mode()
def held_out(detector: Detector, data: DictConfig) -> dict[str, float]:
    """Pixel AP of the built-in scans that show a lesion, prepared as those that trained.

    Their people, scanners and lesions (``mriad.data.synthetic.lesions``) are drawn by other code than anything that
    trains. Where choices between detectors are made by them, no scan of val or test has a part in it.

    Args:
        detector: calibrated, in evaluation mode or not; it is left in evaluation mode.
        data: the options ``data``; ``val_on`` lists the contrasts.

    Returns:
        ``held_out/<contrast>/pixel_ap``, and the mean of them as ``held_out/pixel_ap``; empty where nothing is asked.

    Raises:
        MriadError: if a contrast is unknown, or the built-in scans cannot be made.
    """
    wanted = list(data.get("val_on") or [])
    for contrast in wanted:
        if contrast not in CONTRASTS:
            raise unknown("data.val_on", contrast, CONTRASTS)
    detector.eval()
    found = {contrast: _pixel_ap(detector, *built_in(data, contrast)) for contrast in wanted}
    metrics = {f"held_out/{contrast}/pixel_ap": value for contrast, value in found.items()}
    return metrics | ({"held_out/pixel_ap": float(np.mean(list(found.values())))} if found else {})


def built_in(data: DictConfig, contrast: str) -> tuple[MRIDataModule, NDArray[np.int64]]:
    """The built-in scans, of volumes or of pictures as those that train are, and rows of those with a lesion."""
    of_volumes = OmegaConf.select(data, "preprocess.depth") is not None
    layout: dict[str, Any] = {"_target_": "mriad.data.layouts.synthetic", "_partial_": True, **_SLICES}
    if of_volumes:
        layout = {"_target_": "mriad.data.layouts.synthetic_volumes", "_partial_": True, **_HEADS, "contrast": contrast}
    plain: Any = OmegaConf.to_container(data, resolve=True)
    built_in = {**plain, **OF_TRAINING, "name": "held out", "root": data.cache_dir, "layout": layout, "split": _SPLIT}
    datamodule = load_data(OmegaConf.create(built_in), roles=("test",))
    rows = datamodule.rows("test", 1)
    rows = rows[datamodule.cache.has_mask(rows) & (datamodule.table["contrast"].to_numpy()[rows] == contrast)]
    shown = [row for row in rows if datamodule.cache.masks_of(np.array([row])).any()]
    if not shown:
        raise MriadError(f"data.val_on={contrast}: no built-in scan of this contrast shows a lesion.")
    return datamodule, np.array(shown)


def _pixel_ap(detector: Detector, datamodule: MRIDataModule, rows: NDArray[np.int64]) -> float:
    maps = np.empty((len(rows), *datamodule.preprocess.spatial), dtype=np.float32)
    for place, row in enumerate(rows):
        scan = {name: part.to(detector.device) for name, part in datamodule.slices(np.array([row])).items()}
        maps[place] = detector.scan(scan)[0][0, 0].cpu().numpy()
    masks = datamodule.cache.masks_of(rows)
    levels = PixelLevels(maps, masks)
    return float(average_precision(levels.lesion, levels.background(maps, masks)))
