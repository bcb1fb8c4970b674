from functools import partial

import pytest
import torch
from lightning import Trainer
from lightning.pytorch.callbacks import Callback
from torch import nn
from torch.utils.data import DataLoader

from mriad.models import Autoencoder
from mriad.scoring import Score
from mriad.tracking.epochs import EpochLogger
from mriad.tracking.tracker import Tracker


class Scale(nn.Module):
    def __init__(self):
        super().__init__()
        self.factor = nn.Parameter(torch.tensor(0.5))

    def forward(self, x):
        return x * self.factor


def fit(run, *, epochs=3, callbacks=()):
    batch = {
        "image": torch.full((2, 1, 4, 4), 0.5),
        "label": torch.tensor([0, 1]),
        "row": torch.tensor([0, 1]),
        "pixel_area": torch.ones(2),
    }
    loader = DataLoader([batch] * 4, batch_size=None)
    detector = Autoencoder(network=Scale(), score=Score(), optimizer=partial(torch.optim.SGD, lr=0.1))
    trainer = Trainer(
        accelerator="cpu",
        max_epochs=epochs,
        logger=EpochLogger(run=run),
        callbacks=list(callbacks),
        enable_checkpointing=False,
        enable_progress_bar=False,
        enable_model_summary=False,
        num_sanity_val_steps=0,
        log_every_n_steps=1,
    )
    trainer.fit(detector, loader, loader)
    return trainer


@pytest.fixture
def tracker(tracking_uri):
    return Tracker(tracking_uri=tracking_uri)


def points(tracker, run, name):
    history = tracker.client.get_metric_history(run.run_id, name)
    return sorted((point.step, point.value) for point in history)


def test_each_epoch_is_one_point_whose_step_is_the_epoch(tracker):
    with tracker.run(name="mine", tags={}) as run:
        trainer = fit(run)
    for name in ("train/loss", "val/loss", "val/auroc"):
        assert [step for step, _ in points(tracker, run, name)] == [0, 1, 2]
    assert points(tracker, run, "val/loss")[-1][1] == pytest.approx(float(trainer.callback_metrics["val/loss"]))


def test_nothing_but_the_metrics_of_the_detector_is_logged(tracker):
    with tracker.run(name="mine", tags={}) as run:
        fit(run, epochs=1)
    data = tracker.client.get_run(run.run_id).data
    assert set(data.metrics) == {"train/loss", "val/loss", "val/auroc"}
    assert data.params == {}


def test_lightning_does_not_close_the_run(tracker):
    with tracker.run(name="mine", tags={}) as run:
        fit(run, epochs=1)
        assert tracker.client.get_run(run.run_id).info.status == "RUNNING"


def test_an_error_in_an_epoch_fails_the_run_with_its_reason(tracker):
    class Broken(Callback):
        def on_train_epoch_end(self, *_):
            raise RuntimeError("the disk is full")

    with pytest.raises(RuntimeError), tracker.run(name="mine", tags={}) as run:
        fit(run, callbacks=[Broken()])
    info = tracker.client.get_run(run.run_id)
    assert info.info.status == "FAILED"
    assert info.data.tags["failure"] == "RuntimeError: the disk is full"


def test_the_metrics_that_it_is_given_stay_as_they_are(tracker):
    metrics = {"val/loss": 0.25, "epoch": 4.0}
    with tracker.run(name="mine", tags={}) as run:
        EpochLogger(run=run).log_metrics(metrics, step=99)
    assert metrics == {"val/loss": 0.25, "epoch": 4.0}
    assert points(tracker, run, "val/loss") == [(4, 0.25)]


def test_it_names_its_experiment_and_run(tracker):
    with tracker.run(name="mine", tags={}) as run:
        logger = EpochLogger(run=run)
    assert (logger.name, logger.version) == (tracker.experiment_id, "")
