from pathlib import Path
from types import SimpleNamespace

import pytest
import torch
from hydra.core.hydra_config import HydraConfig
from hydra.types import RunMode
from omegaconf import OmegaConf

from mriad.experiment.provenance import describe, protocol, record_options, tags, this_command, varied_here
from mriad.passwords import VARIABLE, conceal_config
from mriad.tracking.run import Tracker
from mriad.tracking.sweep import PARENT_VARIABLE

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


@pytest.mark.parametrize(
    ("sources", "task", "command"),
    [
        ({"main": "/mriad/conf"}, ["run=models:/mriad@champion", "trainer=cpu"], "run=a1 trainer=cpu"),
        ({"main": "/own conf", "command-line": "/mriad/conf"}, ["run=b2"], "--config-dir '/own conf' run=b2"),
        ({"main": "/mriad/conf"}, ["checkpoint=a b.ckpt"], "'checkpoint=a b.ckpt'"),
    ],
)
def test_the_command_of_a_run_means_the_same_later(sources, task, command, monkeypatch):
    hydra = {
        "overrides": {"task": task},
        "job": {"name": "evaluate"},
        "runtime": {"config_sources": [{"provider": name, "path": path} for name, path in sources.items()]},
    }
    monkeypatch.setattr(HydraConfig.instance(), "cfg", OmegaConf.create({"hydra": hydra}))
    assert this_command("a1") == ("Evaluate again", f"python evaluate.py {command}")


def test_outside_of_a_sweep_nothing_varies(monkeypatch):
    monkeypatch.setattr(HydraConfig.instance(), "cfg", None)
    assert varied_here(None) == {}


def test_parameters_begin_with_the_choices_and_leave_out_what_is_said_twice(tracking_uri):
    config = {
        "data": {"image_size": 32, "cache_dir": "/c"},
        "model": {"beta": 1, "network": {"image_size": 32}},
        "seed": 7,
        "logger": {"tracking_uri": tracking_uri},
    }
    tracker = Tracker(tracking_uri=tracking_uri)
    with tracker.run(name="mine", tags={}) as run:
        record_options(run, OmegaConf.create(config), {"logger": "mlflow", "threshold": "youden", "model": "vae"})
    params = tracker.client.get_run(run.run_id).data.params
    assert list(params) == ["model", "threshold", "seed", "data.image_size", "model.beta", "threads"]
    assert params["threads"] == str(torch.get_num_threads())


def test_no_record_of_a_run_holds_the_password_of_its_store(monkeypatch):
    monkeypatch.setenv(VARIABLE, "")
    logged = {}
    run = SimpleNamespace(
        run_id="a1",
        log_text=lambda text, name: logged.update({name: text}),
        log_params=lambda params: logged.update(params=str(params)),
        log_environment=lambda: None,
    )
    cfg = OmegaConf.create({"seed": 1, "logger": {"tracking_uri": "postgresql://me:secret@host/db"}})
    conceal_config(cfg)  # as every command does before its task
    record = record_options(run, cfg, {"model": "ae"})
    assert "me:***@host" in logged["config.yaml"]
    assert "secret" not in str(record) + str(logged)
