import torch
from omegaconf import OmegaConf

from mriad.tasks.hardware import settle_precision, trains_faster_in_bf16


def settled(capabilities, monkeypatch, *, fused=True, **options):
    monkeypatch.setattr(torch.cpu, "get_capabilities", lambda: capabilities, raising=False)
    trainer = {"accelerator": "cpu", "precision": "auto", "gradient_clip_val": None} | options
    cfg = OmegaConf.create({"trainer": trainer, "model": {"optimizer": {"fused": fused}}})
    settle_precision(cfg)
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
    cfg = OmegaConf.create({"trainer": {"precision": "auto"}, "model": {}})
    settle_precision(cfg)
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
