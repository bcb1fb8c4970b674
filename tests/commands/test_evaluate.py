import shutil
import zipfile
from pathlib import Path

import numpy as np
import pandas as pd
import pytest
import torch

from mriad.tracking.registry import register
from mriad.tracking.tracker import Tracker

from .brains import brain, save, write_scans
from .command_line import Outcome, Terminal, TrainedRun


def evaluation(terminal: Terminal, *options: str) -> TrainedRun:
    terminal.evaluate(*options).ok()
    return terminal.newest("evaluation")


def val_scores(run: TrainedRun) -> pd.DataFrame:
    record = torch.load(run.checkpoint, weights_only=True)["mriad"]["calibration"]
    return pd.DataFrame(record["val_scores"])


@pytest.fixture(scope="module")
def same(bench: Terminal, ae: TrainedRun) -> TrainedRun:
    """The run's own test again."""
    return evaluation(bench, f"run={ae.id}")


def test_own_test_again_gives_the_same_numbers(same: TrainedRun, ae: TrainedRun) -> None:
    assert same.test_metrics == ae.test_metrics
    assert same.metrics["threshold"] == ae.metrics["threshold"]
    pd.testing.assert_frame_equal(same.scores, ae.scores, check_exact=True)


def test_an_evaluation_is_a_run_of_its_own_below_the_training(same: TrainedRun, ae: TrainedRun) -> None:
    assert same.id != ae.id
    assert same.status == "FINISHED"
    assert same.tags["source_run"] == same.tags["mlflow.parentRunId"] == ae.id
    assert {"scores.parquet", "split.csv", "environment.json", "plots/roc.png", "plots/gallery.png"} <= same.files()
    assert ae.status == "FINISHED"


def test_vae_own_test_again_gives_the_same_numbers_by_its_name(bench: Terminal, vae: TrainedRun) -> None:
    tracker = Tracker(tracking_uri=f"sqlite:///{bench.folder / 'mlflow.db'}")
    register(tracker.client, tracker.find(vae.id), name="vaes", alias="champion")
    tested = evaluation(bench, "run=models:/vaes@champion")
    assert tested.test_metrics == vae.test_metrics
    assert tested.tags["source_run"] == vae.id
    report = (tested.artifacts / "report.html").read_text()
    assert f"python evaluate.py run={vae.id}" in report and "models:/" not in report


@pytest.mark.parametrize("q", [0.5, 0.95])
def test_another_rule_is_fitted_on_the_stored_val_scores(bench: Terminal, ae: TrainedRun, q: float) -> None:
    run = evaluation(bench, f"run={ae.id}", "threshold=quantile", f"threshold.q={q}")
    val = val_scores(ae)
    assert run.metrics["threshold"] == np.quantile(val["score"][val["label"] == 0], q)
    pd.testing.assert_series_equal(run.scores["score"], ae.scores["score"], check_exact=True)
    assert run.metrics["test/auroc"] == ae.metrics["test/auroc"]
    assert list(run.scores["decision"]) == list((run.scores["score"] > run.metrics["threshold"]).astype(int))


def test_a_fixed_threshold_decides(bench: Terminal, ae: TrainedRun) -> None:
    run = evaluation(bench, f"run={ae.id}", "threshold=fixed", "threshold.value=-1")
    assert run.metrics["threshold"] == -1
    assert run.metrics["test/recall"] == 1 and run.metrics["test/specificity"] == 0


def roles(run: TrainedRun) -> pd.Series:
    return pd.read_csv(run.artifacts / "split.csv").set_index("path")["role"]


def test_other_data_is_tested_with_the_stored_threshold_but_for_what_was_seen(
    bench: Terminal, ae: TrainedRun, tmp_path: Path
) -> None:
    other = write_scans(tmp_path / "other", healthy=40, anomalous=5)  # the same files as the training's
    save(other / "healthy" / "new.png", brain(777))
    run = evaluation(bench, f"run={ae.id}", "data=folder", f"data.root={other}", "split=all_test")
    role_of = roles(ae)
    unseen = {path for path in role_of.index[role_of == "test"] if (other / path).exists()}
    assert set(run.scores["path"]) == unseen | {"healthy/new.png"}
    assert set(run.scores["role"]) == {"test"}
    assert run.metrics["threshold"] == ae.metrics["threshold"]
    known = ae.scores.set_index("path")["score"]
    shared = run.scores[run.scores["path"].isin(known.index)]
    assert list(shared["score"]) == pytest.approx(list(known[shared["path"]]), abs=1e-6)  # prepared as in training
    dropped = 46 - len(run.scores)
    assert run.metrics["test/overlap_dropped"] == dropped > 20
    assert run.tags["overlap"] == f"{dropped} of 46 test scans dropped: {dropped} are files that it has seen"
    assert run.metrics["test/overlap_dropped_content"] == dropped


def test_other_data_that_was_all_seen_is_refused(bench: Terminal, ae: TrainedRun, scans: Path, tmp_path: Path) -> None:
    role_of = roles(ae)
    for path in role_of.index[role_of == "train"][:6]:
        (tmp_path / "seen" / path).parent.mkdir(parents=True, exist_ok=True)
        shutil.copy(scans / path, tmp_path / "seen" / path)
    outcome = bench.evaluate(f"run={ae.id}", "data=folder", f"data.root={tmp_path / 'seen'}", "split=all_test")
    assert outcome.code == 1
    assert "All 6 test scans of 'folder' are known from what the detector was trained or calibrated on" in outcome.err
    assert "(6 are files that it has seen)" in outcome.err


def test_the_roles_of_the_training_are_kept_whatever_the_data_holds_now(
    bench: Terminal, ae: TrainedRun, scans: Path, tmp_path: Path
) -> None:
    shutil.copytree(scans, tmp_path / "grown")
    save(tmp_path / "grown" / "healthy" / "a.png", brain(778))
    run = evaluation(bench, f"run={ae.id}", f"data.root={tmp_path / 'grown'}")
    assert roles(run).sort_index().equals(roles(ae).sort_index())
    assert run.test_metrics == ae.test_metrics


def test_other_data_without_healthy_scans_will_do(bench: Terminal, ae: TrainedRun, tmp_path: Path) -> None:
    sick = write_scans(tmp_path / "sick", healthy=0, anomalous=6)
    run = evaluation(bench, f"run={ae.id}", "data=folder", f"data.root={sick}", "split=all_test")
    assert run.status == "FINISHED"
    assert run.metrics["test/recall"] == run.scores["decision"].mean()
    assert "test/auroc" not in run.metrics and "plots/roc.png" not in run.files()


def test_other_data_without_masks_has_no_pixel_metrics(bench: Terminal, ae: TrainedRun, tmp_path: Path) -> None:
    plain = write_scans(tmp_path / "plain", healthy=5, anomalous=5, masks=False)
    run = evaluation(bench, f"run={ae.id}", "data=folder", f"data.root={plain}", "split=all_test")
    assert "test/auroc" in run.metrics
    assert not [name for name in run.metrics if "pixel" in name or "dice" in name]


def test_a_checkpoint_is_enough_in_an_empty_store(terminal: Terminal, ae: TrainedRun) -> None:
    run = evaluation(terminal, f"checkpoint={ae.checkpoint}")
    assert run.test_metrics == ae.test_metrics
    assert run.tags["source_run"] == ae.id and "mlflow.parentRunId" not in run.tags
    assert len(terminal.runs()) == 1


def test_a_checkpoint_finds_its_run_in_its_own_store(bench: Terminal, ae: TrainedRun) -> None:
    assert evaluation(bench, f"checkpoint={ae.checkpoint}").tags["source_run"] == ae.id


def test_data_that_has_moved_is_found_by_its_new_root(
    bench: Terminal, ae: TrainedRun, scans: Path, tmp_path: Path
) -> None:
    moved = tmp_path / "moved here, 2 (new)"
    shutil.copytree(scans, moved)
    run = evaluation(bench, f"run={ae.id}", f'data.root="{moved}"')
    assert run.test_metrics == ae.test_metrics


def test_scans_are_known_by_content_whatever_they_are_called_now(
    bench: Terminal, ae: TrainedRun, scans: Path, tmp_path: Path
) -> None:
    renamed = tmp_path / "renamed"
    for number, file in enumerate(sorted(scans.rglob("*.png"), reverse=True)):
        here = file.relative_to(scans)
        new = here.with_name(f"n{file.stem}.png") if here.parts[0] != "healthy" else Path(f"healthy/h{number:02}.png")
        (renamed / new).parent.mkdir(parents=True, exist_ok=True)
        shutil.copy(file, renamed / new)
    changed = next(path for path, role in roles(ae).items() if role == "test" and path.startswith("tumour"))
    save(renamed / "tumour" / f"n{Path(changed).stem}.png", brain(779))
    run = evaluation(bench, f"run={ae.id}", f"data.root={renamed}")
    before = ae.scores[ae.scores["path"] != changed]
    assert sorted(run.scores["score"]) == pytest.approx(sorted(before["score"]), abs=1e-6)


@pytest.fixture(scope="module")
def of_patients(bench: Terminal, scans: Path, tmp_path_factory: pytest.TempPathFactory) -> tuple[TrainedRun, Path]:
    """A training on scans whose names and patients are easy to find again, and the folder of them."""
    root = tmp_path_factory.mktemp("patients")
    lines = ["path,label,patient"]
    for number, file in enumerate(sorted(scans.glob("*/[ht]*.png"))):
        name = f"Quixote-{number}.png"
        shutil.copy(file, root / name)
        lines.append(f"{name},{int(file.stem[0] == 't')},Dulcinea{number:02}")
    (root / "scans.csv").write_text("\n".join(lines))
    options = ("data=folder", f"data.root={root}", "data.layout.manifest=scans.csv", "data.image_size=32")
    bench.train(*options, "model=pca", "model.n_components=4").ok()
    return bench.newest("training"), root


def test_a_checkpoint_names_no_patient_and_no_scan(of_patients: tuple[TrainedRun, Path]) -> None:
    run, _ = of_patients
    with zipfile.ZipFile(run.checkpoint) as parts:
        everything = b"".join(parts.read(part) for part in parts.namelist())
    assert b"scans.csv" in everything  # what was typed stays
    assert b"Quixote" not in everything and b"Dulcinea" not in everything
    split = pd.read_csv(run.artifacts / "split.csv")
    assert not [content for content in split["content"] if content.encode() in everything]


@pytest.mark.parametrize(("patients", "left"), [("same", 1), ("unrelated", 2)])
def test_a_patient_of_the_training_is_known_in_other_data(
    bench: Terminal, of_patients: tuple[TrainedRun, Path], tmp_path: Path, patients: str, left: int
) -> None:
    run, _ = of_patients
    split = pd.read_csv(run.artifacts / "split.csv")
    trained = split["group"][split["role"] == "train"].iat[0].removeprefix("patient:")
    for number, name in enumerate(("other.png", "new.png")):
        save(tmp_path / name, brain(800 + number))
    (tmp_path / "scans.csv").write_text(f"path,label,patient\nother.png,0,{trained}\nnew.png,0,Sancho\n")
    options = ("data=folder", f"data.root={tmp_path}", "data.layout.manifest=scans.csv", "split=all_test")
    found = evaluation(bench, f"run={run.id}", *options, f"patients={patients}")
    assert len(found.scores) == left
    assert found.metrics["test/overlap_dropped_patient"] == 2 - left


def test_what_patients_can_be_is_told(bench: Terminal, ae: TrainedRun) -> None:
    bench.evaluate(f"run={ae.id}", "patients=strangers").sentence("patients=strangers", "choose same, or unrelated")
    bench.evaluate(f"run={ae.id}", "patients=unrelated").sentence("goes with data=<another data set>")


def test_a_sweep_over_thresholds_makes_an_evaluation_each(bench: Terminal, ae: TrainedRun) -> None:
    before = len(bench.runs("evaluation"))
    outcome: Outcome = bench.evaluate("-m", f"run={ae.id}", "threshold=mean_std,quantile").ok()
    new = bench.runs("evaluation")[before:]
    assert [run.info.status for run in new] == ["FINISHED"] * 2, outcome.out
    assert len({run.data.metrics["threshold"] for run in new}) == 2
    assert {run.data.tags["source_run"] for run in new} == {ae.id}
