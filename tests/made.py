"""Calibrated checkpoints of small detectors that nobody has trained, for what loads, scores and exports them."""

import tempfile
from pathlib import Path

import numpy as np
import pandas as pd
import torch
from hydra import compose, initialize_config_dir
from hydra.core.hydra_config import HydraConfig
from hydra.utils import instantiate
from omegaconf import OmegaConf

from mriad.data.batches import as_scans
from mriad.models.detector import CHECKPOINT_KEY, Detector
from mriad.models.fitted import FittedDetector
from mriad.thresholds import Calibration

CONF = Path(__file__).parents[1] / "conf"
PICTURES = ("data=folder", "data.root=.", "data.image_size=32")
VOLUMES = ("data=volumes", "data.root=.", "data.image_size=32", "data.preprocess.depth=32", "data.spacing=8")


def composed(*overrides):
    """The config of a training, resolved."""
    with initialize_config_dir(str(CONF), version_base="1.3"):
        cfg = compose("train", overrides=list(overrides), return_hydra_config=True)
    cfg.hydra.runtime.output_dir = cfg.hydra.runtime.cwd = tempfile.gettempdir()
    cfg.hydra.job.num = 0
    HydraConfig.instance().set_config(cfg)
    OmegaConf.set_struct(cfg, False)
    del cfg["hydra"]
    OmegaConf.resolve(cfg)
    return cfg


def checkpoint(file, *overrides, threshold=0.1, pixel_threshold=0.2, trained=None, seed=0, change=None):
    """Write the checkpoint of a detector with random weights, fitted to noise where it is fitted.

    Args:
        overrides: of a training, such as ``model=pca``.
        change: changes the composed config.
    """
    cfg = composed(*overrides)
    if change is not None:
        change(cfg)
    torch.manual_seed(seed)
    detector: Detector = instantiate(cfg.model)
    spatial = instantiate(cfg.data.preprocess).spatial
    levels = np.random.default_rng(seed).integers(20, 255, (6, *spatial), dtype=np.uint8)
    scans = [as_scans(levels, np.ones(6, dtype=np.float32))]
    detector.eval()
    with torch.no_grad():
        if isinstance(detector, FittedDetector):
            pieces = [scans[0]["image"]] if len(spatial) == detector.spatial_dims else [scans[0]["image"][:, :, 3]]
            detector.fit_healthy([{"image": piece} for piece in pieces])
        if detector.fits_scale:
            detector.fit_scale(scans)
    val_scores = pd.DataFrame({"label": [0, 1], "score": [0.0, 1.0], "group": [0, 1]})
    calibration = Calibration(rule="fixed", threshold=threshold, pixel_threshold=pixel_threshold, val_scores=val_scores)
    record = {
        "config": {name: OmegaConf.to_container(cfg[name], resolve=True) for name in ("model", "data")},
        "choices": {"model": cfg.model._target_.rsplit(".", 1)[-1], "split": "grouped"},
        "run_id": "0123456789abcdef",
        "key": "",
        "split": {},
        "seen": {},
        "trained": trained or {},
        "calibration": calibration.as_record(),
    }
    file.parent.mkdir(parents=True, exist_ok=True)
    torch.save({"state_dict": detector.state_dict(), CHECKPOINT_KEY: record}, file)
    return file
