from pathlib import Path

import pytest
from hydra.core.hydra_config import HydraConfig
from hydra.types import RunMode
from omegaconf import OmegaConf

from mriad.experiment.naming import describe, protocol, tags, varied_here
from mriad.tracking.sweep import PARENT_VARIABLE
from mriad.tracking.tracker import Tracker

CHOICES = {"model": "synthetic_anomaly", "data": "br35h", "threshold": "youden", "split": "grouped"}


@pytest.mark.parametrize(
    ("labelled_train", "name", "tag"),
    [
        (0, "synthetic_anomaly br35h youden seed 3", {}),
        (20, "synthetic_anomaly br35h youden labelled 20 seed 3", {"labelled_train": "20"}),
    ],
)
def test_labelled_scans_that_trained_stand_in_name_and_tags(labelled_train, name, tag):
    assert describe(CHOICES, 3, labelled_train) == name
    found = tags(CHOICES, OmegaConf.create({"labelled_train": labelled_train}), Path("/out"))
    assert found == {"kind": "training", "output_dir": "/out"} | tag


@pytest.mark.parametrize(
    ("split", "published", "tagged"),
    [("published_navoneel", None, True), ("grouped", True, True), ("from_csv", True, True), ("grouped", False, False)],
)
def test_a_published_protocol_is_tagged_by_its_choice_or_because_it_says_so(split, published, tagged):
    data = OmegaConf.create({"split": {} if published is None else {"published": published}})
    assert protocol({"split": split}, data) == ({"protocol": f"{split}: flawed on purpose"} if tagged else {})


@pytest.mark.parametrize(
    ("varied", "name"),
    [
        ({"seed": "3"}, "seed 3 synthetic_anomaly br35h youden"),
        ({"model": "synthetic_anomaly", "seed": "3"}, "synthetic_anomaly seed 3 br35h youden"),
        ({"model.beta": "0.0123456789"}, "beta=0.01235 synthetic_anomaly br35h youden seed 3"),
        ({"run": "4183e8ef956a", "data.root": "/scans"}, "synthetic_anomaly br35h youden seed 3"),
    ],
)
def test_what_varies_in_a_sweep_stands_first(varied, name):
    assert describe(CHOICES, 3, 0, varied) == name


@pytest.fixture
def job(monkeypatch, tracking_uri):
    """Become a job of a sweep that was typed with ``typed``; gives its store."""

    def become(typed, *task):
        tracker = Tracker(tracking_uri=tracking_uri)
        with tracker.run(name="sweep", tags={"overrides": typed}) as parent:
            monkeypatch.setenv(PARENT_VARIABLE, parent.run_id)
        hydra = {"mode": RunMode.MULTIRUN, "overrides": {"task": list(task)}}
        monkeypatch.setattr(HydraConfig.instance(), "cfg", OmegaConf.create({"hydra": hydra}))
        return tracker

    return become


def test_what_varies_is_what_the_sweep_does_not_say_once_for_all(job):
    typed = "logger.log_model=false model=ae,vae 'data.root=/a b' sweep=search"
    tracker = job(typed, "logger.log_model=False", "model=vae", "data.root=/a b", "sweep=search", "model.beta=0.1")
    assert varied_here(tracker) == {"model": "vae", "model.beta": "0.1"}


def test_outside_of_a_sweep_nothing_varies(monkeypatch):
    monkeypatch.setattr(HydraConfig.instance(), "cfg", None)
    assert varied_here(None) == {}
