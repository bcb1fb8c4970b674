import copy
import pickle
from pathlib import Path
from types import SimpleNamespace

import pandas as pd
import pytest
import torch
from hydra.utils import instantiate
from lightning import LightningModule, Trainer
from lightning.pytorch.callbacks import ModelCheckpoint
from omegaconf import OmegaConf

from mriad.checkpoints.checkpoint import Checkpoint, load_weights
from mriad.data.preparing.preprocess import Preprocess
from mriad.errors import MriadError
from mriad.models import Autoencoder
from mriad.thresholds import Calibration
from mriad.trainer.fit import restore_best

SCORE = {"_target_": "mriad.scoring.Score", "residual": "l1"}
CONFIG = {
    "seed": 0,
    "data": {
        "name": "toy",
        "image_size": 16,
        "preprocess": {"_target_": "mriad.data.preparing.preprocess.Preprocess", "image_size": 16},
    },
    "score": SCORE,
    "model": {
        "_target_": "mriad.models.Autoencoder",
        "network": {
            "_target_": "mriad.models.networks.AutoencoderNetwork",
            "image_size": 16,
            "latent_dim": 4,
        },
        "score": SCORE,
        "optimizer": {"_target_": "torch.optim.Adam", "_partial_": True, "lr": 0.001},
    },
}
KEY = "0f" * 16
SPLIT = {"content": ["1", "2"], "path": ["a", "b"], "role": ["train", "test"], "group": ["a", "b"]}
SEEN = {"content": ["1"], "patient": [""], "phash": ["0f"], "phash_head": ["f0"]}
CALIBRATION = {
    "rule": "youden",
    "threshold": 0.5,
    "pixel_threshold": 0.25,
    "val_scores": {"path": ["a", "b"], "label": [0, 1], "score": [0.1, 0.9]},
}


@pytest.fixture
def content():
    torch.manual_seed(0)
    detector = instantiate(OmegaConf.create(CONFIG).model)
    return {
        "state_dict": detector.state_dict(),
        "mriad": {
            "config": copy.deepcopy(CONFIG),
            "choices": {"model": "ae", "experiment": None},
            "run_id": "r1",
            "calibration": copy.deepcopy(CALIBRATION),
            "key": KEY,
            "split": copy.deepcopy(SPLIT),
            "seen": copy.deepcopy(SEEN),
        },
    }


@pytest.fixture
def save(tmp_path):
    def write(content):
        torch.save(content, tmp_path / "best.ckpt")
        return tmp_path / "best.ckpt"

    return write


def refusal(path):
    with pytest.raises(MriadError) as error:
        Checkpoint.load(path)
    assert "\n" not in str(error.value)
    assert str(path) in str(error.value)
    return str(error.value)


def test_a_checkpoint_gives_back_the_detector_that_was_saved(content, save):
    checkpoint = Checkpoint.load(save(content))
    detector = checkpoint.detector()
    assert isinstance(detector, Autoencoder)
    assert not detector.training
    assert all(torch.equal(value, content["state_dict"][name]) for name, value in detector.state_dict().items())
    difference = detector.score.residual(torch.tensor([0.2]), torch.tensor([0.5]))
    torch.testing.assert_close(difference, torch.tensor([0.3]))


def test_a_checkpoint_gives_back_preprocessing_calibration_and_origin(content, save):
    checkpoint = Checkpoint.load(save(content))
    assert checkpoint.preprocess() == Preprocess(image_size=16)
    assert checkpoint.choices == {"model": "ae", "experiment": None}
    assert checkpoint.run_id == "r1"
    assert checkpoint.split.to_dict(orient="list") == SPLIT
    assert checkpoint.seen.to_dict(orient="list") == SEEN
    calibration = checkpoint.require_calibration()
    assert (calibration.rule, calibration.threshold, calibration.pixel_threshold) == ("youden", 0.5, 0.25)
    assert calibration.val_scores.to_dict(orient="list") == CALIBRATION["val_scores"]


@pytest.mark.parametrize(
    ("choice", "option", "published"),
    [("grouped", {}, False), ("grouped", {"published": True}, True), ("published_navoneel", {}, True)],
)
def test_the_roles_are_given_again_as_what_they_were(content, save, choice, option, published):
    content["mriad"]["choices"]["split"] = choice
    content["mriad"]["config"]["data"]["split"] = {
        "_target_": "mriad.data.roles.splits.GroupedSplit",
        "bits": 4,
        **option,
    }
    roles = Checkpoint.load(save(content)).roles()
    assert (roles.published, roles.bits, roles.view, roles.key) == (published, 4, "either", KEY)


def test_a_run_that_ended_before_calibration_is_told_how_to_go_on(content, save):
    del content["mriad"]["calibration"]
    checkpoint = Checkpoint.load(save(content))
    with pytest.raises(MriadError, match=r"has no threshold: .*'python train\.py resume=r1'"):
        checkpoint.require_calibration()


def test_a_missing_file_is_told(tmp_path):
    assert refusal(tmp_path / "gone.ckpt").startswith("There is no checkpoint at ")


@pytest.mark.parametrize(
    "raw", [b"", b"hello, I am a text\n" * 100, b"PK\x03\x04 not much of a zip", "äöü".encode("latin-1")]
)
def test_a_file_of_another_kind_is_told(tmp_path, raw):
    (tmp_path / "notes.ckpt").write_bytes(raw)
    assert "is no checkpoint that can be read" in refusal(tmp_path / "notes.ckpt")


def test_a_truncated_checkpoint_is_told(content, save):
    path = save(content)
    path.write_bytes(path.read_bytes()[:-2000])
    assert "is no checkpoint that can be read" in refusal(path)


@pytest.mark.parametrize(
    "other",
    [
        torch.zeros(3),
        [1, 2],
        {"state_dict": {}},
        {"mriad": 5, "state_dict": {}},
        {"mriad": {}, "state_dict": {}},
        {"mriad": {"config": CONFIG, "choices": {}, "key": KEY, "split": SPLIT, "seen": SEEN}},
        {"mriad": {"config": CONFIG, "key": KEY, "split": SPLIT, "seen": SEEN}, "state_dict": {}},
        {"mriad": {"config": CONFIG, "choices": {}}, "state_dict": {}},
    ],
    ids=["tensor", "list", "weights", "number", "empty record", "no weights", "no choices", "no split"],
)
def test_a_torch_file_of_another_program_is_told(save, other):
    assert "is a checkpoint of another program" in refusal(save(other))


def test_a_lightning_checkpoint_of_another_program_is_told(tmp_path):
    class Foreign(LightningModule):
        def __init__(self):
            super().__init__()
            self.layer = torch.nn.Linear(2, 1)

        def training_step(self, batch, _):
            return self.layer(batch).mean()

        def configure_optimizers(self):
            return torch.optim.SGD(self.parameters(), lr=0.1)

    trainer = Trainer(
        accelerator="cpu",
        max_epochs=1,
        logger=False,
        enable_checkpointing=False,
        enable_progress_bar=False,
        enable_model_summary=False,
    )
    trainer.fit(Foreign(), torch.utils.data.DataLoader(torch.zeros(4, 2)))
    trainer.save_checkpoint(tmp_path / "foreign.ckpt")
    assert "is a checkpoint of another program" in refusal(tmp_path / "foreign.ckpt")


class Bomb:
    """Unpickling it writes a file."""

    def __init__(self, target):
        self.target = target

    def __reduce__(self):
        return Path.write_text, (Path(self.target), "boom")


@pytest.mark.parametrize("writer", ["torch", "pickle"])
def test_code_in_a_checkpoint_does_not_run(content, save, tmp_path, writer):
    content["mriad"]["config"]["extra"] = Bomb(str(tmp_path / "boom"))
    path = save(content) if writer == "torch" else tmp_path / "best.ckpt"
    if writer == "pickle":
        path.write_bytes(pickle.dumps(content))
    assert "is no checkpoint that can be read" in refusal(path)
    assert not (tmp_path / "boom").exists()


@pytest.mark.parametrize(
    "target", ["os.system", "mriad.checkpoints.checkpoint.torch.load", "mriad.models.FutureDetector"]
)
@pytest.mark.parametrize(
    "place", ["model", "model.network", "model.optimizer", "data.preprocess", "data.split", "callbacks.best", "trainer"]
)
def test_a_config_that_names_foreign_code_is_not_even_loaded(content, save, place, target):
    config = OmegaConf.create(content["mriad"]["config"])
    OmegaConf.update(config, place, {"_target_": target}, merge=False)
    content["mriad"]["config"] = OmegaConf.to_container(config)
    assert f"is refused: it asks for '{target}' in {place}._target_, which no option" in refusal(save(content))


def test_a_folder_is_told_with_the_checkpoints_in_it(content, save):
    path = save(content)
    assert refusal(path.parent).endswith("is a folder that holds best.ckpt; give the path of a .ckpt file in it.")


def test_weights_of_another_model_are_told_in_a_sentence(content, save):
    content["mriad"]["config"]["model"]["network"]["latent_dim"] = 8
    checkpoint = Checkpoint.load(save(content))
    with pytest.raises(MriadError) as error:
        checkpoint.detector()
    assert "was made by another model than Autoencoder with these options (size mismatch for" in str(error.value)
    assert "\n" not in str(error.value)


def test_weights_without_a_layer_are_told_in_a_sentence(content):
    detector = instantiate(OmegaConf.create(CONFIG).model)
    weights = content["state_dict"]
    del weights["network.encoder.0.bias"]
    with pytest.raises(MriadError, match=r"Missing key\(s\) in state_dict: \"network\.encoder\.0\.bias\""):
        load_weights(detector, weights, Path("best.ckpt"))


def test_the_best_weights_come_back_where_a_metric_chose_them(content, save, tmp_path):
    detector = instantiate(OmegaConf.create(CONFIG).model)
    callback = ModelCheckpoint(monitor="val/loss", dirpath=str(tmp_path))
    callback.best_model_path = f"/elsewhere/{save(content).name}"  # as a run tells that has been moved, or forged
    assert (
        restore_best(SimpleNamespace(checkpoint_callback=callback), detector, tmp_path / "x") == tmp_path / "best.ckpt"
    )
    assert all(torch.equal(value, content["state_dict"][name]) for name, value in detector.state_dict().items())


@pytest.mark.parametrize("callback", [None, ModelCheckpoint(monitor=None)], ids=["no callback", "no metric"])
def test_the_last_weights_stay_where_no_metric_chose(content, save, tmp_path, callback):
    detector = instantiate(OmegaConf.create(CONFIG).model)
    before = copy.deepcopy(detector.state_dict())
    if callback is not None:
        callback.best_model_path = str(save(content))
    best = restore_best(SimpleNamespace(checkpoint_callback=callback), detector, tmp_path)
    assert best == tmp_path / "best.ckpt"
    assert all(torch.equal(value, before[name]) for name, value in detector.state_dict().items())


def test_a_recalibrated_checkpoint_is_the_same_detector_that_knows_more_scans(content, save, tmp_path):
    first = Checkpoint.load(save(content))
    new = Calibration(
        rule="conformal",
        threshold=0.7,
        pixel_threshold=0.4,
        val_scores=pd.DataFrame({"label": [0], "score": [0.7], "group": [0]}),
        promised_fpr=0.5,
        fitted_on="1 healthy scan of there",
    )
    there = pd.DataFrame({"content": ["9"], "patient": ["p"], "phash": ["aa"], "phash_head": ["bb"]})
    first.write_recalibrated(tmp_path / "there.ckpt", new, seen=there, run_id="r2")
    again = Checkpoint.load(tmp_path / "there.ckpt")
    found = again.require_calibration()
    assert (found.threshold, found.pixel_threshold, found.promised_fpr) == (0.7, 0.4, 0.5)
    assert found.fitted_on == "1 healthy scan of there"
    assert again.run_id == "r2" and again.key == KEY
    assert again.seen.to_dict(orient="list") == SEEN
    assert again.known["content"].tolist() == ["1", "9"]
    assert first.known["content"].tolist() == ["1"]
    weights = again.detector().state_dict()
    assert all(torch.equal(value, weights[name]) for name, value in content["state_dict"].items())
    assert Checkpoint.load(first.path).require_calibration().threshold == 0.5
