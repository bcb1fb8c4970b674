from functools import partial
from types import SimpleNamespace

import numpy as np
import pandas as pd
import pytest
import torch

from mriad.models import CompactVAE
from mriad.models.networks import VAENetwork
from mriad.report import Result
from mriad.scoring import Score
from mriad.thresholds import Calibration

SIZE = 16


@pytest.fixture
def measure():
    """Measure a test of scans that are given by their class and score; the threshold is 0.5."""

    def build(classes, scores, *, masked=(), lost=(), published=False, rule="youden", data="toy"):
        """``masked``: classes that have lesion masks; ``lost``: rows whose mask the crop has cut away."""
        rng = np.random.default_rng(0)
        count = len(classes)
        has_mask = np.array([name in masked for name in classes])
        lesions = np.zeros((count, SIZE, SIZE), dtype=bool)
        lesions[has_mask, 4:8, 4:8] = True
        lesions[list(lost)] = False
        maps = (0.1 * rng.random((count, SIZE, SIZE)) + 0.8 * lesions).astype(np.float32)
        labels = np.array([int(name != "healthy") for name in classes])
        table = pd.DataFrame(
            {
                "path": [f"{i}.png" for i in range(count)],
                "group": [f"p{i}" for i in range(count)],
                "class": classes,
                "label": labels,
                "role": "test",
                "score": np.array(scores, dtype=float),
            }
        )
        images = torch.from_numpy(rng.random((count, 1, SIZE, SIZE)).astype(np.float32))
        datamodule = SimpleNamespace(
            name=data,
            split=SimpleNamespace(published=published),
            cache=SimpleNamespace(has_mask=lambda rows: has_mask[rows], masks_of=lambda rows: lesions[rows]),
            images=lambda rows: images[rows],
        )
        calibration = Calibration(
            rule=rule, threshold=0.5, pixel_threshold=0.2, val_scores=pd.DataFrame({"score": [0.1]})
        )
        return Result.measure(
            table=table, rows=np.arange(count), maps=maps, datamodule=datamodule, calibration=calibration
        )

    return build


@pytest.fixture
def mixed(measure):
    """Each outcome, two classes of anomalies, one of them with masks."""
    classes = ["healthy"] * 6 + ["glioma"] * 4 + ["pituitary tumour"] * 2
    scores = [0.1, 0.2, 0.3, 0.4, 0.6, 0.7, 0.9, 0.8, 0.45, 0.65, 0.35, 0.95]
    return measure(classes, scores, masked=["glioma"])


@pytest.fixture
def vae():
    torch.manual_seed(0)
    network = VAENetwork(image_size=SIZE, latent_dim=3, widths=(4, 8))
    optimizer = partial(torch.optim.SGD, lr=0.1)
    return CompactVAE(network=network, beta=0.1, score=Score(), optimizer=optimizer).eval()
