import subprocess
import sys
from dataclasses import replace

import numpy as np
import pandas as pd
import pytest

from benchmarks.results import measure as measuring
from benchmarks.results.costs import read_costs, record_costs
from benchmarks.results.history import _changes, changed_since
from benchmarks.results.table import Definition, read_lines, write_lines
from benchmarks.results.whence import today
from mriad.compare.runs import ScoredRun
from mriad.errors import MriadError

WHENCE = {"commit": "abc1234", "date": "2026-01-01", "machine": "a machine"}
FILES = {
    "conf/train.yaml": "defaults:\n  - data: synthetic\n  - score: blurred\n  - model: ae\n",
    "conf/data/synthetic.yaml": "a: 1\n",
    "conf/data/br35h.yaml": "defaults: [base]\na: 1\n",
    "conf/data/base.yaml": "side: 1\n",
    "conf/score/blurred.yaml": "a: 1\n",
    "conf/score/brain.yaml": "a: 1\n",
    "conf/model/ae.yaml": "model:\n  _target_: mriad.models.AE\n",
    "conf/model/pca.yaml": "defaults:\n  - override /score: brain\nmodel:\n  _target_: mriad.models.PCA\n",
    "conf/experiment/old.yaml": "defaults:\n  - override /data: br35h\n  - override /model: pca\n",
    "mriad/models/__init__.py": "from mriad.models.ae import AE\nfrom mriad.models.pca import PCA\n",
    "mriad/models/ae.py": "from mriad.models.parts import part\nclass AE:\n    x = 1\n",
    "mriad/models/pca.py": "class PCA:\n    x = 1\n",
    "mriad/models/parts.py": "def part():\n    return 1\n",
    "mriad/data/roles/splits.py": "def split():\n    '''Say.'''\n    return 1\n",
    "mriad/data/layouts/br35h.py": "x = 1\n",
    "mriad/data/synthetic/brains.py": "x = 1\n",
    "mriad/plots/page.py": "x = 1\n",
}


@pytest.fixture
def repository(tmp_path):
    for name, text in FILES.items():
        write(tmp_path, name, text)
    git(tmp_path, "init", "-q")
    git(tmp_path, "add", ".")
    git(tmp_path, "-c", "user.name=n", "-c", "user.email=e", "commit", "-qm", "first")
    return tmp_path


def write(root, name, text):
    file = root / name
    file.parent.mkdir(parents=True, exist_ok=True)
    file.write_text(text)


def git(root, *words):
    return subprocess.run(["git", *words], cwd=root, check=True, capture_output=True, text=True).stdout.strip()


@pytest.mark.parametrize(
    ("file", "text", "command", "bears"),
    [
        ("mriad/data/roles/splits.py", "def split():\n    return 2\n", "model=ae", True),
        (
            "mriad/data/roles/splits.py",
            "import os\n# a remark\ndef split():\n    '''Other.'''\n    return 1\n",
            "model=ae",
            False,
        ),
        ("mriad/models/ae.py", "class AE:\n    x = 2\n", "model=ae", True),
        ("mriad/models/ae.py", "class AE:\n    x = 2\n", "model=pca", False),
        ("mriad/models/parts.py", "def part():\n    return 2\n", "", True),
        ("mriad/models/parts.py", "def part():\n    return 2\n", "model=pca", False),
        ("mriad/models/pca.py", "class PCA:\n    x = 2\n", "experiment=old", True),
        ("mriad/data/layouts/br35h.py", "x = 2\n", "data=br35h", True),
        ("mriad/data/layouts/br35h.py", "x = 2\n", "data=synthetic", False),
        ("mriad/data/synthetic/brains.py", "x = 2\n", "", True),
        ("mriad/data/synthetic/brains.py", "x = 2\n", "data=br35h", False),
        ("mriad/plots/page.py", "x = 2\n", "", False),
        ("conf/data/base.yaml", "side: 2\n", "data=br35h", True),
        ("conf/data/base.yaml", "side: 1  # in pixels\n", "data=br35h", False),
        ("conf/score/brain.yaml", "a: 2\n", "model=pca", True),
        ("conf/score/brain.yaml", "a: 2\n", "model=ae", False),
    ],
)
def test_what_changed_bears_on_what_was_measured_with_it(repository, file, text, command, bears):
    commit = git(repository, "rev-parse", "--short", "HEAD")
    assert FILES[file] != text
    write(repository, file, text)
    found = changed_since(commit, f"python train.py -m {command}", repository)
    assert found == ([file] if bears else [])


def test_a_moved_file_has_not_changed_and_one_that_is_gone_has(repository):
    commit = git(repository, "rev-parse", "--short", "HEAD")
    git(repository, "mv", "mriad/data/roles/splits.py", "mriad/data/roles.py")
    assert changed_since(commit, "python train.py", repository) == []
    git(repository, "rm", "-qf", "mriad/data/roles.py")
    _changes.cache_clear()  # it takes the files to stay as they are while it runs
    assert changed_since(commit, "python train.py", repository) == ["mriad/data/roles/splits.py"]


def test_what_an_option_file_says_itself_or_leaves_to_its_base_is_the_same(repository):
    commit = git(repository, "rev-parse", "--short", "HEAD")
    write(repository, "conf/data/br35h.yaml", "a: 1\nside: 1\n")
    assert changed_since(commit, "python train.py data=br35h", repository) == []


def test_costs_depend_on_everything(repository):
    commit = git(repository, "rev-parse", "--short", "HEAD")
    write(repository, "mriad/models/pca.py", "class PCA:\n    x = 2\n")
    assert changed_since(commit, None, repository) == ["mriad/models/pca.py"]


def test_without_history_nothing_is_known(tmp_path, repository):
    assert changed_since("0123456", "python train.py", repository) is None
    assert changed_since("", "python train.py", repository) is None
    bare = tmp_path / "elsewhere"
    bare.mkdir()
    (bare / ".git").write_text("gitdir: nowhere")
    assert changed_since("0123456", "python train.py", bare) is None


def test_a_line_names_a_commit_that_holds_what_was_run(monkeypatch):
    monkeypatch.setattr(
        "benchmarks.results.whence._git", lambda *words: " M mriad/x.py" if "status" in words else "abc"
    )
    with pytest.raises(MriadError, match=r"Commit your changes.*mriad/x\.py"):
        today()


def scored(seed, metrics, scores):
    table = pd.DataFrame(
        {"path": list("abcd"), "group": list("abcd"), "label": [0, 0, 1, 1], "class": "x", "score": scores}
    ).assign(decision=lambda rows: (rows["score"] > 0.5).astype(int), role="test")
    return ScoredRun(
        run_id=f"run{seed}", started=seed, seed=str(seed), options={"model": "ae"}, metrics=metrics, scores=table
    )


def test_a_row_is_measured_by_its_command_and_pooled_over_seeds(tmp_path, monkeypatch):
    (tmp_path / "t.yaml").write_text(
        "heading: m\ncommand: python train.py -m data=br35h data.root=DATA\n"
        "columns: {AUROC: auroc, pixel AP: pixel_ap, TP: tp}\nrows: {ae: 'model=ae seed=0,1', given: null}\n"
    )
    definition = Definition.read("t", tmp_path)
    runs = [
        scored(0, {"pixel_ap": 0.5, "pixel_ap_low": 0.4, "pixel_ap_high": 0.6}, [0.1, 0.2, 0.8, 0.9]),
        scored(1, {"pixel_ap": 0.7, "pixel_ap_low": 0.6, "pixel_ap_high": 0.8}, [0.1, 0.6, 0.4, 0.9]),
    ]
    typed = []
    monkeypatch.setattr(measuring, "_run", lambda command, options, folder: (typed.append(command), (runs, "store"))[1])
    lines = [
        *measuring.measure(
            definition, ["ae", "given"], ["data.root=/secret", "trainer=gpu"], folder=tmp_path, whence=WHENCE
        )
    ]
    write_lines("t", definition.metrics, lines, tmp_path)
    (line,) = read_lines("t", tmp_path)
    assert typed == ["python train.py -m data=br35h data.root=DATA model=ae seed=0,1"]
    assert line.command == f"{typed[0]} trainer=gpu" and line.seeds == "2" and line.commit == "abc1234"
    assert line.cell("pixel_ap") == f"0.600 ± {np.std([0.5, 0.7], ddof=1):.3f} [0.50, 0.70]"
    assert line.values["auroc"] == "0.875" and line.values["tp"] == "2"


def test_the_runs_of_a_row_are_tested_elsewhere_and_other_columns_shown_of_it(tmp_path, monkeypatch):
    (tmp_path / "t.yaml").write_text(
        "heading: m\ncommand: python train.py data=volumes data.root=DATA\nvariants: {here: ''}\n"
        "evaluations: {there: data=brats data.root=DATA}\nalso: [slice/auroc]\nrows: {ae: model=ae}\n"
        "columns: {Here: auroc here, There: pixel_ap there}\n"
    )
    (tmp_path / "s.yaml").write_text("of: t\ncolumns: {Slices: slice/auroc there}\n")
    here = [scored(0, {"slice/auroc": 0.6}, [0.1, 0.2, 0.8, 0.9])]
    there = [scored(0, {"slice/auroc": 0.7, "pixel_ap": 0.3}, [0.8, 0.7, 0.3, 0.4])]
    there[0].scores["label"] = 1  # nobody is healthy
    typed = []

    def run(command, options, folder, *, kind="training"):
        typed.append(command)
        return (there if kind == "evaluation" else here), "store"

    monkeypatch.setattr(measuring, "_run", run)
    definition, other = Definition.read("t", tmp_path), Definition.read("s", tmp_path)
    lines = [*measuring.measure(definition, ["ae"], ["data.root=/secret"], folder=tmp_path, whence=WHENCE)]
    write_lines("t", definition.metrics, lines, tmp_path)
    trained, tested = read_lines(other.source, tmp_path)
    assert typed == [
        "python train.py data=volumes data.root=DATA model=ae", "python evaluate.py run=run0 data=brats data.root=DATA",
    ]  # fmt: skip
    assert (trained.variant, tested.variant) == definition.places == ("here", "there")
    assert trained.values == {"auroc": "1.000", "slice/auroc": "0.600"} | {
        name: value for name, value in trained.values.items() if name.startswith("auroc_")
    }
    assert tested.command == "python evaluate.py run=RUN_ID data=brats data.root=DATA"
    assert tested.values == {"pixel_ap": "0.300", "slice/auroc": "0.700"}
    assert definition.options(tested) == f"{typed[0]} {tested.command}"
    assert list(other.columns) == ["Slices"] and other.rows == definition.rows


def test_a_row_may_start_from_a_run_of_another_command(tmp_path, monkeypatch):
    (tmp_path / "t.yaml").write_text(
        "heading: m\ncommand: python train.py data=br35h\ncolumns: {AUROC: auroc}\n"
        "rows: {tuned: {options: init=RUN_ID, before: python train.py data=synthetic}}\n"
    )
    typed = []

    def run(command, options, folder):
        typed.append(command)
        return [scored(len(typed), {}, [0.1, 0.2, 0.8, 0.9])], "store"

    monkeypatch.setattr(measuring, "_run", run)
    (line,) = measuring.measure(Definition.read("t", tmp_path), ["tuned"], [], folder=tmp_path, whence=WHENCE)
    assert typed == ["python train.py data=synthetic", "python train.py data=br35h init=run1"]
    assert line.command == "python train.py data=br35h init=RUN_ID, where RUN_ID is of: python train.py data=synthetic"


def test_a_row_may_be_of_scores_that_are_recalibrated(tmp_path, monkeypatch):
    (tmp_path / "t.yaml").write_text(
        "heading: m\ncommand: python train.py\ncolumns: {Of val: val, n = 5: n5}\n"
        "rows: {there: {options: data=a data.root=DATA/a, recalibrated: data=b data.root=DATA/b}}\n"
    )
    healthy = pd.DataFrame({"path": [f"{n}" for n in range(40)], "group": range(40), "label": 0, "threshold": 19.5})
    healthy["score"] = np.arange(40.0)
    typed = []

    def run(command, options, folder, *, kind="training"):
        typed.append(command)
        found = scored(0, {}, [0.1, 0.2, 0.8, 0.9])
        return [replace(found, scores=healthy) if kind == "evaluation" else found], "store"

    monkeypatch.setattr(measuring, "_run", run)
    definition = Definition.read("t", tmp_path)
    (line,) = measuring.measure(definition, ["there"], ["data.root=/all"], folder=tmp_path, whence=WHENCE)
    assert typed == ["python train.py data=a data.root=DATA/a", "python evaluate.py run=run0 data=b data.root=DATA/b"]
    assert line.values["val"] == "0.500" and 0.1 < float(line.values["n5"]) < 0.25
    assert line.command.startswith(typed[0]) and "/all" not in line.command
    write_lines("t", definition.metrics, [line], tmp_path)
    assert read_lines("t", tmp_path)[0].cell("val") == "0.500"


@pytest.mark.parametrize(
    ("command", "expected"),
    [
        ("python train.py data=a data.root=DATA/a", ["data=a", "data.root=/all/a", "threads=1"]),
        ("python train.py data=a data.root=DATA", ["data=a", "data.root=/all", "threads=1"]),
        ("python train.py data=synthetic", ["data=synthetic", "threads=1"]),
    ],
)
def test_each_data_set_is_looked_for_in_its_folder(tmp_path, monkeypatch, command, expected):
    seen = []
    monkeypatch.setattr(
        measuring.subprocess, "run", lambda words, **_: (seen.extend(words[2:]), subprocess.CompletedProcess([], 1))[1]
    )
    with pytest.raises(MriadError, match="exit code 1"):
        measuring._run(command, ["data.root=/all", "threads=1"], tmp_path)
    assert sorted(seen) == sorted(expected)


def test_runs_that_differ_by_more_than_their_seed_make_no_row(tmp_path, monkeypatch):
    (tmp_path / "t.yaml").write_text("heading: m\ncommand: c\ncolumns: {AUROC: auroc}\nrows: {ae: model=ae}\n")
    other = scored(1, {}, [0.1, 0.2, 0.8, 0.9])
    other.options["model"] = "vae"
    monkeypatch.setattr(measuring, "_run", lambda *words: ([scored(0, {}, [0.1, 0.2, 0.8, 0.9]), other], "store"))
    with pytest.raises(MriadError, match="more than their seed"):
        next(measuring.measure(Definition.read("t", tmp_path), ["ae"], [], folder=tmp_path, whence=WHENCE))


def test_measured_costs_take_the_place_of_the_old_ones(tmp_path):
    record_costs([("a", ("work 1",)), ("b", ("work 2",)), ("a", ("work 3",))], WHENCE, tmp_path)
    record_costs([("a", ("work 4",))], WHENCE | {"commit": "new"}, tmp_path)
    assert [(line["row"], line["work"], line["commit"]) for line in read_costs(tmp_path)] == [
        ("a", "work 4", "new"), ("b", "work 2", "abc1234"),
    ]  # fmt: skip


def test_the_command_tells_what_it_would_run():
    def type(*words):
        return subprocess.run([sys.executable, "-m", "benchmarks.results", *words], capture_output=True, text=True)

    told = type("nickparvar", "--dry-run", "--row", "pca").stdout.splitlines()
    assert told == [
        f"python train.py -m data=nickparvar data.root=DATA data.labelled_pool=0 data.split.group={group} model=pca"
        for group in ("none data.split.published=true", "auto")
    ]
    refused = type("nickparvar", "--row", "nothing")
    assert refused.returncode == 1 and refused.stderr.startswith("Error: nickparvar has no row 'nothing'")
