"""A graph says what its detector says, whatever the detector, and its example needs neither mriad nor torch."""

import json
import subprocess
import sys
from types import SimpleNamespace

import made
import nibabel
import numpy as np
import onnxruntime
import pytest
import torch
from commands.brains import lesion
from hydra import compose, initialize_config_dir
from hydra.core.hydra_config import HydraConfig
from omegaconf import OmegaConf
from PIL import Image
from torch import nn
from whole_heads import affine, save

import mriad
from mriad.checkpoints.checkpoint import Checkpoint
from mriad.errors import MriadError
from mriad.export.graph import Sample, ScanGraph
from mriad.export.onnx import export_onnx
from mriad.export.openvino import write_openvino
from mriad.tasks.export import export

TINY = ("model.network.latent_dim=8",)
WIDTHS = ("model.network.widths=[4,8]",)
OF_PICTURES = {
    "ae": TINY,
    "vae": (*TINY, *WIDTHS, "score=atlas"),
    "dae": WIDTHS,
    "synthetic_anomaly": WIDTHS,
    "synthetic_anomaly that turns": (*WIDTHS, "model.turns=[0,0.1]"),
    "pca": ("model.n_components=3",),
    "intensity": (),
    "nearest": (),
    "ae_medianomaly": (),
    "vae_residual": (*TINY, "model.network.hidden_dim=8", "score=mse_foreground"),
    "feature_ae": ("model.widths=[8,8]",),
    "patchcore": ("model.memory=40", "model.encoder.pretrained=false"),
}
OF_VOLUMES = {
    "ae_3d": (*TINY, *WIDTHS, "data.patches.size=null"),
    "vae_3d": (*TINY, *WIDTHS, "data.patches.size=null", "score=l1"),
    "synthetic_anomaly": (*WIDTHS, "data.slices.neighbours=1", "data.planes=[axial,coronal,sagittal]"),
    "simulated_lesions": (*WIDTHS, "model.network.depth=1"),
    "dae": WIDTHS,
    "intensity": ("score=mse_foreground",),
}
SCORES = {
    "ssim": ("score=ssim",),
    "equalised": ("score=brain", "score.equalize=true", "score.erosion=1"),
    "opening": ("score=l1", "score.residual=gradient", "score.pooling=max",
                "score.postprocess=[{_target_:mriad.scoring.postprocess.Opening,size:3}]"),
}  # fmt: skip


class Features(nn.Module):
    """Stands in for a network of timm."""

    def __init__(self, layers):
        super().__init__()
        self.first, self.second = nn.Conv2d(3, 4, 3, 2, 1), nn.Conv2d(4, 6, 3, 2, 1)
        self.feature_info = SimpleNamespace(channels=lambda: [4, 6])
        self.pretrained_cfg = {"mean": (0.4, 0.5, 0.6), "std": (0.2, 0.2, 0.2)}

    def forward(self, x):
        first = self.first(x.expand(-1, 3, -1, -1)).relu()
        return [first, self.second(first).relu()]


@pytest.fixture(autouse=True)
def timm(monkeypatch):
    create = lambda name, pretrained, features_only, out_indices: Features(out_indices)  # noqa: E731
    monkeypatch.setitem(sys.modules, "timm", SimpleNamespace(create_model=create))


def agree(file, folder, *, sizes=()):
    """Export a checkpoint, and hold other batches, and pictures of other sizes, against the detector."""
    checkpoint = Checkpoint.load(file)
    _, factor = export_onnx(checkpoint, folder)
    session = onnxruntime.InferenceSession(folder / "model.onnx", providers=["CPUExecutionProvider"])
    spatial = checkpoint.preprocess().spatial
    for number, size in enumerate([spatial, *(sizes if factor else ())]):
        levels = np.random.default_rng(number).integers(0, 256, (1 + 4 * number, *size), dtype=np.uint8)
        sample = Sample.of(levels, checkpoint)
        maps, scores = session.run(["map", "score"], sample.inputs)
        assert maps.shape == levels.shape and scores.shape == levels.shape[:1]
        np.testing.assert_allclose(scores, sample.score, atol=1e-4)
        np.testing.assert_allclose(maps, sample.map, atol=1e-3)
    return factor


@pytest.mark.slow
@pytest.mark.parametrize("model", OF_PICTURES)
def test_a_detector_of_pictures_is_a_graph(model, tmp_path):
    file = made.checkpoint(tmp_path / "best.ckpt", *made.PICTURES, f"model={model.split()[0]}", *OF_PICTURES[model])
    factor = agree(file, tmp_path, sizes=[(48, 64)])
    assert factor == (4 if model in ("dae", "synthetic_anomaly") else None)


@pytest.mark.slow
def test_a_detector_that_draws_by_the_bits_of_a_scan_says_that_it_is_no_graph(tmp_path):
    file = made.checkpoint(tmp_path / "best.ckpt", *made.PICTURES, "model=vae_medianomaly")
    with pytest.raises(MriadError, match=r"MedIAnomalyVAE cannot be .* \(it draws its code by the bits of a scan\)"):
        export_onnx(Checkpoint.load(file), tmp_path)


@pytest.mark.slow
@pytest.mark.parametrize("model", OF_VOLUMES)
def test_a_detector_of_volumes_is_a_graph(model, tmp_path):
    agree(made.checkpoint(tmp_path / "best.ckpt", *made.VOLUMES, f"model={model}", *OF_VOLUMES[model]), tmp_path)


@pytest.mark.slow
@pytest.mark.parametrize("score", SCORES)
def test_a_score_is_part_of_the_graph(score, tmp_path):
    options = ("model=ae", *TINY, *SCORES[score])
    agree(made.checkpoint(tmp_path / "best.ckpt", *made.PICTURES, *options), tmp_path)


@pytest.mark.slow
def test_an_ensemble_is_a_graph(tmp_path):
    def joined(cfg):
        members = [made.composed(*made.PICTURES, "model=intensity", f"score={score}") for score in ("brain", "l1")]
        cfg.model.members = [OmegaConf.to_container(member.model) for member in members]
        del cfg.model["runs"]

    file = made.checkpoint(tmp_path / "best.ckpt", *made.PICTURES, "model=ensemble", "model.runs=[]", change=joined)
    agree(file, tmp_path)


@pytest.mark.parametrize(
    ("options", "sentence"),
    [
        ((*made.VOLUMES, "model=ae_3d", *TINY, *WIDTHS, "data.patches.size=16"), "it sees a volume cube by cube"),
        (
            (*made.PICTURES, "model=intensity",
             "score.postprocess=[{_target_:mriad.scoring.postprocess.SmallestComponent,area:4,threshold:0.1}]"),
            "SmallestComponent in score.postprocess tells regions apart",
        ),
    ],
)  # fmt: skip
def test_what_is_no_graph_says_so(options, sentence, tmp_path):
    checkpoint = Checkpoint.load(made.checkpoint(tmp_path / "best.ckpt", *options))
    with pytest.raises(MriadError, match=f"cannot be exported: .*{sentence}"):
        ScanGraph(checkpoint.detector())


@pytest.mark.slow
def test_what_the_exporter_cannot_do_is_one_sentence(tmp_path):
    file = made.checkpoint(tmp_path / "best.ckpt", *made.VOLUMES, "model=nearest")
    with pytest.raises(MriadError, match="Nearest cannot be exported, for its steps are no graph") as refused:
        export_onnx(Checkpoint.load(file), tmp_path)
    assert "\n" not in str(refused.value) and not (tmp_path / "model.onnx").exists()


@pytest.mark.slow
def test_a_graph_that_says_something_else_is_not_kept(tmp_path, monkeypatch):
    checkpoint = Checkpoint.load(made.checkpoint(tmp_path / "best.ckpt", *made.PICTURES, "model=intensity"))
    (tmp_path / "model.onnx").write_bytes(b"an earlier one")
    monkeypatch.setattr("mriad.export.onnx.TOLERANCE", -1)
    with pytest.raises(MriadError, match="the scores of its graph differ by"):
        export_onnx(checkpoint, tmp_path)
    assert (tmp_path / "model.onnx").read_bytes() == b"an earlier one"


def exported(folder, *options):
    with initialize_config_dir(str(made.CONF), version_base="1.3"):
        cfg = compose("export", overrides=[f"output={folder}", *options], return_hydra_config=True)
    cfg.hydra.runtime.output_dir = str(folder)
    HydraConfig.instance().set_config(cfg)
    OmegaConf.set_struct(cfg, False)
    del cfg["hydra"]
    export(cfg)


def example(folder, *words):
    """What the example prints where there is no torch and no mriad but the part of it in the zip."""
    program = (
        "import sys, runpy\nfor name in ('torch', 'lightning', 'mlflow', 'hydra', 'omegaconf', 'pandas', 'nilearn'):\n"
        "    sys.modules[name] = None\n"
        f"sys.argv = {['example.py', *map(str, words)]!r}\nrunpy.run_path({str(folder / 'example.py')!r})\n"
        "assert 'mriad' not in sys.modules or 'preparation.zip' in sys.modules['mriad'].__file__"
    )
    done = subprocess.run([sys.executable, "-I", "-c", program], capture_output=True, text=True, timeout=300)
    assert done.returncode == 0, done.stderr
    return float(done.stdout.split()[1].rstrip(":")), done.stdout.split()[-1]


@pytest.mark.slow
def test_the_example_scores_a_picture_and_a_prepared_one(tmp_path):
    options = (*made.PICTURES, "model=ae", *TINY, "score=brain")
    file = made.checkpoint(tmp_path / "best.ckpt", *options, threshold=0.01)
    Image.fromarray(lesion(3, size=90)[0]).save(tmp_path / "scan.png")
    exported(tmp_path / "out", f"checkpoint={file}", f"input={tmp_path}/scan.png")
    assert {one.name for one in (tmp_path / "out").iterdir()} == {
        "model.onnx", "model.json", "sample.npz", "preparation.zip", "example.py",
    }  # fmt: skip
    expected = mriad.load(file, device="cpu")(tmp_path / "scan.png")
    for scan in (tmp_path / "scan.png", tmp_path / "out" / "sample.npz"):
        score, decision = example(tmp_path / "out", scan)
        assert score == pytest.approx(expected.score, abs=1e-4)
        assert decision == ("anomalous" if expected.decision else "healthy")
    about = json.loads((tmp_path / "out" / "model.json").read_text())
    assert (about["threshold"], about["unit"], about["run_id"]) == (0.01, "scan", "0123456789abcdef")
    assert about["preparation"]["options"]["image_size"] == 32
    assert about["graph"]["inputs"]["brain"]["shape"] == ["batch", 32, 32]


@pytest.mark.slow
@pytest.mark.parametrize("model", ["synthetic_anomaly", "intensity", "ae_3d"])
@pytest.mark.parametrize(("codes", "name"), [("PSR", "t1.nii.gz"), ("LAS", "t1.nii")])
def test_the_example_scores_a_volume_and_maps_it_on_its_own_grid(model, codes, name, tmp_path):
    file = made.checkpoint(tmp_path / "best.ckpt", *made.VOLUMES, f"model={model}", *OF_VOLUMES[model])
    scan = save(tmp_path / name, 3, lesion=True, placed=affine(codes=codes))
    exported(tmp_path / "out", f"checkpoint={file}")
    holds_to_mriad(tmp_path, scan, file)


REAL = (
    "ixi_hh_t1_2mm/t1/*.nii.gz", "ds002748_bids/sub-*/anat/*T1w.nii.gz", "brats2013_deepmedic/*/*Flair*.nii.gz",
    "open_ms_longitudinal_raw/**/*FLAIR*.nii.gz", "isles22_case0009/**/*_dwi.nii.gz",
)  # fmt: skip


@pytest.mark.slow
@pytest.mark.parametrize("pattern", REAL)
def test_the_example_scores_real_volumes_as_mriad_does(pattern, data_root, tmp_path):
    scan = next(iter(sorted((data_root / "volumes").glob(pattern))), None)
    if scan is None:
        pytest.skip(f"there is no {pattern} in MRIAD_DATA_ROOT")
    options = (*made.VOLUMES, "model=synthetic_anomaly", *WIDTHS)
    file = made.checkpoint(tmp_path / "best.ckpt", *options)
    exported(tmp_path / "out", f"checkpoint={file}")
    holds_to_mriad(tmp_path, scan, file)


def holds_to_mriad(folder, scan, checkpoint):
    """Hold score and map of the example against mriad's, of a volume."""
    expected = mriad.load(checkpoint, device="cpu")(scan)
    score, decision = example(folder / "out", scan, folder / "map.npy")
    assert expected.score > 0 and score == pytest.approx(expected.score, abs=1e-4)
    assert decision == ("anomalous" if expected.decision else "healthy")
    found = np.load(folder / "map.npy")
    assert found.shape == nibabel.load(scan).shape
    np.testing.assert_allclose(found, np.asarray(expected.map.dataobj), atol=1e-4)


def test_libraries_that_are_missing_are_told_in_a_sentence(tmp_path, monkeypatch):
    monkeypatch.setitem(sys.modules, "openvino", None)
    with pytest.raises(MriadError, match=r"format=openvino needs OpenVINO, .*pip install 'mriad\[openvino\]'"):
        write_openvino(tmp_path)
    monkeypatch.setitem(sys.modules, "onnxscript", None)
    file = made.checkpoint(tmp_path / "best.ckpt", *made.PICTURES, "model=intensity")
    with pytest.raises(MriadError, match=r"format=onnx needs .*pip install 'mriad\[onnx\]'"):
        export_onnx(Checkpoint.load(file), tmp_path)


def test_the_example_has_thirty_lines():
    from mriad.export import EXAMPLE

    lines = [line for line in EXAMPLE.read_text().splitlines() if line.strip() and not line.startswith("import")]
    assert len(lines) <= 30


def test_quantiles_are_counted_alike_with_and_without_search():
    from mriad.models.ensemble import HealthyRanks

    ranks = HealthyRanks()
    ranks.fit([torch.rand(5000, generator=torch.Generator().manual_seed(0)).round(decimals=3)])
    values = torch.cat([ranks.values[::7], torch.tensor([-1.0, 0.5, 2.0])])
    assert torch.equal(ranks._smaller(values), torch.searchsorted(ranks.values, values))
