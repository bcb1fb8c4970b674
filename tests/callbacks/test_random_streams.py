"""Every detector: the weights of all ranks alike, what they draw in a training not."""

import random
from pathlib import Path
from types import SimpleNamespace

import numpy as np
import pytest
import torch
from hydra import compose, initialize_config_dir
from hydra.utils import instantiate
from lightning import seed_everything

from mriad.callbacks import RandomStreams
from mriad.models import FittedDetector

CONF = Path(__file__).parents[2] / "conf"
OF_VOLUMES = ["data=volumes", "data.preprocess.depth=16", "model.network.latent_dim=4", "model.network.widths=[4,8]"]
SMALL = {
    "ae": ["model.network.latent_dim=4"],
    "vae": ["model.network.latent_dim=4", "model.network.widths=[4,8]"],
    "vae_residual": ["model.network.latent_dim=4", "model.network.hidden_dim=8"],
    "dae": ["model.network.widths=[4,8]"],
    "ae_3d": OF_VOLUMES,
    "vae_3d": OF_VOLUMES,
    "synthetic_anomaly": ["model.network.widths=[4,8]"],
    "ensemble": None,  # of detectors that are trained
}
WITH_ENCODER = ("feature_ae", "patchcore")


class TinyEncoder(torch.nn.Module):
    """In the place of a network of timm, which need not be there."""

    channels = (2,)

    def __init__(self, **_):
        super().__init__()
        self.layer = torch.nn.Conv2d(1, 2, 1)

    def fetch(self):
        pass


def trainer(rank):
    return SimpleNamespace(
        global_rank=rank, strategy=SimpleNamespace(root_device=torch.device("cpu")), is_global_zero=rank == 0
    )


def begun(name, rank, options):
    """Weights, and what is drawn when the training begins."""
    with initialize_config_dir(str(CONF), version_base="1.3"):
        cfg = compose("train", overrides=[f"model={name}", "data.image_size=32", *options])
    if name in WITH_ENCODER:
        cfg.model.encoder = {"_target_": f"{__name__}.TinyEncoder"}
    seed_everything(7, workers=True, verbose=False)
    detector = instantiate(cfg.model)
    streams = RandomStreams(seed=7)
    streams.on_fit_start(trainer(rank), detector)
    detector._trainer = trainer(rank)
    detector.on_fit_start()  # after the callbacks', and it may do what it likes
    return detector, (torch.rand(3).tolist(), np.random.rand(), random.random())


NAMES = sorted(path.stem for path in (CONF / "model").glob("*.yaml") if SMALL.get(path.stem, []) is not None)


@pytest.mark.parametrize("name", NAMES)
def test_each_rank_draws_its_own_and_builds_the_same(name, monkeypatch):
    monkeypatch.syspath_prepend(str(Path(__file__).parent))
    (first, drawn), (second, other) = (begun(name, rank, SMALL.get(name, [])) for rank in (0, 1))
    assert all(
        torch.equal(*pair) for pair in zip(first.state_dict().values(), second.state_dict().values(), strict=True)
    )
    assert all(mine != theirs for mine, theirs in zip(drawn, other, strict=True))
    if isinstance(first, FittedDetector):
        assert "on_fit_start" not in vars(type(first))


def test_no_rank_of_one_seed_draws_what_rank_0_of_another_does():
    streams = {}
    for seed in range(3):
        for rank in range(3):
            seed_everything(seed, workers=True, verbose=False)
            RandomStreams(seed=seed).on_fit_start(trainer(rank), None)
            streams[seed, rank] = torch.rand(1).item()
    assert len(set(streams.values())) == len(streams)


def test_ranks_take_up_their_streams_where_they_were_noted(on_two_ranks):
    for first, second in on_two_ranks(_noted_and_taken_up):
        assert first == second


def _noted_and_taken_up(rank):
    from torch import distributed

    distributed.init_process_group("gloo")
    streams = RandomStreams(seed=0)
    streams.on_fit_start(trainer(rank), None)
    streams.on_train_end(trainer(rank), None)
    first = torch.rand(2).tolist()
    later = RandomStreams(seed=0)
    later.load_state_dict(streams.state_dict())
    later.on_fit_start(trainer(rank), None)
    return first, torch.rand(2).tolist()
