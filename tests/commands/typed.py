"""The commands of README and docs are typed as they stand there, with nothing but overrides that shrink them appended.

Every line of every ``bash`` block is typed, also one that is added later, on one of two desks, so that two workers can
share them. Most go to a fork server, as ``command_line`` has it; one line of each command goes through a real bash into
a fresh Python, one with quotes where there are some. ``make train`` and ``make test`` install and run for minutes and
are left to CI, which starts with them: ``python train.py`` stands for the first here. ``source`` changes nothing here,
where ``python`` is the interpreter of the tests.
"""

from __future__ import annotations

import json
import re
import shlex
import shutil
from dataclasses import dataclass, field
from pathlib import Path

import nibabel
import numpy as np
import pandas as pd
import pytest
from heads import head, write_volumes
from omegaconf import OmegaConf
from PIL import Image
from pydicom.uid import generate_uid
from volumes import write_dicom

from .brains import brain, lesion, save, write_scans
from .command_line import REPOSITORY, Outcome, Terminal, TrainedRun

SMALLER = "data.image_size=32 data.epoch_scans=null trainer.max_epochs=1"
SMALLER_SET = "data.layout.healthy_subjects=24 data.layout.diseased_subjects=10 data.layout.slices_per_subject=2"
SMALLER_VOLUMES = "data.image_size=32 data.preprocess.depth=32 data.spacing=8 trainer.max_epochs=1"
SMALLER_HEADS = "data.layout.healthy_subjects=10 data.layout.diseased_subjects=6 data.layout.spacing=4"
ELSEWHERE = {"make test", "source .venv/bin/activate"}
STANDS_FOR = {"make train": "python train.py"}
UI = "make ui"
STUDY = "/path/to/dicom/study"
# What predict reads that is volumes: a detector of volumes stands for RUN_ID, and these rows are written.
BIDS_SCANS = [f"bids_folder/sub-{number:02d}/anat/sub-{number:02d}_T1w.nii.gz" for number in (1, 2)]
VOLUMES = {"sub-01_T1w.nii.gz": ["sub-01_T1w.nii.gz"], "study": ["study"], "bids_folder": BIDS_SCANS}
TAKES_THREADS = ("train.py", "evaluate.py", "predict.py", "mriad.audit")
SAME = {name: f"{name}.py" for name in ("train", "evaluate", "predict")} | {"compare": "mriad.compare"}
# Who looks at trained detectors, and who trains: a desk each, its pages in the order in which they are typed.
DESKS = {
    "use": ("README.md", "docs/index.md", "docs/start", "docs/guides/evaluate.md", "docs/guides/compare.md",
            "docs/guides/audit.md", "docs/guides/predict.md", "docs/guides/review.md", "docs/guides/onnx.md",
            "docs/guides/pacs.md", "docs/guides/registry.md"),
    "train": ("docs/guides/train.md", "docs/guides", "docs/explanation", "docs/results", "docs/reference"),
}  # fmt: skip


def pages(*places: str) -> list[Path]:
    """The pages of places, those of a folder by name, none twice."""
    found = [file for place in places for file in sorted((REPOSITORY / place).rglob("*.md")) or [REPOSITORY / place]]
    return list(dict.fromkeys(found))


def lines_of(page: Path) -> list[str]:
    """Every line of every bash block, without its comment."""
    blocks = re.findall(r"^```bash\n(.*?)^```", page.read_text(), re.MULTILINE | re.DOTALL)
    lines = [re.sub(r"\s+#.*$", "", line).strip() for block in blocks for line in block.splitlines()]
    return [line for line in lines if line]


def typed_on(desk: str) -> list[str]:
    """The lines that are typed on a desk: each line of its pages that no earlier desk has, once."""
    before = [line for name in list(DESKS)[: list(DESKS).index(desk)] for line in typed_on(name)]
    lines = [STANDS_FOR.get(line, line) for page in pages(*DESKS[desk]) for line in lines_of(page)]
    return [line for line in dict.fromkeys(lines) if line not in {*before, *ELSEWHERE, UI}]


def command_of(line: str) -> str:
    """The command of a line: the script, the module, or the program; ``mriad NAME`` is what does the same."""
    words = shlex.split(line)
    if words[0] == "mriad":
        return SAME.get(words[1], f"mriad {words[1]}")
    return words[0] if words[0] != "python" else words[2] if words[1] == "-m" else words[1]


def options_of(line: str) -> dict[str, str]:
    """The options of a line."""
    return dict(word.split("=", 1) for word in shlex.split(line) if "=" in word)


def through_bash() -> set[str]:
    """One line of each command, with quotes where one has some, and all that is not Python."""
    lines = [line for desk in DESKS for line in typed_on(desk) if not line.startswith("mriad ")]
    quoted_last = sorted(lines[::-1], key=lambda line: "'" in line or '"' in line)
    chosen = {command_of(line): line for line in quoted_last}
    return set(chosen.values()) | {line for line in lines if not line.startswith("python ")}


@dataclass
class Done:
    """What one line did."""

    line: str
    outcome: Outcome
    desk: Desk
    new: dict[str, list[TrainedRun]]

    @property
    def words(self) -> dict[str, str]:
        """The options of the line."""
        return options_of(self.line)

    def only(self, kind: str) -> TrainedRun:
        """The one run of a kind that the line made, which has finished."""
        (run,) = self.new[kind]
        assert run.status == "FINISHED"
        return run


@dataclass
class Desk:
    """A working directory that lines are typed in, in their order."""

    terminal: Terminal
    data: dict[str, Path]
    done: dict[str, Done] = field(default_factory=dict)

    @classmethod
    def laid(cls, name: str, factory: pytest.TempPathFactory) -> Desk:
        """A desk on which all its lines have been typed."""
        desk = cls(Terminal(factory.mktemp(name), draws=True), stand_in(factory.mktemp("data_sets")))
        inbox = desk.terminal.folder / "scans"
        save(inbox / "patient 1 (t=2) [axial].png", lesion(1, size=80)[0])
        save(inbox / "a b.png", brain(2))
        save(inbox / "c.jpg", brain(3, size=50))
        save(inbox / "deeper" / "d.png", lesion(4)[0])
        write_heads(desk.terminal.folder)
        real = through_bash()
        for line in typed_on(name):
            desk.done[line] = desk.type(line, real=line in real)
        return desk

    def type(self, line: str, *, real: bool = False) -> Done:
        """Type a line, into bash or as the words that bash would make of it."""
        typed = self.completed(line)  # which may train what the line asks for
        before = {run.info.run_id for run in self.terminal.runs()}
        outcome = self._shell(typed) if real else self._fork(typed)
        new: dict[str, list[TrainedRun]] = {"training": [], "evaluation": [], "sweep": []}
        for run in self.terminal.runs():
            if run.info.run_id not in before:
                new[run.data.tags["kind"]].append(TrainedRun(self.terminal, run.info.run_id))
        return Done(line, outcome, self, new)

    def _shell(self, line: str) -> Outcome:
        return self.terminal.shell(re.sub(r"(\w+)\.py", rf"'{REPOSITORY}/\1.py'", line, count=1))

    def _fork(self, line: str) -> Outcome:
        command, words = command_of(line), shlex.split(line)
        if words[0] == "mriad":
            return self.terminal.run("mriad/__main__.py", *words[1:], environment={"OMP_NUM_THREADS": "1"})
        script = command if command.endswith(".py") else f"{command.replace('.', '/')}/__main__.py"
        words = words[words.index(command) + 1 :]
        return self.terminal.run(script, *words, environment={"OMP_NUM_THREADS": "1"})

    def first(self) -> TrainedRun:
        """The run that stands for RUN_ID."""
        return TrainedRun(self.terminal, self.terminal.runs("training")[0].info.run_id)

    def of_volumes(self) -> TrainedRun:
        """The run that stands for RUN_ID where volumes are predicted."""
        runs = [TrainedRun(self.terminal, run.info.run_id) for run in self.terminal.runs("training")]
        if not any(run.params["data"] == "synthetic_volumes" for run in runs):
            self.type("python train.py data=synthetic_volumes model=intensity").outcome.ok()
            return self.of_volumes()
        return next(run for run in runs if run.params["data"] == "synthetic_volumes")

    def other(self) -> TrainedRun:
        """The run that stands for OTHER_RUN_ID: tested on the same scans."""
        first = self.first()
        if not any(self._beside(first)):
            self.type("python train.py model=nearest").outcome.ok()
        return next(iter(self._beside(first)))

    def _beside(self, first: TrainedRun) -> list[TrainedRun]:
        runs = [TrainedRun(self.terminal, run.info.run_id) for run in self.terminal.runs("training")]
        return [run for run in runs if run.id != first.id and run.params["data"] == first.params["data"]]

    def completed(self, line: str) -> str:
        """The line with its placeholders filled in and shrunk."""
        for name, folder in self.data.items():
            line = line.replace(f"/path/to/{name}", str(folder))
        if "OTHER_RUN_ID" in line:
            line = line.replace("OTHER_RUN_ID", self.other().id)
        line = line.replace(STUDY, "study")
        if "RUN_ID" in line:
            of_volumes = options_of(line).get("input") in VOLUMES
            line = line.replace("RUN_ID", (self.of_volumes() if of_volumes else self.first()).id)
        if "data.split.file=split.csv" in line:
            shutil.copy(self.first().artifacts / "split.csv", self.terminal.folder / "split.csv")
        line = line.replace("~/.cache/mriad", str(self.terminal.environment["MRIAD_CACHE_DIR"]))
        assert "/path/to" not in line, f"what does {line} stand for?"
        command, asks = command_of(line), re.search(r" --(help|cfg)", line)
        if command == "train.py" and not asks:
            if "volumes" in line:
                line += f" {SMALLER_VOLUMES} {SMALLER_HEADS if 'synthetic' in line else ''}"
            elif "resume=" in line:
                line += " trainer.max_epochs=2"
            else:
                line += f" {SMALLER}" if re.search("data=|experiment=", line) else f" {SMALLER} {SMALLER_SET}"
            line += " model.n_components=8" if options_of(line).get("model") == "pca" else ""
        return f"{line} threads=1" if command in TAKES_THREADS and not asks else line


def stand_in(root: Path) -> dict[str, Path]:
    """Folders in the layouts of the data sets, of made-up scans: test_real_scans.py has real ones."""
    folders = {"scans": write_scans(root / "scans", healthy=30, anomalous=10)}
    records = [
        {"path": str(file.relative_to(root / "scans")), "label": int(file.parent.name == "tumour")}
        for name in ("healthy", "tumour")
        for file in sorted((root / "scans" / name).iterdir())
    ]
    pd.DataFrame(records).to_csv(root / "scans" / "scans.csv", index=False)
    for number in range(12):
        save(root / "navoneel" / "no" / f"n{number}.jpg", brain(500 + number))
        save(root / "navoneel" / "yes" / f"y{number}.JPG", lesion(500 + number)[0])
    for part, healthy in (("Training", 30), ("Testing", 10)):
        for number in range(healthy):
            save(root / "nickparvar" / part / "notumor" / f"{part}-n{number}.png", brain(100 + number + 100 * healthy))
        for offset, kind in enumerate(("glioma", "meningioma", "pituitary")):
            for number in range(5):
                save(
                    root / "nickparvar" / part / kind / f"{part}-{kind}{number}.png",
                    lesion(100 * healthy + 10 * offset + number)[0],
                )
    healthy_names = [f"Training-n{number}.png" for number in range(30)]
    lists = {
        "train": {"0": healthy_names[:15], "unlabeled": {"0": healthy_names[15:22]}},
        "test": {"0": healthy_names[22:], "1": [f"Testing-glioma{number}.png" for number in range(5)]},
    }
    (root / "nickparvar" / "medianomaly_braintumor.json").write_text(json.dumps(lists))
    for number in range(20):
        save(root / "br35h" / "no" / f"no{number}.png", brain(9000 + number))
    outlines = {}
    for number in range(60):
        scan, mask = lesion(9000 + number)
        save(root / "br35h" / "Br35H-Mask-RCNN" / "TRAIN" / f"y{number}.png", scan)
        rows, columns = mask.nonzero()
        around = {"name": "circle", "cx": columns.mean(), "cy": rows.mean(), "r": np.sqrt(mask.sum() / np.pi)}
        outlines[f"y{number}"] = {"filename": f"y{number}.png", "regions": [{"shape_attributes": around}]}
    (root / "br35h" / "Br35H-Mask-RCNN" / "TRAIN" / "annotations_train.json").write_text(json.dumps(outlines))
    write_volumes(root / "volumes", healthy=10, anomalous=6)
    return folders | {name: root / name for name in ("navoneel", "nickparvar", "br35h", "volumes")}


def write_heads(folder: Path) -> None:
    """The volumes that the pages predict: a NIfTI file, a DICOM study of two series, a BIDS data set."""
    for number, file in enumerate((folder / "sub-01_T1w.nii.gz", *(folder / name for name in BIDS_SCANS))):
        file.parent.mkdir(parents=True, exist_ok=True)
        scan = head(codes="LPS", seed=number)
        nibabel.save(nibabel.Nifti1Image(scan.levels, scan.grid.affine), file)
    (folder / "bids_folder" / "dataset_description.json").write_text('{"Name": "Two", "BIDSVersion": "1.10.0"}')
    scan, study = head(lesion=True), generate_uid()
    for number, description in enumerate(("t1 mprage", "localizer")):
        write_dicom(
            folder / "study" / str(number), scan.levels.astype(np.int16), scan.grid,
            SeriesDescription=description, SeriesNumber=number, StudyInstanceUID=study,
        )  # fmt: skip


def check(done: Done) -> None:
    """Hold what a line has done against what the pages say of it."""
    line = done.line
    assert done.outcome.code == 0, f"{done.outcome.out}\n{done.outcome.err}"
    assert "Traceback" not in done.outcome.out + done.outcome.err
    words, script = shlex.split(line), command_of(line)
    if "--help" in words or "--cfg" in words:
        _check_config(done)
    elif script == "train.py":
        _check_sweep(done) if "-m" in words else _check_training(done)
    elif script == "evaluate.py":
        _check_evaluation(done)
    elif script == "predict.py":
        _check_prediction(done)
    elif script == "mriad.compare":
        _check_comparison(done)
    elif script == "mriad.audit":
        _check_audit(done)
    elif script == "mriad register":
        registered = done.desk.terminal.store.get_model_version_by_alias("mriad", words[-1].removeprefix("alias="))
        assert registered.run_id == done.desk.first().id
    elif script == "mriad export":
        written = {file.name for file in (done.desk.terminal.folder / done.words["output"]).iterdir()}
        assert written == {"model.onnx", "model.json", "sample.npz", "preparation.zip", "example.py"}
    elif script == "cp":
        assert (done.desk.terminal.folder / words[-1]).exists()
    else:
        pytest.fail(f"'{line}' is new in README or docs: say in this test what it leaves behind")


def _check_config(done: Done) -> None:
    if "--cfg" in done.line:
        assert OmegaConf.create(done.outcome.out).data.name == done.words["data"]
    else:
        groups = [path.name for path in (REPOSITORY / "conf").iterdir() if path.is_dir()]
        for name in {"data", "model", "score", "threshold", "augment", "split", "trainer"} & set(groups):
            assert f"{name}: " in done.outcome.out
    assert not any(done.new.values())


def _by_gradient(run: TrainedRun) -> bool:
    return run.params["model"] not in ("ensemble", "intensity", "nearest", "pca")


def _check_run(run: TrainedRun) -> None:
    assert run.status == "FINISHED"
    assert 0 <= run.metrics["test/auroc"] <= 1
    files = {"scores.parquet", "split.csv", "config.yaml", "environment.json", "checkpoint/best.ckpt"}
    files |= {"report.html", "audit.json", "audit_features.csv"}
    figures = {f"plots/{name}.png" for name in ("roc", "pr", "score_histogram", "confusion_matrix", "gallery")}
    if _by_gradient(run):
        figures.add("plots/loss.png")
    assert files | figures <= run.files()
    assert len(run.scores) == int(run.metrics["test/healthy/support"] + run.metrics["test/anomalous/support"])


def _check_training(done: Done) -> None:
    if "resume" in done.words:
        assert not any(done.new.values())
        run = done.desk.first()
        assert run.epochs("train/loss") == [0, 1]
    else:
        run = done.only("training")
        for name in ("model", "data", "threshold", "score", "seed", "threshold.q", "model.beta"):
            if name in done.words:
                assert run.params[name] == done.words[name]
        assert "AUROC" in done.outcome.out and run.id in done.outcome.out
    _check_run(run)
    kept = run.params["model"] != "vae_residual"  # that one is kept once, in the store
    expected = [kept, kept and _by_gradient(run)]
    assert [(run.output / name).exists() for name in ("best.ckpt", "last.ckpt")] == expected


def _check_sweep(done: Done) -> None:
    parent = done.only("sweep")
    jobs = int(np.prod([len(value.split(",")) for value in done.words.values()]))
    assert len(done.new["training"]) == jobs > 1
    for run in done.new["training"]:
        _check_run(run)
        assert run.tags["mlflow.parentRunId"] == parent.id
    combinations = {tuple(run.params[name] for name in done.words) for run in done.new["training"]}
    assert len(combinations) == jobs


def _check_evaluation(done: Done) -> None:
    run = done.only("evaluation")
    source = done.desk.first()
    assert run.tags["source_run"] == source.id
    assert {"scores.parquet", "split.csv", "plots/gallery.png"} <= run.files()
    assert run.params["data"] == done.words.get("data", source.params["data"])
    assert run.params["threshold"] == done.words.get("threshold", source.params["threshold"])
    if "data" not in done.words:
        assert run.metrics["test/auroc"] == source.metrics["test/auroc"]


def _check_comparison(done: Done) -> None:
    folder = done.desk.terminal.folder / "comparison"
    methods, differences = pd.read_csv(folder / "methods.csv"), pd.read_csv(folder / "differences.csv")
    aurocs = {done.desk.first().metrics["test/auroc"], done.desk.other().metrics["test/auroc"]}
    assert methods["auroc"].to_numpy() == pytest.approx(sorted(aurocs, reverse=True))
    assert set(differences["metric"]) == {"auroc", "average_precision"}
    assert Image.open(folder / "comparison.png").size > (300, 200)
    assert not any(done.new.values())


def _check_audit(done: Done) -> None:
    assert "Without any model: AUROC" in done.outcome.out
    assert not any(done.new.values())


def _check_prediction(done: Done) -> None:
    folder = done.desk.terminal.folder
    told = re.search(r"^Predictions (.+)$", done.outcome.out, re.MULTILINE)
    assert told is not None, done.outcome.out
    file = folder / told[1]
    if "output" in done.words:
        assert file == folder / done.words["output"] / "predictions.csv"
    table = pd.read_csv(file, keep_default_na=False)
    source = done.words["input"].replace(STUDY, "study")
    assert set(table["error"]) == {""} and set(table["decision"]) <= {0, 1}
    assert (file.parent / "review" / "index.html").exists() == (done.words.get("review") == "true")
    if source in VOLUMES:
        assert list(table["path"]) == VOLUMES[source]
        assert {"lesions", "lesion_ml"} < set(table.columns)
        if done.words.get("format") == "dicom":
            written = {file.name.split("_")[-1] for file in (file.parent / "maps").iterdir()}
            assert written == {"seg.dcm", "map.dcm", "sr.dcm"}
            return
        written = {file.name.split("_")[-1] for file in file.parent.rglob("*.nii.gz")}
        assert written >= {"mask.nii.gz"} and written & {"map.nii.gz", "probseg.nii.gz"}
        return
    assert list(table.columns) == ["path", "score", "threshold", "decision", "error"]
    expected = {
        "scans": ["scans/a b.png", "scans/c.jpg", "scans/deeper/d.png", "scans/patient 1 (t=2) [axial].png"],
        '"scans/patient 1 (t=2) [axial].png"': ["scans/patient 1 (t=2) [axial].png"],
        '["scans/a b.png", "scans/*.jpg"]': ["scans/a b.png", "scans/c.jpg"],
    }
    everything = sorted(str(file.relative_to(folder)) for file in (folder / source).rglob("*.png"))
    assert list(table["path"]) == expected.get(source, everything)
    for path in table["path"] if done.words.get("maps") == "true" else ():
        target = file.parent / "maps" / Path(path).relative_to(source)
        size = Image.open(folder / path).size
        anomaly_map, overlay = (Image.open(f"{target}.{ending}") for ending in ("map.tiff", "overlay.png"))
        assert anomaly_map.size == overlay.size == size
        assert np.asarray(anomaly_map).dtype == np.float32
