"""Random weights throughout: nothing here says how good pretrained features are."""

import sys
from functools import partial
from types import SimpleNamespace

import pytest
import torch
from lightning import Trainer
from slices import of_unknown_size
from torch import nn
from torch.utils.data import DataLoader

from mriad.errors import MriadError
from mriad.models import FeatureAutoencoder, PatchCore
from mriad.models.features import Encoder, core_set
from mriad.scoring import Score


class Pyramid(nn.Module):
    """What timm returns for features_only, in small: strides 2, 4 and 8."""

    WIDTHS = (8, 16, 24)
    pretrained_cfg = {"mean": (0.5, 0.4, 0.3), "std": (0.2, 0.25, 0.3)}  # noqa: RUF012

    def __init__(self, layers):
        super().__init__()
        sides = zip((3, *self.WIDTHS), self.WIDTHS, strict=False)
        self.stages = nn.ModuleList(
            nn.Sequential(nn.Conv2d(a, b, 3, stride=2, padding=1), nn.BatchNorm2d(b), nn.ReLU()) for a, b in sides
        )
        self.layers = layers
        self.feature_info = SimpleNamespace(channels=lambda: [self.WIDTHS[layer] for layer in layers])

    def forward(self, x):
        maps = []
        for stage in self.stages:
            x = stage(x)
            maps.append(x)
        return [maps[layer] for layer in self.layers]


@pytest.fixture
def hub(monkeypatch):
    """Stands in for timm: one small network, and a list of the weights that were fetched."""
    fetched = []

    def create_model(name, *, pretrained, features_only, out_indices):
        assert features_only
        if name != "pyramid":
            raise RuntimeError(f"Unknown model ({name})")
        if not pretrained:
            return Pyramid(out_indices)
        fetched.append(name)
        with torch.random.fork_rng():
            torch.manual_seed(77)
            return Pyramid(out_indices)

    monkeypatch.setitem(sys.modules, "timm", SimpleNamespace(create_model=create_model))
    return fetched


def encoder(**options):
    return Encoder(**{"name": "pyramid", "layers": [0, 1], "pretrained": False, **options})


def patchcore(network=None, **options):
    options = {"memory": 200, "blur": 1.0, "score": Score(pooling="max"), **options}
    return PatchCore(encoder=network or encoder(), **options)


def feature_ae(network=None, **options):
    options = {"widths": [16, 16], "optimizer": partial(torch.optim.Adam, lr=3e-3), "score": Score(), **options}
    return FeatureAutoencoder(encoder=network or encoder(), **options)


def healthy_scans(count, seed, *, size=32):
    """Smooth waves of random phase."""
    phase = 6.3 * torch.rand(count, 1, 1, 1, generator=torch.Generator().manual_seed(seed))
    axis = torch.arange(size) / size * 12.6
    return 0.5 + 0.25 * (torch.sin(axis.view(1, 1, -1, 1) + phase) * torch.cos(axis.view(1, 1, 1, -1) - phase))


def with_patch(x):
    """A checkerboard where x has no edge at all."""
    x = x.clone()
    x[..., 18:26, 6:14] = torch.tensor([[0.0, 1.0], [1.0, 0.0]]).repeat(4, 4)
    return x


def points_at_the_patch(anomaly_map, margin=0):
    row, column = divmod(int(anomaly_map.argmax()), anomaly_map.shape[-1])
    return 18 - margin <= row < 26 + margin and 6 - margin <= column < 14 + margin


def fit(detector, x):
    batches = [
        {"image": p, "label": torch.zeros(len(p), dtype=torch.int64), "row": torch.arange(8)} for p in x.split(8)
    ]
    trainer = Trainer(
        accelerator="cpu",
        max_epochs=10,
        logger=False,
        enable_checkpointing=False,
        enable_progress_bar=False,
        enable_model_summary=False,
    )
    trainer.fit(detector, DataLoader(batches, batch_size=None))
    return detector.eval()


@pytest.fixture(autouse=True)
def seeded():
    torch.manual_seed(0)


def test_the_encoder_sees_what_its_pretraining_has_seen(hub):
    made, x = encoder(layers=[0]), healthy_scans(2, 0)
    colours = torch.stack([(x[:, 0] - m) / s for m, s in zip((0.5, 0.4, 0.3), (0.2, 0.25, 0.3), strict=True)], dim=1)
    torch.testing.assert_close(made(x), made.network(colours)[0])


def test_feature_maps_of_all_layers_lie_over_each_other(hub):
    made, x = encoder(layers=[0, 2]), healthy_scans(2, 0)
    features = made(x)
    assert features.shape == (2, 8 + 24, 16, 16)
    assert sum(made.channels) == 32
    torch.testing.assert_close(features[:, 8:, ::4, ::4].mean(), features[:, 8:].mean(), atol=0.05, rtol=0.2)


def test_the_encoder_never_changes(hub):
    detector, x = feature_ae(), healthy_scans(16, 0)
    before = {name: value.clone() for name, value in detector.encoder.state_dict().items()}
    autoencoder = [parameter.clone() for parameter in detector.down.parameters()]
    fit(detector, x)
    assert not detector.train().encoder.network.training
    assert all(torch.equal(value, before[name]) for name, value in detector.encoder.state_dict().items())
    assert not any(torch.equal(a, b) for a, b in zip(autoencoder, detector.down.parameters(), strict=True))


@pytest.mark.parametrize("make", [patchcore, feature_ae])
def test_weights_are_fetched_when_training_begins_and_never_again(hub, make):
    detector, x = make(encoder(pretrained=True)), healthy_scans(8, 0)
    assert hub == []
    if make is patchcore:
        detector.fit_healthy([{"image": x}])
    else:
        fit(detector, x)
    assert hub == ["pyramid"]
    torch.manual_seed(77)
    expected = Pyramid((0, 1)).state_dict()
    assert all(torch.equal(v, expected[name]) for name, v in detector.encoder.network.state_dict().items())

    loaded = make(encoder(pretrained=True))
    loaded.load_state_dict(detector.state_dict())
    loaded.eval()
    assert torch.equal(loaded.scan(of_unknown_size(x))[0], detector.eval().scan(of_unknown_size(x))[0])
    if make is feature_ae:
        fit(loaded, x)  # goes on with what it has
    assert hub == ["pyramid"]


def test_without_pretraining_nothing_is_fetched(hub):
    patchcore().fit_healthy([{"image": healthy_scans(4, 0)}])
    assert hub == []


def test_patchcore_points_at_a_planted_patch(hub):
    detector = patchcore()
    detector.fit_healthy([of_unknown_size(part) for part in healthy_scans(24, 0).split(7)])
    detector.eval()
    healthy, x = healthy_scans(6, 1), with_patch(healthy_scans(6, 1))
    maps, scores = detector.scan(of_unknown_size(x))
    assert all(points_at_the_patch(anomaly_map) for anomaly_map in maps)
    assert scores.min() > 2 * detector.scan(of_unknown_size(healthy))[1].max()


def test_patchcore_knows_the_patches_that_it_keeps(hub):
    x = healthy_scans(2, 0)
    detector = patchcore(memory=10_000, candidates=10_000, blur=0)
    detector.fit_healthy([{"image": x}])
    assert detector.memory.shape == (2 * 16 * 16, 24)
    assert detector.anomaly_map(x).max() < 1e-2 < 0.1 < detector.anomaly_map(with_patch(x)).max()


def test_patchcore_keeps_no_more_than_asked_and_loads_what_it_kept(hub):
    detector, x = patchcore(memory=13, candidates=20), healthy_scans(5, 0)
    detector.fit_healthy([{"image": x}])
    assert detector.memory.shape == (13, 24)
    loaded = patchcore(memory=13)
    loaded.load_state_dict(detector.state_dict())
    assert torch.equal(loaded.scan(of_unknown_size(x))[0], detector.scan(of_unknown_size(x))[0])


def test_patchcore_scores_do_not_depend_on_batch_mates(hub):
    detector, x = patchcore(), with_patch(healthy_scans(4, 1))
    detector.fit_healthy([{"image": healthy_scans(8, 0)}])
    alone = torch.cat([detector.scan(of_unknown_size(one))[1] for one in x.split(1)])
    torch.testing.assert_close(detector.scan(of_unknown_size(x))[1], alone)


def test_a_core_set_leaves_no_cluster_out():
    centres = torch.tensor([[0.0, 0.0], [10.0, 0.0], [0.0, 10.0], [10.0, 10.0]])
    points = torch.cat([centres[:1].expand(500, 2), centres.repeat(3, 1)]) + 0.1 * torch.rand(512, 2)
    chosen = core_set(points, 4)
    assert {tuple(point) for point in (points[chosen] / 10).round().tolist()} == {(0, 0), (1, 0), (0, 1), (1, 1)}


def test_a_core_set_holds_each_point_once():
    points = torch.tensor([[0.0], [1.0], [0.0], [1.0], [5.0]])
    assert core_set(points, 5).tolist() == [0, 4, 1]


def test_the_feature_autoencoder_points_at_a_planted_patch(hub):
    detector = fit(feature_ae(encoder(layers=[0])), healthy_scans(200, 0))
    healthy, _ = detector.scan(of_unknown_size(healthy_scans(6, 1)))
    maps, _ = detector.scan(of_unknown_size(with_patch(healthy_scans(6, 1))))
    assert all(points_at_the_patch(anomaly_map, margin=4) for anomaly_map in maps)  # the window's reach
    assert maps.amax() > 1.5 * healthy.amax()


def test_the_feature_autoencoder_learns_healthy_features(hub):
    detector, x = feature_ae(), healthy_scans(64, 0)
    before = detector.eval().losses(x)["loss"]
    assert fit(detector.train(), x).losses(healthy_scans(8, 1))["loss"] < 0.5 * before


@pytest.mark.parametrize("size", [32, 41])
def test_any_size_of_scan_will_do(hub, size):
    x = healthy_scans(3, 0, size=size)
    detector = patchcore(encoder(layers=[1, 2]))
    detector.fit_healthy([{"image": x}])
    assert detector.scan(of_unknown_size(x))[0].shape == x.shape
    assert feature_ae(encoder(layers=[1])).eval().scan(of_unknown_size(x))[0].shape == x.shape


def test_an_unknown_network_is_told_in_a_sentence(hub):
    with pytest.raises(MriadError, match=r"no model\.encoder\.name=nonesuch .* \(Unknown model \(nonesuch\)\)"):
        encoder(name="nonesuch")


def test_weights_that_cannot_be_fetched_are_told_in_a_sentence(hub, monkeypatch):
    detector = patchcore(encoder(pretrained=True))

    def offline(*args, **options):
        raise OSError("Name or service not known")

    monkeypatch.setattr(sys.modules["timm"], "create_model", offline)
    with pytest.raises(MriadError, match=r"cannot be fetched \(Name or service not known\); .*pretrained=false"):
        detector.fit_healthy([{"image": healthy_scans(2, 0)}])


def test_timm_that_is_missing_is_told_in_a_sentence(monkeypatch):
    monkeypatch.setitem(sys.modules, "timm", None)
    with pytest.raises(MriadError, match=r"needs timm, .*pip install 'mriad\[pretrained\]'"):
        encoder()


@pytest.mark.parametrize("options", [{"memory": 0}, {"candidates": 1.5}, {"projection": -1}, {"blur": -1.0}])
def test_numbers_out_of_range_are_told_in_a_sentence(hub, options):
    with pytest.raises(MriadError, match=rf"model\.{next(iter(options))}="):
        patchcore(**options)


def test_a_network_of_timm_serves_both():
    try:
        import timm  # noqa: F401
    except (ImportError, RuntimeError) as error:
        pytest.skip(f"timm cannot be imported: {str(error).splitlines()[0]}")
    resnet = encoder(name="resnet18", layers=[0, 1, 2])
    assert resnet.channels == [64, 64, 128]
    detector = patchcore(resnet, memory=1000)
    detector.fit_healthy([{"image": healthy_scans(16, 0)}])
    assert all(
        points_at_the_patch(one) for one in detector.eval().scan(of_unknown_size(with_patch(healthy_scans(3, 1))))[0]
    )
    assert feature_ae(resnet).losses(healthy_scans(3, 0))["loss"].isfinite()


@pytest.mark.parametrize("name", ["hf-hub:some/where", "local-dir:/weights", "some/where", "resnet18\\x", ""])
def test_an_encoder_is_one_of_timms_own(hub, name):
    with pytest.raises(MriadError, match=r"model\.encoder\.name=.* is no name of timm's own; give one of timm\.list"):
        encoder(name=name)


def test_a_feature_autoencoder_has_a_bottleneck(hub):
    with pytest.raises(MriadError, match=r"model\.widths=\[\] is no list of numbers of channels"):
        feature_ae(widths=[])
