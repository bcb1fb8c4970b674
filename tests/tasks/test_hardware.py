import shutil

import pytest
import torch
from omegaconf import OmegaConf

from mriad.tasks import hardware
from mriad.tasks.hardware import compile_networks, settle, trains_faster_in_bf16


def training(**options):
    """The options of a training that ``settle`` looks at."""
    data = {"anomalies": None, "labelled_train": 0, "num_workers": None, "on_device": None}
    defaults = {"trainer": {"accelerator": "auto"}, "compile": None, "data": data, "model": {}}
    return OmegaConf.merge(defaults, options)


def choices(**options):
    cfg = training(**options)
    settle(cfg)
    return cfg.compile, cfg.data.on_device, cfg.data.num_workers


def settled(capabilities, monkeypatch, *, fused=True, **options):
    monkeypatch.setattr(torch.cpu, "get_capabilities", lambda: capabilities, raising=False)
    trainer = {"accelerator": "cpu", "precision": "auto", "gradient_clip_val": None} | options
    cfg = training(trainer=trainer, model={"optimizer": {"fused": fused}})
    settle(cfg)
    return cfg.trainer.precision


def test_bf16_is_taken_where_the_cpu_has_matrix_units_for_it(monkeypatch):
    assert settled({"amx_bf16": True}, monkeypatch) == "bf16-mixed"
    assert settled({"amx_bf16": False, "avx512_bf16": True}, monkeypatch) == "32-true"
    assert settled({}, monkeypatch) == "32-true"


def test_clipped_gradients_of_a_fused_optimizer_stay_in_float32(monkeypatch):
    assert settled({"amx_bf16": True}, monkeypatch, gradient_clip_val=1.0) == "32-true"
    assert settled({"amx_bf16": True}, monkeypatch, gradient_clip_val=1.0, fused=False) == "bf16-mixed"


def test_a_model_without_an_optimizer_has_a_precision_too(monkeypatch):
    monkeypatch.setattr(torch.cpu, "get_capabilities", dict, raising=False)
    cfg = training(trainer={"precision": "auto"})
    settle(cfg)
    assert cfg.trainer.precision == "32-true"


def test_a_precision_that_was_chosen_is_left(monkeypatch):
    assert settled({"amx_bf16": True}, monkeypatch, precision="32-true") == "32-true"
    assert settled({}, monkeypatch, precision="bf16-mixed") == "bf16-mixed"


def test_a_torch_that_does_not_tell_what_the_cpu_can_do_trains_in_float32(monkeypatch):
    monkeypatch.delattr(torch.cpu, "get_capabilities", raising=False)
    assert not trains_faster_in_bf16("cpu")


def test_a_gpu_is_asked_where_one_would_be_taken(monkeypatch):
    monkeypatch.setattr(torch.cpu, "get_capabilities", dict, raising=False)
    monkeypatch.setattr(torch.cuda, "is_available", lambda: True)
    monkeypatch.setattr(torch.cuda, "is_bf16_supported", lambda including_emulation: not including_emulation)
    assert trains_faster_in_bf16("auto") and trains_faster_in_bf16("gpu")
    assert not trains_faster_in_bf16("cpu")


@pytest.fixture
def gpu(monkeypatch):
    """A machine with a GPU, a compiler and three cores."""
    monkeypatch.setattr(torch.cuda, "is_available", lambda: True)
    monkeypatch.setattr(torch.cuda, "is_bf16_supported", lambda including_emulation: True)
    monkeypatch.setattr(shutil, "which", lambda name: f"/bin/{name}")
    monkeypatch.setattr(hardware, "cpu_count", lambda: 3)


def test_a_cpu_compiles_nothing_and_reads_the_cache_itself():
    assert choices(trainer={"accelerator": "cpu"}) == (False, False, 0)


def test_a_gpu_has_a_compiled_network_and_the_slices_beside_it(gpu):
    assert choices() == (True, True, 0)
    assert choices(trainer={"accelerator": "cpu"}) == (False, False, 0)


@pytest.mark.parametrize("made", [{"anomalies": {"_target_": "x"}}, {"labelled_train": 5}])
def test_a_gpu_whose_slices_are_made_on_the_cpu_has_loader_processes(gpu, made):
    assert choices(data=made) == (True, False, 3)


def test_loader_processes_that_are_asked_for_keep_slices_off_the_gpu(gpu):
    assert choices(data={"num_workers": 2}) == (True, False, 2)


def test_nothing_is_compiled_without_a_compiler(gpu, monkeypatch):
    monkeypatch.setattr(shutil, "which", lambda name: None)
    assert choices() == (False, True, 0)


def test_what_was_chosen_is_left(gpu):
    assert choices(compile=False, data={"on_device": False, "num_workers": 0}) == (False, False, 0)


class Halves(torch.nn.Module):
    """A network whose parts are called by name."""

    def __init__(self):
        super().__init__()
        self.inner = torch.nn.Linear(2, 2)

    def encode(self, x):
        return self.inner(x)


def test_what_detectors_call_is_compiled_and_the_state_stays(monkeypatch):
    compiled = []
    monkeypatch.setattr(torch, "compile", lambda method: compiled.append(method.__name__) or method)
    detector = torch.nn.Sequential(Halves(), torch.nn.Flatten())
    state = detector.state_dict()
    compile_networks(detector)
    assert compiled == ["encode", "forward"]
    assert detector.state_dict().keys() == state.keys()
