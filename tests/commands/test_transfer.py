"""A threshold and weights that travel: evaluate.py calibrate=healthy, train.py init=RUN_ID, and the test of drift."""

import shutil
from pathlib import Path

import numpy as np
import pandas as pd
import pytest
import torch

from mriad.checkpoints.checkpoint import Checkpoint
from mriad.thresholds import Conformal
from mriad.thresholds.conformal import rate_interval

from .brains import brain, lesion, save
from .command_line import Outcome, Terminal, TrainedRun


def write_site(root: Path, *, healthy: int = 50, anomalous: int = 6) -> Path:
    """Scans of another source: other people, darker, and each with a bright bar across the head."""
    for number in range(healthy + anomalous):
        sick = number >= healthy
        pixels = (lesion(3000 + number)[0] if sick else brain(3000 + number)) // 5 * 2
        pixels[18:30, 18:46] = 255
        save(root / ("tumour" if sick else "healthy") / f"{number:02}.png", pixels)
    return root


@pytest.fixture(scope="module")
def site(tmp_path_factory: pytest.TempPathFactory) -> Path:
    return write_site(tmp_path_factory.mktemp("site"))


def elsewhere(site: Path) -> tuple[str, ...]:
    return ("data=folder", f"data.root={site}", "split=all_test")


def one_line(outcome: Outcome) -> str:
    return " ".join(outcome.out.split())


@pytest.fixture(scope="module")
def untouched(bench: Terminal, ae: TrainedRun, site: Path) -> tuple[TrainedRun, Outcome]:
    """The site tested with the threshold of val."""
    outcome = bench.evaluate(f"run={ae.id}", *elsewhere(site)).ok()
    return bench.newest("evaluation"), outcome


@pytest.fixture(scope="module")
def recalibrated(bench: Terminal, ae: TrainedRun, site: Path) -> tuple[TrainedRun, Outcome]:
    """The site tested with a threshold that 20 of its healthy scans gave."""
    outcome = bench.evaluate(f"run={ae.id}", *elsewhere(site), "calibrate=healthy").ok()
    return bench.newest("evaluation"), outcome


def test_drift_is_warned_of_in_terminal_report_and_metrics(untouched: tuple[TrainedRun, Outcome]) -> None:
    run, outcome = untouched
    assert run.metrics["test/drift_p_value"] < 0.01
    told = f"D = {run.metrics['test/drift_statistic']:.2f}"
    assert "Warning: Scores of the 50 healthy test scans lie off those of the 4 of val" in one_line(outcome)
    assert told in one_line(outcome)
    report = (run.artifacts / "report.html").read_text()
    assert "lie off those of the 4 of val" in report and told in report


def test_the_threshold_is_that_of_the_scans_that_left_the_test(
    recalibrated: tuple[TrainedRun, Outcome], untouched: tuple[TrainedRun, Outcome]
) -> None:
    run, _ = recalibrated
    before = untouched[0].scores.set_index("path")
    split = pd.read_csv(run.artifacts / "split.csv").set_index("path")
    drawn = split.index[split["role"] == "val"]
    assert len(drawn) == 20 and (split.loc[drawn, "label"] == 0).all()
    assert set(run.scores["path"]) == set(before.index) - set(drawn)
    assert not set(split.loc[drawn, "group"]) & set(split["group"][split["role"] == "test"])
    rule = Conformal(alpha=0.05).fit(before.loc[drawn, "score"].to_numpy(), np.zeros(20, dtype=int))
    assert run.metrics["threshold"] == pytest.approx(rule.threshold_, abs=1e-9)
    same = run.scores.set_index("path")
    assert same["score"].to_numpy() == pytest.approx(before.loc[same.index, "score"].to_numpy(), abs=1e-9)
    assert run.params["threshold"] == "conformal"
    assert (run.params["calibrate"], run.params["calibrate_scans"]) == ("healthy", "20")


def test_what_is_promised_is_told_and_logged(recalibrated: tuple[TrainedRun, Outcome]) -> None:
    run, outcome = recalibrated
    low, high = rate_interval(0.05, 20)
    assert run.metrics["calibration/false_positive_rate_promised"] == 0.05
    assert run.metrics["calibration/false_positive_rate_promised_low"] == pytest.approx(low)
    assert run.metrics["calibration/false_positive_rate_promised_high"] == pytest.approx(high)
    assert "val/false_positive_rate" not in run.metrics and "test/drift_p_value" not in run.metrics
    report = " ".join((run.artifacts / "report.html").read_text().split())
    for text in (one_line(outcome), report):
        assert "Recalibrated on 20 healthy scans of folder" in text
        assert f"a rate of {100 * low:.1f} % to {100 * high:.1f} %" in text
        assert "no rate below 4.8 %" in text and "Nothing is promised of the sensitivity" in text


def test_the_evaluation_predicts_with_its_threshold(
    bench: Terminal, recalibrated: tuple[TrainedRun, Outcome], site: Path, ae: TrainedRun
) -> None:
    run, outcome = recalibrated
    assert f"predict.py run={run.id} input=<folder>" in outcome.out
    bench.predict(f"run={run.id}", f"input={site}", f"output={bench.folder / 'there'}").ok()
    table = pd.read_csv(bench.folder / "there" / "predictions.csv")
    assert table["threshold"].to_numpy() == pytest.approx(run.metrics["threshold"])
    scores = run.scores.assign(path=[str(site / path) for path in run.scores["path"]]).set_index("path")
    by_path = table.set_index("path").loc[scores.index]
    assert by_path["score"].to_numpy() == pytest.approx(scores["score"].to_numpy(), abs=1e-6)
    assert by_path["decision"].tolist() == scores["decision"].tolist()
    own = Checkpoint.load(ae.checkpoint).require_calibration()
    stored = Checkpoint.load(run.artifacts / "checkpoint" / "recalibrated.ckpt").require_calibration()
    assert stored.pixel_threshold != own.pixel_threshold and own.fitted_on == "val"


def test_what_has_calibrated_is_not_tested_by_the_new_detector(
    bench: Terminal, recalibrated: tuple[TrainedRun, Outcome], site: Path
) -> None:
    run, _ = recalibrated
    bench.evaluate(f"run={run.id}", *elsewhere(site)).ok()
    again = bench.newest("evaluation")
    assert set(again.scores["path"]) == set(run.scores["path"])
    assert again.metrics["test/overlap_dropped_content"] == 20
    assert again.metrics["threshold"] == run.metrics["threshold"]
    assert again.metrics["test/drift_p_value"] > 0.01  # the scans that have calibrated are of the same source


def test_another_draw_calibrates_on_other_scans(
    bench: Terminal, ae: TrainedRun, recalibrated: tuple[TrainedRun, Outcome], site: Path
) -> None:
    options = ("calibrate=healthy", "calibrate_seed=1", "threshold=quantile", "threshold.q=0.9")
    outcome = bench.evaluate(f"run={ae.id}", *elsewhere(site), *options).ok()
    run = bench.newest("evaluation")
    assert set(run.scores["path"]) != set(recalibrated[0].scores["path"])
    assert "the rule quantile guarantees no false positive rate" in one_line(outcome)


def test_predictions_that_lie_off_are_warned_of(bench: Terminal, ae: TrainedRun, site: Path) -> None:
    outcome = bench.predict(f"run={ae.id}", f"input={site}", f"output={bench.folder / 'off'}").ok()
    told = " ".join((outcome.out + outcome.err).split())
    assert "The scores of these scans lie off those of the healthy scans" in told
    assert "56 scores, one of each patient that is known, against 4 of val" in told
    few = bench.predict(f"run={ae.id}", f"input={site / 'tumour'}", f"output={bench.folder / 'few'}").ok()
    assert "lie off" not in few.out + few.err  # six scans are too few


@pytest.mark.parametrize(
    ("options", "words"),
    [
        (("calibrate=healthy", "calibrate_scans=5"), "needs 19 independent healthy scans in the calibration"),
        (
            ("calibrate=healthy", "calibrate_scans=5"),
            "raise threshold.alpha to 0.1667 or more, or raise calibrate_scans",
        ),
        (("calibrate=healthy", "calibrate_scans=60"), "50 healthy scans of 50 patients"),
        (("calibrate=healthy", "threshold=youden"), "threshold=youden needs anomalous scans, and calibrate=healthy"),
        (("calibrate=sick",), "calibrate=sick is unknown"),
        (("calibrate=healthy", "calibrate_scans=0"), "calibrate_scans=0 is no whole number from 1 up"),
        (("calibrate_scans=30",), "calibrate_scans=30 goes with calibrate=healthy"),
    ],
)
def test_what_cannot_be_calibrated_is_said(
    bench: Terminal, ae: TrainedRun, site: Path, options: tuple[str, ...], words: str
) -> None:
    bench.evaluate(f"run={ae.id}", *elsewhere(site), *options).sentence(words)


def test_own_data_are_not_calibrated_again(bench: Terminal, ae: TrainedRun) -> None:
    bench.evaluate(f"run={ae.id}", "calibrate=healthy").sentence("goes with data=<another data set>")


def test_five_scans_calibrate_for_a_rate_that_they_can_promise(bench: Terminal, ae: TrainedRun, site: Path) -> None:
    options = ("calibrate=healthy", "calibrate_scans=5", "threshold=conformal", "threshold.alpha=0.2")
    bench.evaluate(f"run={ae.id}", *elsewhere(site), *options).ok()
    assert bench.newest("evaluation").metrics["calibration/false_positive_rate_promised"] == 0.2


def test_a_site_without_healthy_scans_is_told(bench: Terminal, ae: TrainedRun, tmp_path: Path) -> None:
    sick = write_site(tmp_path / "sick", healthy=0, anomalous=8)
    options = elsewhere(sick)
    bench.evaluate(f"run={ae.id}", *options, "calibrate=healthy").sentence("0 healthy scans", "give data with healthy")
    outcome = bench.evaluate(f"run={ae.id}", *options).ok()
    assert "Scores of the 8 anomalous test scans" in one_line(outcome)


def test_an_evaluation_without_a_detector_of_its_own_is_told(
    bench: Terminal, untouched: tuple[TrainedRun, Outcome], ae: TrainedRun, site: Path
) -> None:
    outcome = bench.predict(f"run={untouched[0].id}", f"input={site}")
    outcome.sentence("is an evaluation and has no detector of its own", f"run={ae.id}")


# weights that travel


@pytest.fixture(scope="module")
def tuned(bench: Terminal, ae: TrainedRun, small: tuple[str, ...], site: Path) -> tuple[TrainedRun, Outcome]:
    """Trained at the site from the weights of the autoencoder, for no step that would change them."""
    options = [f"data.root={site}" if option.startswith("data.root") else option for option in small]
    still = ("model.optimizer.lr=0", "logger.log_model=false")
    outcome = bench.train(*options, "model=ae", f"init={ae.id}", *still).ok()
    return bench.newest("training"), outcome


def test_a_training_starts_from_the_weights_of_another(tuned: tuple[TrainedRun, Outcome], ae: TrainedRun) -> None:
    run, _ = tuned
    first, second = (torch.load(one.checkpoint, weights_only=True)["state_dict"] for one in (ae, run))
    learned = [name for name, value in first.items() if value.is_floating_point() and "running" not in name]
    assert learned and all(torch.equal(first[name], second[name]) for name in learned)
    assert run.tags["init"] == run.params["init"] == ae.id
    assert run.params["started_from"].startswith("ae folder ")
    assert "from ae folder" in run.stored.info.run_name


def test_its_scans_and_those_of_before_stay_known(tuned: tuple[TrainedRun, Outcome], ae: TrainedRun) -> None:
    before, after = Checkpoint.load(ae.checkpoint), Checkpoint.load(tuned[0].checkpoint)
    assert set(before.seen["content"]) <= set(after.known["content"])
    assert not set(before.seen["content"]) & set(after.seen["content"])
    assert after.calibration.threshold != before.calibration.threshold


def test_the_data_of_before_are_not_tested(
    bench: Terminal, tuned: tuple[TrainedRun, Outcome], ae: TrainedRun, scans: Path
) -> None:
    bench.evaluate(f"run={tuned[0].id}", "data=folder", f"data.root={scans}", "split=all_test").ok()
    tested = set(bench.newest("evaluation").scores["path"])
    role_of = pd.read_csv(ae.artifacts / "split.csv").set_index("path")["role"]
    assert tested == set(role_of.index[role_of == "test"])


def test_the_same_data_and_split_keep_val_and_test(bench: Terminal, ae: TrainedRun, small: tuple[str, ...]) -> None:
    bench.train(*small, "model=ae", f"init={ae.checkpoint}", "logger.log_model=false").ok()
    run = bench.newest("training")
    roles = [pd.read_csv(one.artifacts / "split.csv")[["path", "role"]] for one in (run, ae)]
    pd.testing.assert_frame_equal(*roles)
    assert run.metrics["val/overlap_dropped"] == run.metrics["test/overlap_dropped"] == 0
    assert run.tags["init"] == str(ae.checkpoint)


def test_another_split_of_the_same_data_tests_nothing_that_has_trained(
    bench: Terminal, ae: TrainedRun, small: tuple[str, ...]
) -> None:
    bench.train(*small, "model=ae", f"init={ae.id}", "data.split.seed=3", "logger.log_model=false").ok()
    run = bench.newest("training")
    before = pd.read_csv(ae.artifacts / "split.csv").set_index("path")["role"]
    after = pd.read_csv(run.artifacts / "split.csv").set_index("path")["role"]
    assert set(before[after.index[after == "test"]]) == {"test"}
    assert "train" not in set(before[after.index[after == "val"]])
    assert run.metrics["test/overlap_dropped"] > 0 and run.metrics["val/overlap_dropped"] > 0


def test_scans_that_have_moved_keep_their_roles_and_new_healthy_ones_train(
    bench: Terminal, ae: TrainedRun, small: tuple[str, ...], scans: Path, tmp_path: Path
) -> None:
    shutil.copytree(scans, tmp_path / "moved")
    save(tmp_path / "moved" / "healthy" / "new.png", brain(4711))
    save(tmp_path / "moved" / "tumour" / "new.png", lesion(4711)[0])
    options = [f"data.root={tmp_path}/moved" if option.startswith("data.root") else option for option in small]
    bench.train(*options, "model=ae", f"init={ae.id}", "split=from_init", "logger.log_model=false").ok()
    run = bench.newest("training")
    before, after = (pd.read_csv(one.artifacts / "split.csv").set_index("content")["role"] for one in (ae, run))
    assert before.to_dict().items() <= after.to_dict().items()
    assert list(after[~after.index.isin(before.index)]) == ["train"]  # nothing says where the other's lesion is
    assert run.metrics["val/overlap_dropped"] == run.metrics["test/overlap_dropped"] == 0
    bench.evaluate(f"run={run.id}", f"data.root={tmp_path}/moved").ok()
    assert bench.newest("evaluation").test_metrics["test/auroc"] == run.metrics["test/auroc"]


def test_roles_of_another_detector_need_one(bench: Terminal, small: tuple[str, ...]) -> None:
    bench.train(*small, "model=ae", "split=from_init").sentence("there is no init; set init=RUN_ID")


@pytest.mark.parametrize(
    ("options", "words"),
    [
        (("model=pca",), "model=pca is fitted in one pass"),
        (("model=intensity",), "model=intensity is fitted in one pass"),
        (("model=vae",), "set model=ae"),
        (("model=ae", "model.network.latent_dim=8"), "there and"),
        (("model=ae", "data.image_size=64"), "there and"),
    ],
)
def test_weights_that_do_not_fit_are_refused(
    bench: Terminal, ae: TrainedRun, small: tuple[str, ...], options: tuple[str, ...], words: str
) -> None:
    plain = [option for option in small if "latent_dim" not in option]
    given = [*plain, "model.network.latent_dim=16"] if options[-1] in ("model=vae", "data.image_size=64") else plain
    bench.train(*given, *options, f"init={ae.id}").sentence(words)


def test_what_is_not_there_gives_no_weights(bench: Terminal, small: tuple[str, ...]) -> None:
    bench.train(*small, "model=ae", "init=nothing").sentence("There is no run 'nothing'")
    bench.train(*small, "model=ae", "init=nothing.ckpt").sentence("There is no checkpoint at nothing.ckpt")
    bench.train(*small, "model=ae", "init=models:/nobody@champion").sentence("models:/nobody@champion")


def test_weights_are_not_given_twice(bench: Terminal, ae: TrainedRun) -> None:
    bench.train(f"resume={ae.id}", f"init={ae.id}").sentence("cannot be given where a training goes on")
