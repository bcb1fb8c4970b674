import importlib
import pickle
import pkgutil
import re
from pathlib import Path

import pytest
import torch
import yaml

from mriad.checkpoints.checkpoint import Checkpoint
from mriad.checkpoints.trusted import CONSTRUCTORS, VARIABLE, require_local, require_trusted
from mriad.errors import MriadError

ROOT = Path(__file__).parents[2]
CONF = ROOT / "conf"
GROUPS = ("model", "score", "data", "split", "augment", "anomalies", "threshold", "trainer", "callbacks")
INSIDE = {"score": ("model",), "threshold": ("callbacks",)}  # parts whose content stands in others as well


class Bomb:
    """Unpickling it writes a file."""

    def __init__(self, target):
        self.target = target

    def __reduce__(self):
        return Path.write_text, (Path(self.target), "boom")


@pytest.fixture
def save(tmp_path):
    def write(config, **more):
        record = {"config": config, "choices": {}, "key": "k", "split": {"path": []}, "seen": {"content": []}}
        torch.save({"state_dict": {}, "mriad": record, **more}, tmp_path / "best.ckpt")
        return tmp_path / "best.ckpt"

    return write


def refusal(config):
    with pytest.raises(MriadError) as error:
        require_trusted(config)
    return str(error.value)


def targets(node):
    if isinstance(node, dict):
        yield from [node["_target_"]] if "_target_" in node else []
        node = list(node.values())
    if isinstance(node, list):
        for value in node:
            yield from targets(value)


def named_by_option_files():
    named = {}
    for file in [file for group in GROUPS for file in (CONF / group).glob("*.yaml")]:
        text = file.read_text()
        package = re.search(r"# @package (\S+)", text)
        place = package[1] if package else file.parent.name
        content = yaml.safe_load(text) or {}
        for part, values in content.items() if place == "_global_" else [(place.partition(".")[0], content)]:
            steps = re.search(r"# steps of (\S+): (.+)", text) if part == "score" else None
            found = {*targets(values), *([f"{steps[1]}.{step}" for step in steps[2].split(", ")] if steps else [])}
            for one in (part, *INSIDE.get(part, ())):
                named[one] = named.get(one, set()) | found
    return {part: found for part, found in named.items() if found}


def test_the_list_is_what_the_option_files_name():
    assert {part: set(names) for part, names in CONSTRUCTORS.items()} == named_by_option_files()


def everything_in(package):
    home = importlib.import_module(package)
    modules = [home]
    for found in pkgutil.walk_packages(home.__path__, f"{package}."):
        if not found.name.endswith(("__main__", "export.example")):  # these run when they are imported
            try:
                modules.append(importlib.import_module(found.name))
            except (ImportError, RuntimeError, AttributeError):  # needs what is not installed
                continue
    for module in modules:
        for name, thing in vars(module).items():
            if callable(thing):
                yield f"{module.__name__}.{name}"
                if isinstance(thing, type):
                    yield from (f"{module.__name__}.{name}.{method}" for method in vars(thing))


@pytest.mark.parametrize("package", ["mriad", "torch.optim", "lightning.pytorch", "albumentations"])
def test_nothing_else_of_what_is_installed_may_be_named(package):
    others = set(everything_in(package)) - frozenset().union(*CONSTRUCTORS.values())
    assert len(others) > 100
    for part in CONSTRUCTORS:
        passed = set()
        for name in others:
            try:
                require_trusted({part: {"list": [{"_target_": name}]}})
                passed.add(name)
            except MriadError:
                pass
        assert passed == set()


@pytest.mark.parametrize("part", [*CONSTRUCTORS, "seed", "anything"])
@pytest.mark.parametrize(
    "target", ["os.system", "builtins.exec", "hydra.utils.get_method", "hydra.utils.instantiate", "mriad.errors.fail"]
)
@pytest.mark.parametrize(
    "wrap",
    [
        lambda call: call,
        lambda call: {"_target_": "mriad.scoring.Score", "_args_": [call]},
        lambda call: {"_target_": "mriad.scoring.Score", "_recursive_": False, "residual": [[{"a": call}]]},
        lambda call: {"_target_": "mriad.scoring.Score", "_partial_": True, "steps": {"x": call}},
        lambda call: {"_target_": [call["_target_"]]},
        lambda call: {"_target_": {"_target_": call["_target_"]}},
        lambda call: {"_target_": f" {call['_target_']}"},
    ],
    ids=["bare", "args", "deep", "partial", "list", "dict", "space"],
)
def test_foreign_code_is_found_wherever_it_stands(part, target, wrap):
    assert refusal({part: wrap({"_target_": target, "path": "dotted"})}).endswith("do not trust the file")


def test_a_constructor_counts_where_option_files_name_it_only():
    require_trusted({"callbacks": {"last": {"_target_": "mriad.callbacks.LastCheckpoint", "dirpath": "x"}}})
    assert "asks for 'mriad.callbacks.LastCheckpoint' in model.score._target_" in refusal(
        {"model": {"score": {"_target_": "mriad.callbacks.LastCheckpoint", "dirpath": "x"}}}
    )


@pytest.mark.parametrize(
    "value",
    [
        "http://example.org/list.csv",
        "https://example.org/a?b=c",
        "s3://bucket/x",
        "memory://x",
        "simplecache::file:///x",
        "file:/etc/passwd",
        "hf-hub:someone/model",
        "HF_hub:someone/model",
        "local-dir:/x",
    ],
)
def test_an_address_is_no_path(value):
    assert "an address outside of this machine" in refusal({"data": {"split": {"file": value}}})
    assert "an address outside of this machine" in refusal({"data": {"layout": {"list": ["a", value]}}})


@pytest.mark.parametrize(
    "value", ["${oc.env:HOME}", "${data.root}", "a${oc.decode:'[1]'}", "${now:%Y}", "${hydra:runtime.cwd}", "${other:}"]
)
@pytest.mark.parametrize("part", ["data", "logger", "sweep", "seed"])
def test_nothing_in_a_stored_config_is_looked_up(part, value):
    assert "would be looked up on this machine" in refusal({part: {"a": [value]}})


@pytest.mark.parametrize(
    "config",
    [
        None,
        "text",
        [],
        {"data": {1.5: "x"}},
        {"data": torch.zeros(1)},
        {"data": {"a": {1, 2}}},
        {"data": {"a": (1, 2)}},
        {"data": b"bytes"},
        {"data": torch.float32},
    ],
)
def test_a_stored_config_is_plain_data(config):
    assert "no plain data" in refusal(config)


@pytest.mark.parametrize(
    "words",
    [{"_partial_": "yes"}, {"_recursive_": 0}, {"_convert_": None}, {"_args_": "os.system"}, {"_target_": None}],
)
def test_words_of_hydra_have_values_of_hydra(words):
    assert "means nothing" in refusal({"model": {"_target_": "mriad.models.PCA", **words}})


def test_the_store_and_the_study_that_a_training_had_are_nobodys_business():
    require_trusted({"logger": {"_target_": "mriad.tracking.tracker.Tracker", "tracking_uri": "http://here:5000"}})
    require_trusted({"sweep": {"storage": "postgresql://user@host/optuna"}})


def test_code_of_ones_own_is_trusted_by_its_full_name(monkeypatch):
    config = {"model": {"_target_": "mylab.Detector", "network": {"_target_": "mylab.Network"}}}
    assert "it asks for 'mylab.Detector' in model._target_, which no option file of" in refusal(config)
    monkeypatch.setenv(VARIABLE, "mylab.Detector")
    assert f"set {VARIABLE}=mylab.Network" in refusal(config)
    monkeypatch.setenv(VARIABLE, "mylab.Detector, mylab.Network")
    require_trusted(config)
    assert "asks for 'mylab.Detector.evil'" in refusal({"model": {"_target_": "mylab.Detector.evil"}})


@pytest.mark.parametrize("place", ["/run/../../etc/x.ckpt", "..", "http://host/x.ckpt", "memory://x", r"a\..\b"])
def test_what_callbacks_have_kept_leads_nowhere_else(place):
    with pytest.raises(MriadError, match="a place elsewhere"):
        require_local({"ModelCheckpoint{}": {"best_k_models": {"a": 1}, "kth_best_model_path": place}})
    with pytest.raises(MriadError, match="a place elsewhere"):
        require_local({"ModelCheckpoint{}": {"best_k_models": {place: 1}}})
    require_local({"ModelCheckpoint{'monitor': 'val/loss'}": {"best_model_path": "/runs/a/best.ckpt", "score": 0.5}})


def test_a_checkpoint_cannot_have_a_second_file_unpickled(save, tmp_path):
    """Lightning reads any file as a pickle if it is told so, and a prefix let its reader pass."""
    second, boom = tmp_path / "second.ckpt", tmp_path / "boom"
    second.write_bytes(pickle.dumps(Bomb(str(boom))))
    connector = "lightning.pytorch.trainer.connectors.checkpoint_connector._CheckpointConnector"
    evil = {
        "_target_": f"{connector}.resume_start",
        "self": {"_target_": connector, "trainer": {"_target_": "lightning.Trainer", "logger": False}},
        "checkpoint_path": str(second),
        "weights_only": False,
    }
    with pytest.raises(MriadError, match=r"resume_start' in model.network._target_"):
        Checkpoint.load(save({"model": {"_target_": "mriad.models.Autoencoder", "network": evil}})).detector()
    assert not boom.exists()


@pytest.mark.parametrize("key", ["hyper_parameters", "datamodule_hyper_parameters", "callbacks", "extra"])
def test_what_else_a_file_holds_is_neither_unpickled_nor_called(save, tmp_path, key):
    with pytest.raises(MriadError, match="is no checkpoint that can be read"):
        Checkpoint.load(save({}, **{key: {"x": Bomb(str(tmp_path / "boom"))}}))
    Checkpoint.load(save({}, hyper_parameters={"_target_": "os.mkdir", "_instantiator": "os.mkdir", "path": "boom"}))
    assert not (tmp_path / "boom").exists()


def test_a_config_without_end_is_refused(save):
    endless = {}
    endless["data"] = endless
    with pytest.raises(MriadError, match="has no end"):
        Checkpoint.load(save(endless))


@pytest.mark.parametrize("change", [{"split": 5}, {"seen": "x"}, {"choices": 3}, {"calibration": {"rule": 1}}])
def test_a_record_of_another_shape_is_told(save, change):
    path = save({})
    content = torch.load(path, weights_only=True)
    content["mriad"].update(change)
    torch.save(content, path)
    with pytest.raises(MriadError, match="is damaged, or was written by another mriad"):
        Checkpoint.load(path)


def test_every_file_of_torch_is_read_as_weights_only():
    files = [*(ROOT / "mriad").rglob("*.py"), *(ROOT / "benchmarks").rglob("*.py"), *ROOT.glob("*.py")]
    calls = [
        (file.name, line)
        for file in files
        for line in file.read_text().splitlines()
        if re.search(r"\b(torch|jit|joblib|np|numpy)\.load\(|load_from_checkpoint|ckpt_path=|read_pickle", line)
    ]
    assert {name for name, _ in calls} >= {"checkpoint.py", "fit.py"}
    safe = r"weights_only=True|np\.load\((?!.*allow_pickle)"
    assert [call for call in calls if not re.search(safe, call[1])] == []
