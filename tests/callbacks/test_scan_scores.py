from functools import partial

import numpy as np
import pandas as pd
import pytest
import torch
from lightning import Trainer
from slices import of_unknown_size
from torch.utils.data import DataLoader

from mriad.callbacks import ScanScores
from mriad.callbacks.scan_scores import SCORE_COLUMNS
from mriad.models import Autoencoder
from mriad.scoring import Score

ROWS = [5, 2, 9, 0, 7]


class Black(torch.nn.Module):
    """Reconstructs darkness, so that the map is the scan."""

    def __init__(self):
        super().__init__()
        self.zero = torch.nn.Parameter(torch.tensor(0.0))

    def forward(self, x):
        return x * self.zero


def detector():
    return Autoencoder(network=Black(), score=Score(residual="l1"), optimizer=partial(torch.optim.SGD, lr=0.0))


def loader(rows, scale=10.0):
    def batch(part):
        image = torch.tensor(part).view(-1, 1, 1, 1).expand(-1, 1, 2, 2) / scale
        return of_unknown_size(image) | {"label": torch.tensor([row % 2 for row in part]), "row": torch.tensor(part)}

    return DataLoader([batch(rows[:2]), batch(rows[2:])], batch_size=None)


def trainer(callback, **options):
    return Trainer(
        accelerator="cpu",
        logger=False,
        enable_checkpointing=False,
        enable_progress_bar=False,
        enable_model_summary=False,
        max_epochs=1,
        num_sanity_val_steps=1,
        callbacks=[callback],
        **options,
    )


@pytest.mark.parametrize("verb", ["validate", "test"])
def test_scores_and_maps_of_a_pass_stand_in_the_order_of_the_catalog(verb):
    callback = ScanScores()
    getattr(trainer(callback), verb)(detector(), loader(ROWS), verbose=False)
    assert callback.rows.tolist() == [0, 2, 5, 7, 9]
    np.testing.assert_allclose(callback.scores, [0.0, 0.2, 0.5, 0.7, 0.9], atol=1e-7)
    assert callback.maps.shape == (5, 2, 2)
    np.testing.assert_allclose(callback.maps[:, 0, 0], [0.0, 0.2, 0.5, 0.7, 0.9], atol=1e-7)
    assert (callback.scores.dtype, callback.maps.dtype) == (np.float64, np.float32)


def test_maps_that_come_in_order_stay_in_their_file():
    callback = ScanScores()
    trainer(callback).test(detector(), loader([0, 2, 5]), verbose=False)
    assert isinstance(callback.maps, np.memmap)  # thousands of maps are larger than a job's memory
    np.testing.assert_allclose(callback.maps[:, 0, 0], [0.0, 0.2, 0.5], atol=1e-7)


def test_rank_0_has_the_scans_of_all_processes(on_two_ranks):
    def work(rank):
        callback = ScanScores()
        shared = trainer(callback, strategy="ddp", devices=2, use_distributed_sampler=False)
        shared.test(detector(), loader([[5, 2, 9, 8], [0, 7, 4]][rank]), verbose=False)
        return callback.rows.tolist() if rank == 0 else hasattr(callback, "rows")

    assert on_two_ranks(work) == [[0, 2, 4, 5, 7, 8, 9], False]


def test_the_epochs_of_a_fit_pass_by():
    callback = ScanScores()
    fit = trainer(callback)
    model = detector()
    fit.fit(model, loader(ROWS), loader([4, 3, 1]))
    assert not hasattr(callback, "scores")
    fit.validate(model, loader(ROWS), verbose=False)
    assert callback.rows.tolist() == sorted(ROWS)


def test_a_second_pass_replaces_the_first():
    callback = ScanScores()
    passes = trainer(callback)
    passes.validate(detector(), loader(ROWS), verbose=False)
    passes.test(detector(), loader([8, 1, 4], scale=1.0), verbose=False)
    assert callback.rows.tolist() == [1, 4, 8]
    assert callback.scores.tolist() == [1.0, 4.0, 8.0]


def test_the_table_sets_each_score_beside_its_scan():
    callback = ScanScores()
    trainer(callback).test(detector(), loader(ROWS), verbose=False)
    scans = pd.DataFrame(
        {
            "path": [f"{row}.png" for row in range(10)],
            "group": [f"patient {row}" for row in range(10)],
            "class": ["healthy", "tumour"] * 5,
            "label": [0, 1] * 5,
            "role": "test",
            "plane": "axial",
        }
    )
    table = callback.table(scans)
    assert list(table.columns) == SCORE_COLUMNS
    assert table["path"].tolist() == ["0.png", "2.png", "5.png", "7.png", "9.png"]
    assert table["label"].tolist() == [0, 0, 1, 1, 1]
    np.testing.assert_allclose(table["score"], [0.0, 0.2, 0.5, 0.7, 0.9], atol=1e-7)
    assert table.index.tolist() == [0, 1, 2, 3, 4]
