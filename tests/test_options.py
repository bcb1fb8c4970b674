from pathlib import Path

import numpy as np
import pytest
import torch
from hydra import compose, initialize_config_dir
from hydra.core.hydra_config import HydraConfig
from hydra.utils import instantiate
from lightning import Trainer
from lightning.pytorch.callbacks import Callback
from omegaconf import OmegaConf
from slices import of_unknown_size

from mriad.callbacks import ThresholdCalibration
from mriad.checkpoints.trusted import require_trusted
from mriad.data.datamodule import MRIDataModule
from mriad.data.training.anomalies import Anomalies
from mriad.data.training.augment import Augment
from mriad.data.training.simulation import Simulation
from mriad.errors import MriadError
from mriad.experiment.kinds import require_kinds
from mriad.experiment.training import Training
from mriad.models import Detector, FittedDetector, TrainedDetector
from mriad.processes.hardware import choose_open_options
from mriad.scoring import Score
from mriad.thresholds import Threshold
from mriad.tracking.tracker import Tracker

CONF = Path(__file__).parent.parent / "conf"
NOT_CHOSEN = {"data/base", "data/pictures_base", "data/volumes_base"}  # what the options of a group share
NEEDS_VALUE = {
    "threshold": {"fixed": "threshold.value=0.5"},
    "split": {"from_csv": "data.split.file=split.csv"},
}
MEMBER = "{_target_:mriad.models.Intensity,score:{_target_:mriad.scoring.Score}}"
SMALL = {
    "ae": ["data.image_size=32", "model.network.latent_dim=8"],
    "vae": ["data.image_size=32", "model.network.latent_dim=8", "model.network.widths=[4,8]"],
    "vae_residual": [
        "data.image_size=32",
        "model.network.latent_dim=8",
        "model.network.hidden_dim=16",
    ],
    "ae_medianomaly": ["data.image_size=32", "model.network.latent_dim=8"],
    "vae_medianomaly": ["data.image_size=32", "model.network.latent_dim=8"],
    "intensity": ["data.image_size=32"],
    "pca": ["data.image_size=32", "model.n_components=2"],
    "nearest": ["data.image_size=32"],
    "dae": ["data.image_size=32", "model.network.widths=[4,8]"],
    "synthetic_anomaly": ["data.image_size=32", "model.network.widths=[4,8]"],
    "simulated_lesions": ["data.image_size=32", "model.network.widths=[4,8]", "data.slices.neighbours=0"],
    "ensemble": ["data.image_size=32", "model.runs=[]", f"model.members=[{MEMBER},{MEMBER}]"],
    "patchcore": ["data.image_size=32", "model.encoder.name=resnet18", "model.encoder.pretrained=false"],
    "feature_ae": ["data.image_size=32", "model.encoder.name=resnet18", "model.encoder.pretrained=false"],
}
OF_VOLUMES = ["data=volumes", "data.image_size=32", "data.preprocess.depth=16", "model.network.widths=[4,8]"]
SMALL |= {model: [*OF_VOLUMES, "model.network.latent_dim=8"] for model in ("ae_3d", "vae_3d")}
NEEDS_TIMM = ("patchcore", "feature_ae")
ANY_SIZE = ("intensity", "pca", "nearest", "ensemble", *NEEDS_TIMM)


def options(group):
    names = sorted(path.stem for path in (CONF / group).glob("*.yaml"))
    return [name for name in names if f"{group}/{name}" not in NOT_CHOSEN]


def require_timm():
    try:
        import timm  # noqa: F401
    except (ImportError, RuntimeError) as error:
        pytest.skip(f"timm cannot be imported: {str(error).splitlines()[0]}")


def overrides_of(group, name):
    value = NEEDS_VALUE.get(group, {}).get(name)
    return [f"{group}={name}", *([value] if value else [])]


CHOICES = [(folder.name, name) for folder in sorted(CONF.iterdir()) if folder.is_dir() for name in options(folder.name)]
OF_EVALUATE = [(group, name) for group, name in CHOICES if group in ("data", "split", "threshold", "trainer", "logger")]
OF_PREDICT = [(group, name) for group, name in CHOICES if group in ("logger", "hydra")]


@pytest.fixture
def composed(tmp_path, monkeypatch):
    """Compose a command's config as Hydra does for its options, and let interpolations of Hydra resolve."""
    monkeypatch.delenv("MLFLOW_TRACKING_URI", raising=False)
    monkeypatch.setattr(HydraConfig.instance(), "cfg", None)

    def build(command, *overrides):
        with initialize_config_dir(str(CONF), version_base="1.3"):
            cfg = compose(command, overrides=list(overrides), return_hydra_config=True)
        cfg.hydra.runtime.output_dir = str(tmp_path)
        cfg.hydra.runtime.cwd = str(tmp_path)
        cfg.hydra.job.num = 0
        HydraConfig.instance().set_config(cfg)
        OmegaConf.set_struct(cfg, False)
        del cfg["hydra"]
        OmegaConf.set_struct(cfg, True)
        return cfg

    return build


def resolved(cfg):
    return OmegaConf.to_container(cfg, resolve=True)


@pytest.mark.parametrize(("group", "name"), CHOICES)
def test_every_option_composes_for_train(composed, group, name):
    composition = composed("train", *overrides_of(group, name))
    require_kinds(composition)
    cfg = resolved(composition)
    assert group in ("logger", "hydra") or require_trusted(cfg) is None  # so is a checkpoint that holds it
    assert cfg["model"]["_target_"].startswith(("mriad.models.", "mriad.published."))
    assert cfg["model"].get("network", cfg["data"])["image_size"] == cfg["data"]["image_size"]
    assert HydraConfig.get().runtime.choices[group] == name


@pytest.mark.parametrize(("group", "name"), OF_EVALUATE)
def test_every_option_composes_for_evaluate(composed, group, name):
    needed = ["data=folder"] if group == "split" else []
    cfg = resolved(composed("evaluate", *needed, *overrides_of(group, name)))
    assert HydraConfig.get().runtime.choices[group] == name
    assert cfg["trainer"]["_target_"] == "lightning.Trainer"


@pytest.mark.parametrize(("group", "name"), OF_PREDICT)
def test_every_option_composes_for_predict(composed, group, name):
    cfg = resolved(composed("predict", "input=scans", *overrides_of(group, name)))
    assert HydraConfig.get().runtime.choices[group] == name
    assert cfg["input"] == "scans"


def test_evaluate_leaves_data_and_threshold_to_the_checkpoint_unless_asked(composed):
    cfg = composed("evaluate")
    assert "_target_" not in cfg.data
    assert cfg.get("threshold") is None


@pytest.mark.parametrize("name", options("experiment"))
def test_a_published_experiment_uses_a_split_that_says_so(composed, name):
    cfg = composed("train", f"experiment={name}", "data.root=scans")
    published = not name.endswith("_honest")
    assert instantiate(cfg.data.split).published is published
    assert HydraConfig.get().runtime.choices["split"].startswith("published_") is published


@pytest.mark.parametrize("name", [name for name in options("experiment") if not name.endswith("_honest")])
def test_beside_each_published_experiment_stands_its_honest_version(composed, name):
    """Same network, training and score; only who trains, calibrates and is tested differs."""
    published = resolved(composed("train", f"experiment={name}", "data.root=scans"))
    honest = resolved(composed("train", f"experiment={name}_honest", "data.root=scans"))
    for part in ("model", "trainer", "score"):
        assert honest[part] == published[part]
    assert honest["data"]["preprocess"] == published["data"]["preprocess"]
    assert honest["data"]["split"]["group"] == "auto"


@pytest.mark.parametrize("name", options("data"))
def test_every_data_option_makes_a_data_module(composed, tmp_path, name):
    datamodule = instantiate(composed("train", f"data={name}", f"data.root={tmp_path}", "data.image_size=96").data)
    assert isinstance(datamodule, MRIDataModule)
    assert (datamodule.name, datamodule.preprocess.image_size) == (name, 96)


@pytest.mark.parametrize("name", options("split"))
def test_every_split_option_says_whether_it_is_published(composed, name):
    split = instantiate(composed("train", *overrides_of("split", name), "data.root=scans").data.split)
    assert split.published is name.startswith("published")


@pytest.mark.parametrize("name", options("augment"))
def test_every_augmentation_keeps_shape_type_and_range(composed, name):
    augment = instantiate(composed("train", f"augment={name}").data.augment)
    images = torch.randint(0, 256, (3, 32, 32), dtype=torch.uint8).numpy()
    if name == "none":
        assert augment is None
        return
    assert isinstance(augment, Augment)
    changed = augment(images)
    assert (changed.shape, changed.dtype) == (images.shape, images.dtype)


@pytest.mark.parametrize("name", options("anomalies"))
def test_every_option_of_anomalies_puts_each_of_its_kinds_into_scans(composed, name):
    anomalies = instantiate(composed("train", f"anomalies={name}").data.anomalies)
    if name == "none":
        assert anomalies is None
        return
    if name == "simulated":  # of tissues, see tests/data/training/simulation
        assert isinstance(anomalies, Simulation)
        return
    assert isinstance(anomalies, Anomalies)
    torch.manual_seed(0)
    images = torch.randint(60, 200, (12, 32, 32), dtype=torch.uint8).numpy()
    brains = np.zeros(images.shape, dtype=bool)
    brains[:, 6:-6, 6:-6] = True
    altered, masks = anomalies(images, brains)
    assert (altered.shape, altered.dtype) == (images.shape, images.dtype)
    assert (masks.shape, masks.dtype) == (images.shape, brains.dtype)
    assert 0 < masks.any(axis=(1, 2)).sum() < len(images)
    assert not (masks & ~brains).any()
    assert (altered[masks] != images[masks]).mean() > 0.8
    examples = anomalies.examples(images, brains)
    given = composed("train", f"anomalies={name}").data.anomalies
    assert list(examples) == [kind for kind in given.generators if given.weights.get(kind, 1) > 0]
    assert all(masks.any() for _, masks in examples.values())


@pytest.mark.parametrize("name", options("threshold"))
def test_every_threshold_option_is_the_rule_of_its_name(composed, name):
    rule = instantiate(composed("train", *overrides_of("threshold", name)).threshold)
    assert isinstance(rule, Threshold)
    assert rule.name == name


@pytest.mark.parametrize("name", options("trainer"))
def test_every_trainer_option_takes_what_lightning_knows(composed, name):
    composition = composed("train", f"trainer={name}")
    assert composition.trainer.precision == ("bf16-mixed" if name == "gpu" else "auto")
    choose_open_options(composition)
    cfg = resolved(composition.trainer)
    expected = {"gpu": ("gpu", 1), "ddp": ("auto", 2), "cpu": ("cpu", 1)}
    assert (cfg["accelerator"], cfg["devices"]) == expected.get(name, ("auto", 1))
    if name in ("auto", "cpu"):  # the others need their devices to be there
        assert isinstance(instantiate(cfg, logger=False, enable_checkpointing=False), Trainer)


@pytest.mark.parametrize("name", options("callbacks"))
def test_every_callback_is_one_of_lightning(composed, name):
    callbacks = instantiate(composed("train", f"callbacks={name}").callbacks)
    made = [callback for callback in callbacks.values() if callback is not None]
    assert made
    assert all(isinstance(callback, Callback) for callback in made)
    assert sum(isinstance(callback, ThresholdCalibration) for callback in made) == 1


@pytest.mark.parametrize("name", options("logger"))
def test_every_logger_option_opens_a_store(composed, tracking_uri, name):
    tracker = instantiate(composed("train", f"logger={name}", f"logger.tracking_uri={tracking_uri}").logger)
    assert isinstance(tracker, Tracker)
    assert tracker.client.get_experiment(tracker.experiment_id).name == "mriad"


# A score meets reconstructions, and maps without one; a model meets the score that it comes with.
@pytest.mark.parametrize(
    ("model", "score"),
    [(model, None) for model in options("model")]
    + [(model, score) for model in ("ae", "nearest") for score in options("score")],
)
def test_every_model_and_every_score_work_together(composed, model, score):
    if model in NEEDS_TIMM:
        require_timm()
    torch.manual_seed(0)
    chosen = [f"score={score}"] if score else []
    detector = instantiate(composed("train", f"model={model}", *chosen, *SMALL[model]).model)
    assert isinstance(detector, Detector)
    assert isinstance(detector.score, Score)
    x = torch.rand(4, 1, *([16] if detector.spatial_dims == 3 else []), 32, 32)
    x[..., :8] = 0.0
    if isinstance(detector, FittedDetector):
        detector.fit_healthy([{"image": torch.rand(6, 1, 32, 32)}])
    detector.eval()
    with torch.no_grad():
        anomaly_map, scores = detector.scan(of_unknown_size(x))
    assert anomaly_map.shape == x.shape
    assert scores.shape == (4,)
    assert torch.cat([anomaly_map.flatten(), scores]).isfinite().all()
    assert (scores > 0).all()
    if not isinstance(detector, TrainedDetector):
        return
    detector.train()
    learned = [parameter for parameter in detector.parameters() if parameter.requires_grad]
    before = [parameter.detach().clone() for parameter in learned]
    optimizers = detector.configure_optimizers()
    optimizer = optimizers["optimizer"] if isinstance(optimizers, dict) else optimizers
    mask = (torch.rand(x.shape) < 0.1).float()
    loss = detector.training_losses({"image": x, "mask": mask})["loss"]
    loss.backward()
    optimizer.step()
    assert loss.isfinite()
    assert all(not torch.equal(old, new) for old, new in zip(before, learned, strict=True))


SLABS = ("ae", "vae", "dae", "synthetic_anomaly", "simulated_lesions")


def sees_slabs(composed, model, *more):
    """The detector that a model makes where data of volumes show a slice between its neighbours, and its options."""
    given = [*OF_VOLUMES[:3], *SMALL[model], "data.slices.neighbours=1", *more]
    cfg = composed("train", f"model={model}", *dict.fromkeys(given))
    return instantiate(cfg.model), cfg


@pytest.mark.parametrize("model", SLABS)
def test_a_model_of_slabs_learns_a_step_from_them_and_maps_volumes(composed, model):
    torch.manual_seed(0)
    detector, cfg = sees_slabs(composed, model, "data.planes=[axial,coronal]")
    require_kinds(cfg)
    assert detector.neighbours == 1
    detector.train()
    optimizers = detector.configure_optimizers()
    optimizer = optimizers["optimizer"] if isinstance(optimizers, dict) else optimizers
    before = [parameter.detach().clone() for parameter in detector.parameters()]
    x, mask = torch.rand(4, 3, 32, 32), (torch.rand(4, 1, 32, 32) < 0.1).float()
    loss = detector.training_losses({"image": x, "mask": mask})["loss"]
    loss.backward()
    optimizer.step()
    assert loss.isfinite()
    assert all(not torch.equal(old, new) for old, new in zip(before, detector.parameters(), strict=True))
    detector.eval()
    volumes = torch.rand(2, 1, 16, 32, 32)
    with torch.no_grad():
        anomaly_map, scores = detector.scan(of_unknown_size(volumes))
    assert anomaly_map.shape == volumes.shape and scores.shape == (2,)
    assert anomaly_map.isfinite().all() and scores.isfinite().all()


@pytest.mark.parametrize("model", sorted(set(options("model")) - {*SLABS, "ensemble", *NEEDS_TIMM}))
def test_a_model_that_sees_no_neighbours_refuses_them(composed, model, tmp_path):
    _, cfg = sees_slabs(composed, model)
    choices = {"model": model}
    with pytest.raises(MriadError, match=rf"model={model} cannot see .* data.slices.neighbours=1 .* set that to 0, or"):
        Training(config=cfg, choices=choices, folder=tmp_path, tracker=None).detector()
    cfg.data.slices.neighbours = 0
    assert Training(config=cfg, choices=choices, folder=tmp_path, tracker=None).detector().neighbours == 0


@pytest.mark.parametrize("model", SLABS)
def test_pictures_are_seen_alone(composed, model):
    assert instantiate(composed("train", f"model={model}", *SMALL[model]).model).neighbours == 0


@pytest.mark.parametrize("model", [name for name in options("model") if name not in ANY_SIZE])
def test_a_size_that_a_network_cannot_take_is_told_before_training(composed, model):
    cfg = composed("train", f"model={model}", *SMALL[model], "data.image_size=50")
    with pytest.raises(
        Exception, match=rf"(model={model}|A U-Net of \d levels|A network for volumes) cannot take data.image_size=50"
    ) as raised:
        instantiate(cfg.model)
    cause = raised.value
    while not isinstance(cause, MriadError):
        cause = cause.__cause__
    assert "it must be a multiple of" in str(cause)


def leaves(node, prefix=""):
    for key, value in node.items():
        if isinstance(value, dict):
            yield from leaves(value, f"{prefix}{key}.")
        else:
            yield f"{prefix}{key}", value


@pytest.mark.parametrize("name", options("experiment"))
def test_every_value_of_an_experiment_reaches_its_run(composed, name):
    stated = OmegaConf.to_container(OmegaConf.load(CONF / "experiment" / f"{name}.yaml"))
    stated.pop("defaults")
    cfg = composed("train", f"experiment={name}")
    found = {key: OmegaConf.select(cfg, key) for key, _ in leaves(stated)}
    assert found == dict(leaves(stated))


@pytest.mark.parametrize("name", options("sweep"))
def test_a_search_varies_what_there_is_to_vary(composed, name):
    cfg = composed("train", f"sweep={name}")
    for option in cfg.sweep.space:
        group = option in HydraConfig.get().runtime.choices
        assert group or OmegaConf.select(cfg, option) is not None, f"{option} is no option of sweep={name}"
    assert (len(cfg.sweep.space) > 0) == (name != "search")
