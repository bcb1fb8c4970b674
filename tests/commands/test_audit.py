"""``python -m mriad.audit`` typed the way a user does."""

import json
import shutil
from pathlib import Path

import pandas as pd
import pytest
from PIL import Image

from .command_line import Outcome, Terminal

SCRIPT = "mriad/audit/__main__.py"


@pytest.fixture
def leaking(scans: Path, tmp_path: Path) -> Path:
    """The scans, and a copy of each healthy one: drawn one by one, copies stand on both sides of the split."""
    root = Path(shutil.copytree(scans, tmp_path / "scans"))
    for file in sorted((root / "healthy").iterdir()):
        shutil.copy(file, file.with_name(f"copy_{file.name}"))
    return root


def audit(terminal: Terminal, root: Path, *options: str) -> Outcome:
    return terminal.run(SCRIPT, *options, "data=folder", f"data.root={root}", "data.image_size=32", "threads=1")


def test_the_audit_is_printed_and_written_and_leaves_no_run(bare: Terminal, scans: Path) -> None:
    shown = audit(bare, scans).ok()
    (folder,) = (bare.folder / "outputs").glob("*/*")
    assert {file.name for file in folder.glob("audit*.*[!g]")} == {"audit.json", "audit_features.csv"}
    with Image.open(folder / "audit.png") as picture:
        assert min(picture.size) > 300
    record = json.loads((folder / "audit.json").read_text())
    told = " ".join(shown.out.split())
    assert record["verdict"] in told and str(folder) in told.replace(" ", "")
    features = pd.read_csv(folder / "audit_features.csv")
    assert f"{features['auroc'].iloc[0]:.3f}" in record["verdict"]
    assert record["data"] == "folder"
    assert not (bare.folder / "mlflow.db").exists() and not (bare.folder / "mlruns").exists()
    assert shown.err == ""


def test_a_leaking_split_is_told(bare: Terminal, leaking: Path) -> None:
    options = ("data.split.group=none", "data.split.published=true", "data.drop_identical=false")
    shown = audit(bare, leaking, *options).ok()
    (file,) = bare.folder.glob("outputs/*/*/audit.json")
    record = json.loads(file.read_text())
    assert record["level"] == "unsound"
    assert record["near_duplicates"]["clusters"] >= 40
    assert "have a near-duplicate in train" in " ".join(shown.out.split())


def test_everything_tested_is_audited_without_train(bare: Terminal, scans: Path) -> None:
    told = " ".join(audit(bare, scans, "split=all_test").ok().out.split())
    assert "Without any model: AUROC" in told and "nearest train" not in told


def test_bad_input_ends_with_one_sentence(bare: Terminal, tmp_path: Path) -> None:
    audit(bare, tmp_path / "nowhere").sentence("nowhere")
    audit(bare, tmp_path, "split=unheard").sentence("split=unheard is unknown", "grouped")


def test_a_sweep_of_audits_makes_no_parent_run(bare: Terminal, scans: Path) -> None:
    shown = audit(bare, scans, "-m", "split=grouped,all_test").ok()
    assert shown.err == ""
    assert len(list(bare.folder.glob("multirun/*/*/*/audit.json"))) == 2
    assert not (bare.folder / "mlflow.db").exists()
