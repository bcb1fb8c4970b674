import pytest
from hydra.core.hydra_config import HydraConfig
from omegaconf import OmegaConf

from mriad.experiment.commands import this_command


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
