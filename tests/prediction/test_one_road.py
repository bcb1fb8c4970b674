"""A scan has one score, whoever asks for it: the test of a run, ``predict`` or the served model."""

import tempfile
from functools import cache
from pathlib import Path
from types import SimpleNamespace

import numpy as np
import pandas as pd
import pytest
from commands.brains import brain, lesion
from hydra import compose, initialize_config_dir
from hydra.core.hydra_config import HydraConfig
from hydra.utils import instantiate
from lightning import Trainer
from mlflow.exceptions import MlflowException
from omegaconf import OmegaConf
from PIL import Image
from whole_heads import affine
from whole_heads import save as save_volume

from mriad.callbacks import ScanScores
from mriad.checkpoints.checkpoint import Checkpoint
from mriad.experiment.data import load_data
from mriad.experiment.provenance import record_scans
from mriad.tasks.predict import predict
from mriad.trainer.passes import calibrate

CONF = Path(__file__).parents[2] / "conf"
SPACINGS = ("0.2 x 0.3", "0.3", "0.5", "")  # millimetres per pixel
SMALLEST = "[{_target_:mriad.scoring.postprocess.SmallestComponent,area:4,threshold:0.15}]"
SCORES = {path.stem: [f"score={path.stem}"] for path in sorted((CONF / "score").glob("*.yaml"))} | {
    "smallest": ["score=l1", f"score.postprocess={SMALLEST}"],
    "smallest, atlas": ["score=atlas", f"score.postprocess={SMALLEST}"],
}
FOLDERS = {  # layout: folders of healthy and of anomalous scans
    "navoneel": ("no", "yes"),
    "nickparvar": ("Training/notumor", "Testing/glioma"),
    "br35h": ("no", "yes"),
    "folder": ("healthy", "tumour"),
    "manifest": ("p1", "p2/deep"),
}
# Every score with the layout that knows spacings, and every layout with the score that asks for most of them.
PAIRS = [("manifest", score) for score in SCORES]
PAIRS += [(layout, "smallest, atlas") for layout in FOLDERS if layout != "manifest"]


def write(stem, index, gray):
    """A scan in one of the formats and modes that scans come in; the modes take turns."""
    opaque = np.full_like(gray, 255)
    rgb = np.stack([gray, gray, gray // 2 + 20], axis=2)
    kinds = [
        ("png", gray),
        ("png", gray.astype(np.uint16) * 17),  # 12 bits
        ("jpg", rgb),
        ("png", np.concatenate([rgb, opaque[..., None]], axis=2)),
        ("gif", Image.fromarray(gray).convert("P")),
        ("tiff", gray.astype(np.float32) / 300),
        ("tif", gray.astype(np.int32) * 100),
        ("png", np.stack([gray, opaque], axis=2)),
    ]
    ending, pixels = kinds[index % len(kinds)]
    stem.parent.mkdir(parents=True, exist_ok=True)
    file = stem.with_name(f"{stem.name}.{ending}")
    (Image.fromarray(pixels) if isinstance(pixels, np.ndarray) else pixels).save(file)
    return file


def as_sent(file):
    """The pixels of a file as a program would send them."""
    with Image.open(file) as image:
        return np.asarray(image.convert("RGB") if image.mode == "P" else image)


@cache
def composed(command, *overrides):
    """A command's config; composing takes as long as all the rest."""
    with initialize_config_dir(str(CONF), version_base="1.3"):
        cfg = compose(command, overrides=list(overrides), return_hydra_config=True)
    cfg.hydra.runtime.output_dir = cfg.hydra.runtime.cwd = tempfile.gettempdir()
    cfg.hydra.job.num = 0
    HydraConfig.instance().set_config(cfg)
    OmegaConf.set_struct(cfg, False)
    del cfg["hydra"]
    OmegaConf.resolve(cfg)
    return cfg


@pytest.fixture(scope="module")
def data_set(request, tmp_path_factory):
    """Options of a data set in one of the layouts, its folder and its data module; sizes and modes of scans differ."""
    root = tmp_path_factory.mktemp(request.param)
    healthy, anomalous = FOLDERS[request.param]
    rows = []
    for index in range(12):
        rows.append((write(root / healthy / f"h{index}", index, brain(index, size=40 + index)), 0, SPACINGS[index % 3]))
    for index in range(8):
        scan = write(root / anomalous / f"t{index}", index, lesion(index, size=44 + index)[0])
        rows.append((scan, 1, SPACINGS[index % 4]))
    options = [f"data={'folder' if request.param == 'manifest' else request.param}", f"data.root={root}"]
    if request.param == "manifest":
        table = pd.DataFrame(rows, columns=["path", "label", "spacing"])
        table["path"] = [str(path.relative_to(root)) for path in table["path"]]
        table.to_csv(root / "scans.csv", index=False)
        options += [f"data.layout.manifest={root}/scans.csv"]
    options += ["data.image_size=24", f"data.cache_dir={root}/cache", "data.split.group=none", "data.split.val=0.3"]
    config = composed("train", *options, "data.labelled_pool=0").data
    return request.param, root, config, load_data(config, roles=("train", "val", "test"))


def measured(score, data, datamodule, checkpoint, layout="folder"):
    """Train, calibrate, keep, and give the scores of the test by path."""
    options = (
        f"data={layout}",
        "data.root=.",
        "data.image_size=24",
        "trainer=cpu",
        "model=pca",
        "model.n_components=3",
    )
    cfg = composed("train", *options, *SCORES[score])
    detector = instantiate(cfg.model)
    config = {name: OmegaConf.to_container(part, resolve=True) for name, part in (("model", cfg.model), ("data", data))}
    quiet = SimpleNamespace(log_table=lambda *_: None, log_data_sets=lambda *_: None)
    detector.record = {"config": config, "choices": {"split": "grouped"}, "run_id": None}
    detector.record |= record_scans(quiet, datamodule)
    detector.fit_healthy(datamodule.fit_dataloader())
    calibrate(detector, datamodule, cfg, checkpoint)
    scores = ScanScores()
    options = {"accelerator": "cpu", "logger": False, "enable_checkpointing": False, "enable_progress_bar": False}
    Trainer(callbacks=[scores], **options).test(detector, datamodule, verbose=False)
    return scores.table(datamodule.scans("test")).set_index("path")["score"]


def model_of(checkpoint):
    from mriad.prediction.served_model import ServedDetector

    model = ServedDetector()
    model.load_context(SimpleNamespace(artifacts={"checkpoint": str(checkpoint)}))
    return model


def served(checkpoint, files, spacings):
    model = model_of(checkpoint)
    answers = [
        model.predict(None, as_sent(file)[None], {"spacing": [spacing], "dtype": ""})
        for file, spacing in zip(files, spacings, strict=True)
    ]
    return [answer["score"][0] for answer in answers], [answer["decision"][0] for answer in answers]


@pytest.mark.parametrize(("data_set", "score"), PAIRS, indirect=["data_set"])
def test_a_scan_has_one_score(data_set, score, tmp_path):
    layout, root, data, datamodule = data_set
    checkpoint = tmp_path / "best.ckpt"
    expected = measured(score, data, datamodule, checkpoint)
    files = [root / path for path in expected.index]
    wanted = f"{root}/scans.csv" if layout == "manifest" else f"{root}"

    cfg = OmegaConf.merge(composed("predict", "input=scans"), {"input": wanted, "output": str(tmp_path / "out")})
    predict(OmegaConf.merge(cfg, {"checkpoint": str(checkpoint)}))

    table = pd.read_csv(tmp_path / "out" / "predictions.csv", keep_default_na=False).set_index("path")
    found = table.loc[[str(file) for file in files]]
    assert len(table) == 20 and set(table["error"]) == {""}
    np.testing.assert_allclose(found["score"].astype(float), expected, rtol=1e-5)
    spacings = datamodule.scans("test").set_index("path")["spacing"][expected.index]
    assert (layout == "manifest") == bool((spacings != "").any())
    scores, decisions = served(checkpoint, files, spacings)
    np.testing.assert_allclose(scores, expected, rtol=1e-5)
    assert decisions == list(found["decision"].astype(int))


@pytest.mark.parametrize("data_set", ["manifest"], indirect=True)
def test_the_spacing_of_a_manifest_changes_the_score(data_set, tmp_path):
    """Else the test above would hold nothing."""
    _, root, data, datamodule = data_set
    checkpoint = tmp_path / "best.ckpt"
    expected = measured("smallest", data, datamodule, checkpoint)
    blind, _ = served(checkpoint, [root / path for path in expected.index], [""] * len(expected))
    assert (np.abs(expected - blind) > 1e-3 * expected).sum() > len(expected) / 3
    assert Checkpoint.load(checkpoint).calibration is not None


@pytest.fixture(scope="module")
def volumes(tmp_path_factory):
    """Folder and data module of volumes in which healthy and anomalous scans come on grids of their own."""
    root = tmp_path_factory.mktemp("volumes")
    codes, spacings = ("RAS", "LPS", "PSR", "ASL"), ((4.0, 3.5, 4.5), (5.0, 4.0, 4.0))
    for index in range(20):
        grid = {"codes": codes[index % 4], "spacing": spacings[index % 2], "turn": (index, -index / 2, 5)}
        placed = affine(**grid)
        name = f"tumour/t{index}.nii.gz" if index >= 12 else f"healthy/h{index}.nii"
        save_volume(root / name, index, placed=placed, lesion=index >= 12)
    options = [f"data.root={root}", "data.image_size=24", "data.preprocess.depth=20", "data.spacing=8"]
    options += [f"data.cache_dir={root}/cache", "data.split.group=none", "data.split.val=0.3", "data.labelled_pool=0"]
    config = composed("train", "data=volumes", *options, "data.planes=[axial,coronal]").data
    return root, config, load_data(config, roles=("train", "val", "test"))


@pytest.mark.parametrize("score", ["mse_foreground", "brain", "median"])
def test_a_volume_has_one_score(volumes, score, tmp_path):
    root, data, datamodule = volumes
    checkpoint = tmp_path / "best.ckpt"
    expected = measured(score, data, datamodule, checkpoint, layout="volumes")
    cfg = OmegaConf.merge(composed("predict", "input=scans"), {"input": f"{root}/*/*.nii*", "maps": True})
    predict(OmegaConf.merge(cfg, {"checkpoint": str(checkpoint), "output": str(tmp_path / "out")}))

    table = pd.read_csv(tmp_path / "out" / "predictions.csv", keep_default_na=False).set_index("path")
    found = table.loc[[str(root / path) for path in expected.index]]
    assert len(table) == 20 and set(table["error"]) == {""}
    np.testing.assert_allclose(found["score"].astype(float), expected, rtol=1e-5)
    assert len(list((tmp_path / "out" / "maps").rglob("*_map.nii.gz"))) == 20
    lesions = pd.read_csv(tmp_path / "out" / "lesions.csv")
    assert list(table["lesions"]) == [int((lesions["path"] == path).sum()) for path in table.index]
    assert Checkpoint.load(checkpoint).trained == {"contrasts": [], "spacing": [4.5, 5.0]}


def test_a_served_detector_of_volumes_says_who_predicts_them(volumes, tmp_path):
    _, data, datamodule = volumes
    measured("mse_foreground", data, datamodule, tmp_path / "best.ckpt", layout="volumes")
    with pytest.raises(MlflowException, match="predict files with 'mriad predict'"):
        model_of(tmp_path / "best.ckpt").predict(None, np.zeros((1, 20, 24), dtype=np.uint8))
