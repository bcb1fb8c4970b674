"""A training that was stopped and gone on with, and one in a single piece: the same to the last bit."""

import sys
from pathlib import Path

import pytest
import torch
from hydra import compose, initialize_config_dir
from hydra.core.hydra_config import HydraConfig
from hydra.utils import instantiate
from lightning import seed_everything
from lightning.pytorch.callbacks import Callback
from lightning.pytorch.loggers import Logger
from omegaconf import OmegaConf

from mriad.checkpoints.whole_files import WholeFiles
from mriad.experiment.data import load_data
from mriad.processes.hardware import choose_open_options
from mriad.trainer.fit import callbacks

sys.path.append(str(Path(__file__).parents[1] / "commands"))
from brains import write_scans

CONF = Path(__file__).parents[2] / "conf"
EPOCHS = 4
SMALL = (
    "data=folder",
    "data.image_size=32",
    "data.batch_size=8",
    f"trainer.max_epochs={EPOCHS}",
    "trainer=cpu",
    "trainer.precision=32-true",
)
PLATEAU = (
    "+model.scheduler={_target_:torch.optim.lr_scheduler.ReduceLROnPlateau,_partial_:true,patience:0,threshold:0.5}"
)
MODELS = {
    "ae": ("model=ae", "model.network.latent_dim=4", "augment=mild", PLATEAU),
    "vae": ("model=vae", "model.network.latent_dim=4", "model.network.widths=[4,8]", "augment=strong"),
    "dae": ("model=dae", "model.network.widths=[4,8]", "augment=mild"),
    "synthetic_anomaly": ("model=synthetic_anomaly", "model.network.widths=[4,8]", "data.epoch_scans=24"),
    "on_device": ("model=ae", "model.network.latent_dim=4", "augment=strong", "data.on_device=true"),
    "workers": ("model=synthetic_anomaly", "model.network.widths=[4,8]", "data.epoch_scans=24", "data.num_workers=2"),
}


class StopAt(Callback):
    """Ctrl-C at one moment of a training."""

    def __init__(self, moment, epoch):
        self._moment, self._epoch = moment, epoch

    def _stop(self, moment, trainer):
        if (moment, trainer.current_epoch) == (self._moment, self._epoch):
            raise KeyboardInterrupt

    def on_train_epoch_start(self, trainer, *_):
        self._stop("epoch start", trainer)

    def on_train_batch_start(self, trainer, pl_module, batch, batch_idx):
        if batch_idx == 1:
            self._stop("step", trainer)

    def on_train_batch_end(self, trainer, pl_module, outputs, batch, batch_idx):
        if batch_idx == trainer.num_training_batches - 1:
            self._stop("last step", trainer)

    def on_validation_batch_start(self, trainer, *_):
        self._stop("validation", trainer)

    def on_validation_end(self, trainer, *_):
        self._stop("validation end", trainer)

    def on_train_epoch_end(self, trainer, *_):
        self._stop("epoch end", trainer)


class Log(Logger):
    """What was logged, by metric and epoch."""

    name, version = "log", ""

    def __init__(self, values):
        super().__init__()
        self.values = values

    def log_hyperparams(self, *_, **__):
        pass

    def log_metrics(self, metrics, step=None):
        epoch = int(metrics["epoch"])
        self.values |= {(name, epoch): value for name, value in metrics.items() if name != "epoch"}


class Training:
    """One training in a folder, with what it has led to."""

    def __init__(self, folder, scans, *options):
        self.folder = folder
        with initialize_config_dir(str(CONF), version_base="1.3"):
            cfg = compose("train", overrides=[*SMALL, f"data.root={scans}", *options], return_hydra_config=True)
        cfg.hydra.runtime.output_dir, cfg.hydra.runtime.cwd = str(folder), str(folder)
        HydraConfig.instance().set_config(cfg)
        OmegaConf.set_struct(cfg, False)
        del cfg["hydra"]
        cfg.data.cache_dir = str(scans.parent / "cache")
        cfg.callbacks.last.every_seconds = 1e9
        choose_open_options(cfg)
        self.cfg = OmegaConf.create(OmegaConf.to_container(cfg, resolve=True))
        self.log = {}

    def fit(self, *further, resume=False):
        seed_everything(self.cfg.seed, workers=True, verbose=False)
        self.detector = instantiate(self.cfg.model)
        datamodule = load_data(self.cfg.data, roles=("train", "val", "test"))
        trainer = instantiate(
            self.cfg.trainer,
            callbacks=[*callbacks(self.cfg), *further],
            logger=Log(self.log),
            enable_progress_bar=False,
        )
        trainer.strategy.checkpoint_io = WholeFiles()
        last = self.folder / "last.ckpt" if resume else None
        trainer.fit(self.detector, datamodule, ckpt_path=last, weights_only=True)
        self.trainer = trainer
        return self

    def stopped(self, moment, epoch, *, resume=False):
        with pytest.raises(SystemExit):
            self.fit(StopAt(moment, epoch), resume=resume)
        return self

    @property
    def last(self):
        return torch.load(self.folder / "last.ckpt", weights_only=True)

    @property
    def best(self):
        return torch.load(self.folder / "best.ckpt", weights_only=True)["state_dict"]


@pytest.fixture(scope="module")
def scans(tmp_path_factory):
    return write_scans(tmp_path_factory.mktemp("data") / "scans")


@pytest.fixture(scope="module", params=MODELS)
def whole(request, tmp_path_factory, scans):
    """A training in a single piece."""
    training = Training(tmp_path_factory.mktemp(request.param), scans, *MODELS[request.param])
    training.options = MODELS[request.param]
    return training.fit()


def assert_equal(one, other):
    if isinstance(one, torch.Tensor):
        assert torch.equal(one, other)
    elif isinstance(one, dict):
        assert one.keys() == other.keys()
        for key in one:
            assert_equal(one[key], other[key])
    elif isinstance(one, list | tuple):
        assert len(one) == len(other)
        for pair in zip(one, other, strict=True):
            assert_equal(*pair)
    else:
        assert one == other or one != one


def assert_same(parts, whole):
    assert_equal(parts.detector.state_dict(), whole.detector.state_dict())
    assert parts.log == whole.log
    ours, theirs = parts.last, whole.last
    for part in ("optimizer_states", "lr_schedulers", "loops", "epoch", "global_step"):
        assert_equal(ours[part], theirs[part])
    if (whole.folder / "best.ckpt").exists():
        assert_equal(parts.best, whole.best)


def test_a_training_stopped_twice_goes_on_as_if_it_had_not_been(whole, scans, tmp_path):
    """In a step, and in the validation after the epoch that it has gone on with."""
    parts = Training(tmp_path, scans, *whole.options).stopped("step", 1)
    parts.stopped("validation", 2, resume=True)
    assert_same(parts.fit(resume=True), whole)


@pytest.mark.parametrize("moment", ["last step", "validation end", "epoch end"])
def test_no_moment_is_unlucky(scans, tmp_path, moment):
    """Whatever was counted, logged, scheduled or chosen when it was stopped; it ends by early stopping."""
    options = (*MODELS["ae"], "trainer.max_epochs=30", "callbacks.early_stopping.patience=1", "model.optimizer.lr=0.3")
    one, two = (Training(tmp_path / name, scans, *options) for name in ("whole", "parts"))
    one.fit()
    assert 1 < one.trainer.current_epoch < 30
    assert_same(two.stopped(moment, 1).fit(resume=True), one)
