"""Bad input ends with exit code 1 and one sentence on stderr that says what is wrong, where, and what to do."""

import socket
from itertools import cycle
from pathlib import Path
from typing import Any

import numpy as np
import pytest
import torch
from PIL import Image

from .brains import save, write_scans
from .command_line import REPOSITORY, Terminal, TrainedRun

Options = tuple[str, ...]


@pytest.fixture(scope="module")
def closed_port() -> int:
    """A port that nothing listens to."""
    with socket.socket() as listener:
        listener.bind(("127.0.0.1", 0))
        return int(listener.getsockname()[1])


# --- data -------------------------------------------------------------------------------------------------------------


def test_a_missing_data_folder(bench: Terminal, small: Options, tmp_path: Path) -> None:
    outcome = bench.train(*small, f"data.root={tmp_path}/nowhere")
    outcome.sentence(f"There is no folder {tmp_path}/nowhere", "data.root")


@pytest.mark.parametrize("data", ["folder", "navoneel", "nickparvar", "br35h"])
def test_an_empty_data_folder(bench: Terminal, small: Options, tmp_path: Path, data: str) -> None:
    options = [option for option in small if not option.startswith("data=")]
    outcome = bench.train(*options, f"data={data}", f"data.root={tmp_path}")
    outcome.sentence(str(tmp_path), "healthy" if data == "folder" else "data.root")


@pytest.mark.parametrize("data", ["folder", "navoneel", "nickparvar", "br35h"])
def test_a_data_root_that_is_not_set(bench: Terminal, data: str) -> None:
    bench.train(f"data={data}").sentence("data.root is not set", "data.root" if data == "folder" else "kaggle.com")


def test_a_folder_without_healthy_scans(bench: Terminal, small: Options, tmp_path: Path) -> None:
    root = write_scans(tmp_path / "sick", healthy=0, anomalous=5)
    bench.train(*small, f"data.root={root}").sentence("No healthy scan", "train", "add healthy scans")


def test_a_folder_with_too_few_healthy_scans_for_all_roles(bench: Terminal, small: Options, tmp_path: Path) -> None:
    root = write_scans(tmp_path / "few", healthy=1, anomalous=5)
    bench.train(*small, f"data.root={root}").sentence("No healthy scan", "add healthy scans")


def test_broken_images_are_skipped_counted_and_listed(terminal: Terminal, small: Options, tmp_path: Path) -> None:
    root = write_scans(tmp_path / "scans")
    (root / "healthy" / "text.png").write_text("not an image")
    whole = (root / "healthy" / "h00.png").read_bytes()
    (root / "tumour" / "cut.png").write_bytes(whole[: len(whole) // 2])
    outcome = terminal.train(*small, f"data.root={root}", "trainer.max_epochs=1").ok()
    assert "Skipped 2 of 62 scans" in outcome.out + outcome.err
    for name in ("healthy/text.png", "tumour/cut.png"):
        assert str(root / name) in outcome.out + outcome.err
    split = (terminal.newest("training").artifacts / "split.csv").read_text()
    assert "text.png" not in split and "cut.png" not in split and "h00.png" in split


def test_too_many_broken_images_end_the_run_unless_allowed(terminal: Terminal, small: Options, tmp_path: Path) -> None:
    root = write_scans(tmp_path / "scans")
    for number in range(4):  # 4 of 64 are more than 5 %
        (root / "healthy" / f"broken{number}.png").write_text(f"not an image {number}")
    options = (*small, f"data.root={root}", "trainer.max_epochs=1")
    terminal.train(*options).sentence("4 of 64 scans", str(root), "data.max_broken=0.05", "healthy/broken0.png")
    terminal.train(*options, "data.max_broken=0.1").ok()


def test_a_mask_of_another_size_leaves_its_scan_out(terminal: Terminal, small: Options, tmp_path: Path) -> None:
    root = write_scans(tmp_path / "scans")
    mask = save(root / "masks" / "tumour" / "t03.png", np.full((20, 30), 255, dtype=np.uint8))
    outcome = terminal.train(*small, f"data.root={root}", "trainer.max_epochs=1").ok()
    shown = outcome.out + outcome.err
    assert "Skipped 1 of 60 scans" in shown
    assert f"{mask} is 20 x 30 pixels" in shown and "64 x 64" in shown
    terminal.train(*small, f"data.root={root}", "data.max_broken=0").sentence(str(mask), "20 x 30", "64 x 64")


def test_unusual_image_modes_train_as_their_gray_scans(
    terminal: Terminal, small: Options, scans: Path, ae: TrainedRun, tmp_path: Path
) -> None:
    root = tmp_path / "scans"
    for file, kind in zip(sorted(scans.rglob("*.png")), cycle(("16-bit", "RGBA", "palette")), strict=False):
        _saved_as(kind, np.asarray(Image.open(file)), root / file.relative_to(scans))
    terminal.train(*small, f"data.root={root}").ok()
    assert terminal.newest("training").test_metrics == ae.test_metrics


def _saved_as(kind: str, gray: np.ndarray, file: Path) -> None:
    file.parent.mkdir(parents=True, exist_ok=True)
    if kind == "16-bit":
        Image.fromarray(gray.astype(np.uint16) * 257).save(file)
    elif kind == "RGBA":
        Image.fromarray(np.dstack([gray, gray, gray, np.full_like(gray, 255)])).save(file)
    else:
        Image.fromarray(gray).convert("P").save(file)


# --- options ----------------------------------------------------------------------------------------------------------


@pytest.mark.parametrize(
    ("option", "parts"),
    [
        ("model=resnet", ("model=resnet is unknown", "ae, ae_3d, ae_medianomaly, dae")),
        ("data=mydata", ("data=mydata is unknown", "choose atlas, bids, br35h, brats, folder")),
        ("threshold=magic", ("threshold=magic is unknown", "youden")),
        ("model=patchcor", ("model=patchcor is unknown", "perhaps patchcore was meant")),
        ("hydra/launcher=jolib", ("hydra/launcher=jolib is unknown", "perhaps joblib was meant")),
        ("modle=ae", ("no option 'modle'", "perhaps 'model' was meant", "--help")),
        ("trainer.max_epoch=3", ("no option 'trainer.max_epoch'", "perhaps 'trainer.max_epochs' was meant", "--help")),
        ("~callbacks.early_stoping", ("no option 'callbacks.early_stoping'", "perhaps 'callbacks.early_stopping'")),
        ("model.beta=1", ("no option 'model.beta'", "belongs to model=vae")),
        ("--epochs=3", ("--epochs is no option", "without dashes, as in trainer.max_epochs=3")),
        ("--multirum", ("no --multirum", "perhaps --multirun was meant")),
        ("model.optimizer.lr=intervall(0.1,1)", ("no 'intervall'", "perhaps 'interval' was meant")),
        ("score.pooling=man", ("score.pooling=man is unknown", "perhaps mean was meant")),
        ("model.network.latent=3", ("no option 'model.network.latent'", "--help")),
        ("model.optimizer.betta=3", ("no option 'model.optimizer.betta'", "--help")),
        ("epochs", ("'epochs'", "a word of its own", "name=value")),
        ("trainer.max_epochs=[", ("'trainer.max_epochs=['", "a bracket has no partner", "name=value")),
        ("data.name='a b", ("a quote is opened and not closed", "name=value")),
        ("threshold=fixed", ("threshold.value has no value", "threshold.value=")),
        ("data.image_size=30", ("model=ae cannot take data.image_size=30", "multiple of 8", "32")),
        ("data.image_size=0", ("data.image_size=0", "from 8 up")),
        ("data.image_size=-8", ("data.image_size=-8", "from 8 up")),
        ("data.batch_size=0", ("data.batch_size=0", "no whole number from 1 up")),
        ("data.preprocess.crop=tight", ("data.preprocess.crop=tight", "head or none")),
        ("data.split.val=0.9", ("data.split.val=0.9", "below 1")),
        ("data.split.group=hospital", ("data.split.group=hospital", "patient")),
        ("data.layout.anomalies=[glioma]", ("no anomaly folder glioma", "tumour")),
        ("data.layout.manifest=list.csv", ("no manifest", "list.csv", "data.layout.manifest")),
        ("data.split.train_on=T2", ("data.split.train_on=T2 names no column", "contrast or plane")),
        ("data.split.train_on=[T2]", ("names no column", "contrast or plane")),
        ("data.split.train_on={contrast: 2}", ("names the contrast '2'", "no list of values")),
        ("data.labelled_train=-1", ("data.labelled_train",)),
        ("score.postprocess=null", ("score.postprocess=None is no step", "or [] for none")),
        ("score.fraction=2", ("score.fraction=2", "(0, 1]")),
        ("score.residual=l3", ("score.residual=l3", "mse, l1, ssim")),
        ("callbacks.calibration.pixel_quantile=1", ("pixel_quantile=1", "(0, 1)")),
    ],
)
def test_an_option_that_cannot_be(bench: Terminal, small: Options, option: str, parts: tuple[str, ...]) -> None:
    bench.train(*small, option).sentence(*parts)


@pytest.mark.parametrize(("model", "image_size", "factor"), [("vae", 40, 16), ("vae_residual", 48, 32)])
def test_an_image_size_that_the_network_cannot_take(
    bench: Terminal, scans: Path, model: str, image_size: int, factor: int
) -> None:
    outcome = bench.train("data=folder", f"data.root={scans}", f"model={model}", f"data.image_size={image_size}")
    outcome.sentence(f"model={model} cannot take data.image_size={image_size}", f"multiple of {factor}")


def test_a_threshold_that_val_cannot_give(terminal: Terminal, small: Options, tmp_path: Path) -> None:
    root = write_scans(tmp_path / "well", anomalous=0)
    sentence = terminal.train(*small, f"data.root={root}").sentence("'youden' needs anomalous scans in val", "quantile")
    run = terminal.newest("training")
    assert run.status == "FAILED"
    assert run.tags["failure"] in sentence
    assert run.epochs("train/loss") == []  # known before the training, so said before it
    terminal.train(*small, f"data.root={root}", "threshold=quantile").ok()


def test_a_threshold_that_the_stored_val_scores_cannot_give(terminal: Terminal, small: Options, tmp_path: Path) -> None:
    root = write_scans(tmp_path / "well", anomalous=0)
    terminal.train(*small, f"data.root={root}", "threshold=quantile", "trainer.max_epochs=1").ok()
    run = terminal.newest("training")
    terminal.evaluate(f"run={run.id}", "threshold=max_f1").sentence("'max_f1' needs anomalous scans in val")


def test_the_stack_trace_is_there_for_who_asks(bench: Terminal, small: Options, tmp_path: Path) -> None:
    options = (*small, f"data.root={tmp_path}/nowhere")
    outcome = bench.train(*options, HYDRA_FULL_ERROR="1")
    assert outcome.code == 1
    assert "Traceback" in outcome.err and f"There is no folder {tmp_path}/nowhere" in outcome.err
    asked_of_hydra = bench.train("model=resnet", HYDRA_FULL_ERROR="1")
    assert asked_of_hydra.code == 1 and "Traceback" in asked_of_hydra.err


@pytest.mark.slow
def test_a_real_process_ends_the_same_way(bench: Terminal, tmp_path: Path) -> None:
    missing = bench.shell(f"python '{REPOSITORY}/train.py' data=folder data.root=nowhere")
    missing.sentence(f"There is no folder {bench.folder}/nowhere")
    unknown = bench.shell(f"python '{REPOSITORY}/train.py' model=resnet")
    unknown.sentence("model=resnet is unknown")


def test_a_failed_run_says_why_in_its_tag(bench: Terminal, small: Options, tmp_path: Path) -> None:
    sentence = bench.train(*small, f"data.root={tmp_path}/nowhere").sentence()
    run = bench.newest("training")
    assert run.status == "FAILED"
    assert sentence == f"Error: {run.tags['failure']}"


# --- the store --------------------------------------------------------------------------------------------------------


@pytest.mark.parametrize("command", ["train", "evaluate", "predict"])
def test_a_server_that_is_down(terminal: Terminal, small: Options, scans: Path, closed_port: int, command: str) -> None:
    uri = f"http://127.0.0.1:{closed_port}"
    options = {"train": small, "evaluate": ("run=abc",), "predict": ("run=abc", f"input={scans}")}[command]
    outcome = getattr(terminal, command)(*options, MLFLOW_TRACKING_URI=uri)
    outcome.sentence(f"The MLflow server at {uri} does not answer", "logger.tracking_uri")
    assert not (terminal.folder / "cache").exists()  # it ended before any work


def test_a_store_that_is_none(bench: Terminal, small: Options, tmp_path: Path) -> None:
    (tmp_path / "letter.db").write_text("Dear store, " * 100)
    uri = f"sqlite:///{tmp_path}/letter.db"
    bench.train(*small, f"logger.tracking_uri={uri}").sentence(uri, "cannot be opened", "logger.tracking_uri")


@pytest.mark.parametrize("command", ["evaluate", "predict"])
def test_a_run_that_the_store_does_not_know(bench: Terminal, scans: Path, command: str) -> None:
    more = (f"input={scans}",) if command == "predict" else ()
    getattr(bench, command)("run=0123abc", *more).sentence("There is no run '0123abc'", "mlflow.db", "MLflow UI")


def test_a_run_to_resume_that_the_store_does_not_know(bench: Terminal) -> None:
    bench.train("resume=0123abc").sentence("There is no run '0123abc'", "mlflow.db")


@pytest.mark.parametrize(("command", "both"), [("evaluate", True), ("evaluate", False), ("predict", True)])
def test_neither_run_nor_checkpoint_or_both(
    bench: Terminal, ae: TrainedRun, scans: Path, command: str, both: bool
) -> None:
    more = (f"input={scans}",) if command == "predict" else ()
    named = (f"run={ae.id}", f"checkpoint={ae.checkpoint}") if both else ()
    getattr(bench, command)(*named, *more).sentence("run=<", "checkpoint=<")


@pytest.mark.parametrize("command", ["evaluate", "predict"])
def test_a_run_that_failed(bench: Terminal, small: Options, scans: Path, tmp_path: Path, command: str) -> None:
    bench.train(*small, f"data.root={tmp_path}/nowhere").sentence()
    failed = bench.newest("training")
    more = (f"input={scans}",) if command == "predict" else ()
    getattr(bench, command)(f"run={failed.id}", *more).sentence(failed.id, "has no checkpoint/best.ckpt")


# --- checkpoints ------------------------------------------------------------------------------------------------------

KINDS = ("missing", "text", "empty", "cut", "tensor", "other", "weights")


@pytest.fixture(scope="module")
def files(ae: TrainedRun, tmp_path_factory: pytest.TempPathFactory) -> dict[str, Path]:
    """Files that are no checkpoint of mriad, by what they are."""
    folder = tmp_path_factory.mktemp("checkpoints")
    places = {kind: folder / f"{kind}.ckpt" for kind in KINDS}
    places["text"].write_text("epoch 3")
    places["empty"].write_bytes(b"")
    whole = ae.checkpoint.read_bytes()
    places["cut"].write_bytes(whole[: len(whole) // 2])
    torch.save(torch.ones(3), places["tensor"])
    torch.save({"state_dict": {}, "epoch": 3}, places["other"])
    torch.save(torch.load(ae.checkpoint, weights_only=True)["state_dict"], places["weights"])
    return places


@pytest.mark.parametrize(
    ("command", "kind"), [*(("evaluate", kind) for kind in KINDS), ("predict", "cut"), ("train", "cut")]
)
def test_a_file_that_is_no_checkpoint(
    bench: Terminal, scans: Path, files: dict[str, Path], command: str, kind: str
) -> None:
    options = {
        "evaluate": (f"checkpoint={files[kind]}",),
        "predict": (f"checkpoint={files[kind]}", f"input={scans}"),
        "train": (f"resume={files[kind]}",),
    }[command]
    reason = {"missing": "There is no checkpoint at"}.get(
        kind,
        "checkpoint of another program" if kind in ("tensor", "other", "weights") else "no checkpoint that can be read",
    )
    getattr(bench, command)(*options).sentence(str(files[kind]), reason, "give")


def changed(checkpoint: Path, file: Path, **changes: Any) -> Path:
    """A copy of a checkpoint with another config; keys name their place with '__'."""
    content = torch.load(checkpoint, weights_only=True)
    for name, value in changes.items():
        *places, last = name.split("__")
        node = content["mriad"]["config"]
        for place in places:
            node = node[place]
        node[last] = value
    torch.save(content, file)
    return file


@pytest.mark.parametrize("command", ["evaluate", "predict"])
def test_a_checkpoint_whose_weights_are_of_another_model(
    bench: Terminal, ae: TrainedRun, vae: TrainedRun, scans: Path, tmp_path: Path, command: str
) -> None:
    more = (f"input={scans}",) if command == "predict" else ()
    model = torch.load(vae.checkpoint, weights_only=True)["mriad"]["config"]["model"]
    other = changed(ae.checkpoint, tmp_path / "other.ckpt", model=model)
    getattr(bench, command)(f"checkpoint={other}", *more).sentence(f"{other} was made by another model", "CompactVAE")
    wider = changed(ae.checkpoint, tmp_path / "wider.ckpt", model__network__latent_dim=24)
    getattr(bench, command)(f"checkpoint={wider}", *more).sentence(f"{wider} was made by another model")


def test_a_checkpoint_that_asks_for_foreign_code_runs_none_of_it(
    bench: Terminal, ae: TrainedRun, scans: Path, tmp_path: Path
) -> None:
    call = {"_target_": "os.mkdir", "path": str(tmp_path / "owned")}
    best, last = (
        changed(file, tmp_path / file.name, model__network=call) for file in (ae.checkpoint, ae.output / "last.ckpt")
    )
    for outcome in (
        bench.evaluate(f"checkpoint={best}"),
        bench.predict(f"checkpoint={best}", f"input={scans}"),
        bench.train(f"resume={last}"),
    ):
        outcome.sentence("os.mkdir")
    assert not (tmp_path / "owned").exists()


@pytest.mark.parametrize("change", ["data.split.seed=7", "data.drop_identical=false", "model.network.latent_dim=8"])
def test_resume_with_other_roles_or_another_network(bench: Terminal, ae: TrainedRun, change: str) -> None:
    option = change.split("=")[0]
    bench.train(f"resume={ae.id}", change).sentence(f"{option} cannot change when a training goes on", "new run")


def test_resume_with_another_model(bench: Terminal, ae: TrainedRun) -> None:
    for start in (ae.id, ae.output / "last.ckpt"):
        bench.train(f"resume={start}", "model=vae").sentence("made with model=ae, not model=vae", "drop model=vae")
    assert ae.status == "FINISHED"


def test_resume_from_weights_alone(bench: Terminal, ae: TrainedRun) -> None:
    outcome = bench.train(f"resume={ae.checkpoint}", "trainer.max_epochs=5")
    outcome.sentence(str(ae.checkpoint), "last.ckpt")
    assert ae.status == "FINISHED"


# --- evaluation and prediction ----------------------------------------------------------------------------------------


def test_other_data_needs_a_split(bench: Terminal, ae: TrainedRun, scans: Path) -> None:
    outcome = bench.evaluate(f"run={ae.id}", "data=folder", f"data.root={scans}")
    outcome.sentence("split=all_test", "split=grouped")


def test_other_data_of_another_kind(bench: Terminal, ae: TrainedRun, scans: Path) -> None:
    outcome = bench.evaluate(f"run={ae.id}", "data=volumes", f"data.root={scans}", "split=all_test")
    outcome.sentence("trained on pictures", "data=volumes are volumes")


def test_moved_data_that_is_not_there(bench: Terminal, ae: TrainedRun, tmp_path: Path) -> None:
    bench.evaluate(f"run={ae.id}", f"data.root={tmp_path}/nowhere").sentence(f"no folder {tmp_path}/nowhere")


@pytest.mark.parametrize("option", ["model=vae", "data.image_size=64", "mdl=3"])
def test_an_option_that_an_evaluation_does_not_have(bench: Terminal, ae: TrainedRun, option: str) -> None:
    name = option.split("=")[0]
    bench.evaluate(f"run={ae.id}", option).sentence(f"no option '{name}'", "--help")


def test_an_empty_prediction_folder(bench: Terminal, ae: TrainedRun, tmp_path: Path) -> None:
    (tmp_path / "notes.txt").write_text("no image")
    bench.predict(f"run={ae.id}", f"input={tmp_path}").sentence(f"no image in {tmp_path}", ".png")


@pytest.mark.parametrize("name", ["*.gif", "nowhere", "**/x?.png"])
def test_a_prediction_input_that_matches_nothing(bench: Terminal, ae: TrainedRun, tmp_path: Path, name: str) -> None:
    outcome = bench.predict(f"run={ae.id}", f"input={tmp_path}/{name}")
    outcome.sentence(f"input={tmp_path}/{name} matches no image", "glob")


def test_a_list_names_the_entry_that_matches_nothing(
    bench: Terminal, ae: TrainedRun, scans: Path, tmp_path: Path
) -> None:
    bench.predict(f"run={ae.id}", f"input=[{scans},{tmp_path}/*.bmp]").sentence(f"{tmp_path}/*.bmp matches no image")


@pytest.mark.parametrize(
    ("wanted", "part"), [((), "input has no value"), (("input=[]",), "input"), (("input=null",), "input")]
)
def test_no_prediction_input(bench: Terminal, ae: TrainedRun, wanted: Options, part: str) -> None:
    bench.predict(f"run={ae.id}", *wanted).sentence(part)


def test_nothing_but_broken_scans(bench: Terminal, ae: TrainedRun, tmp_path: Path) -> None:
    (tmp_path / "a.png").write_text("no image")
    outcome = bench.predict(f"run={ae.id}", f"input={tmp_path}", f"output={tmp_path}/out")
    outcome.sentence("None of 1 scans could be read", f"{tmp_path}/a.png")


def test_an_output_that_is_a_file(bench: Terminal, ae: TrainedRun, scans: Path, tmp_path: Path) -> None:
    (tmp_path / "out").write_text("taken")
    bench.predict(f"run={ae.id}", f"input={scans}", f"output={tmp_path}/out").sentence(f"{tmp_path}/out", "folder")
