from types import SimpleNamespace

import torch
from omegaconf import OmegaConf

from mriad.experiment.provenance import record_options
from mriad.passwords import VARIABLE, conceal_config
from mriad.tracking.tracker import Tracker


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
