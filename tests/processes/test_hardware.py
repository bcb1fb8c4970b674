import shutil
from functools import partial

import pytest
import torch
from hydra.utils import instantiate
from lightning import Trainer
from omegaconf import OmegaConf
from torch.utils.data import DataLoader

from benchmarks.bench import composed
from mriad.errors import MriadError
from mriad.processes import hardware
from mriad.processes.hardware import choose_open_options, compiled, trains_faster_in_bf16


def training(**options):
    """The options of a training that ``choose_open_options`` looks at."""
    data = {"anomalies": None, "labelled_train": 0, "num_workers": None, "on_device": None}
    defaults = {"trainer": {"accelerator": "auto"}, "compile": None, "data": data, "model": {"optimizer": {}}}
    return OmegaConf.merge(defaults, options)


def choices(**options):
    cfg = training(**options)
    choose_open_options(cfg)
    return cfg.compile, cfg.data.on_device, cfg.data.num_workers


def settled(capabilities, monkeypatch, *, fused=True, **options):
    monkeypatch.setattr(torch.cpu, "get_capabilities", lambda: capabilities, raising=False)
    trainer = {"accelerator": "cpu", "precision": "auto", "gradient_clip_val": None} | options
    cfg = training(trainer=trainer, model={"optimizer": {"fused": fused}})
    choose_open_options(cfg)
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
    choose_open_options(cfg)
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


def test_samples_of_volumes_are_made_by_loader_processes(gpu):
    compiled, on_device, workers = choices(data=composed("train", "data=synthetic_volumes").data)
    assert compiled and not on_device and workers > 0


def test_nothing_is_compiled_without_a_compiler(gpu, monkeypatch):
    monkeypatch.setattr(shutil, "which", lambda name: None)
    assert choices() == (False, True, 0)


def test_what_was_chosen_is_left(gpu):
    assert choices(compile=False, data={"on_device": False, "num_workers": 0}) == (False, False, 0)


def test_what_is_fitted_in_one_pass_needs_none_of_it(gpu):
    assert choices(model={"optimizer": None}) == (False, False, 0)


def test_devices_share_the_cores(gpu, monkeypatch):
    monkeypatch.setattr(torch.cuda, "device_count", lambda: 2)
    monkeypatch.setattr(hardware, "cpu_count", lambda: 6)
    made = {"labelled_train": 5}
    assert choices(data=made, trainer={"devices": 2}) == (True, False, 3)
    assert choices(data=made, trainer={"devices": 1}) == (True, False, 6)


def augmentation(name, **options):
    transform = {"_target_": f"albumentations.{name}", **options}
    return {"augment": {"_target_": "mriad.data.training.augment.Augment", "transforms": [transform]}}


def test_slices_whose_augmentation_a_device_does_not_know_stay_off_it(gpu):
    assert choices(data=augmentation("HorizontalFlip")) == (True, True, 0)
    assert choices(data=augmentation("VerticalFlip")) == (True, False, 3)
    assert choices(data=augmentation("Affine", fill=255)) == (True, False, 3)


def test_asking_draws_no_random_number(gpu):
    torch.manual_seed(0)
    expected = torch.rand(3)
    torch.manual_seed(0)
    choose_open_options(training(data=augmentation("RandomGamma")))
    assert torch.equal(torch.rand(3), expected)


def test_what_is_neither_true_nor_false_is_told():
    with pytest.raises(MriadError, match="compile=maybe is neither true nor false"):
        choose_open_options(training(compile="maybe"))


class Halves(torch.nn.Module):
    """A network whose parts are called by name."""

    def __init__(self):
        super().__init__()
        self.inner = torch.nn.Linear(2, 2)

    def encode(self, x):
        return self.inner(x)

    def forward(self, x):
        return self.encode(x).relu()


@pytest.fixture
def graphs(monkeypatch):
    """Names of the operations of each graph that was compiled."""
    found = []

    def backend(graph, inputs):
        found.append([node.name for node in graph.graph.nodes if node.op.startswith("call")])
        return graph

    monkeypatch.setattr(torch, "compile", partial(torch.compile, backend=backend))
    return found


def test_a_network_is_compiled_while_it_trains_and_no_longer(graphs):
    detector = torch.nn.Sequential(Halves(), torch.nn.Flatten())
    state, x = detector.state_dict(), torch.rand(4, 2)
    expected = detector(x)
    with compiled(detector, True):
        assert torch.equal(detector(x), expected)
        assert detector.state_dict().keys() == state.keys()
    assert graphs == [["linear", "relu"], ["flatten"]]
    assert torch.equal(detector(x[:3]), expected[:3])
    assert len(graphs) == 2 and vars(detector[0]).keys().isdisjoint({"forward", "encode"})


def test_nothing_is_compiled_where_nobody_asks(graphs):
    detector = torch.nn.Sequential(Halves())
    with compiled(detector, False):
        detector(torch.rand(4, 2))
    assert graphs == []


def test_what_cannot_be_compiled_runs_as_it_is(monkeypatch):
    def broken(graph, inputs):
        raise RuntimeError("no compiler")

    monkeypatch.setattr(torch, "compile", partial(torch.compile, backend=broken))
    detector, x = torch.nn.Sequential(Halves()), torch.rand(4, 2)
    expected = detector(x)
    with compiled(detector, True):
        assert torch.equal(detector(x), expected)


def test_a_compiled_detector_trains_as_another(graphs):
    def trained(compile_it):
        torch.manual_seed(0)
        cfg = composed("train", "model=synthetic_anomaly", "data.image_size=32", "model.network.widths=[4,8]")
        detector = instantiate(cfg.model)
        images = torch.rand(8, 1, 32, 32)
        batches = [{"image": images, "mask": (images > 0.9).float(), "label": torch.zeros(8), "row": torch.arange(8)}]
        fit = Trainer(
            accelerator="cpu", max_epochs=2, logger=False, enable_checkpointing=False, enable_progress_bar=False
        )
        with compiled(detector, compile_it):
            fit.fit(detector, DataLoader(batches, batch_size=None))
        return torch.cat([weights.flatten() for weights in detector.parameters()])

    expected = trained(False)
    assert graphs == []
    assert torch.allclose(trained(True), expected, atol=1e-5) and graphs
