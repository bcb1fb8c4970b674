from pathlib import Path

import pytest

from .command_line import Outcome, Terminal, TrainedRun

pytestmark = pytest.mark.slow

Options = tuple[str, ...]


@pytest.fixture(scope="module")
def mixed(tmp_path_factory: pytest.TempPathFactory, migrated_store: Path, small: Options) -> tuple[Terminal, Outcome]:
    """A sweep whose middle job cannot be trained."""
    terminal = Terminal(tmp_path_factory.mktemp("mixed"), store=migrated_store)
    outcome = terminal.train("-m", *small, "trainer.max_epochs=1", "data.image_size=32,30,40")
    return terminal, outcome


def parent_and_children(terminal: Terminal) -> tuple[TrainedRun, list[TrainedRun]]:
    (parent,) = terminal.runs("sweep")
    return TrainedRun(terminal, parent.info.run_id), [
        TrainedRun(terminal, run.info.run_id) for run in terminal.runs("training")
    ]


def test_every_combination_is_a_child_of_one_parent(terminal: Terminal, small: Options) -> None:
    terminal.train("-m", *small, "trainer.max_epochs=1", "model=ae,vae", "threshold=youden,mean_std").ok()
    parent, children = parent_and_children(terminal)
    assert parent.status == "FINISHED"
    assert [(run.params["model"], run.params["threshold"]) for run in children] == [
        ("ae", "youden"),
        ("ae", "mean_std"),
        ("vae", "youden"),
        ("vae", "mean_std"),
    ]
    assert {run.status for run in children} == {"FINISHED"}
    assert {run.tags["mlflow.parentRunId"] for run in children} == {parent.id}
    assert len({run.output for run in children}) == 4
    assert len({tuple(run.scores["path"]) for run in children}) == 1


def test_a_run_after_a_sweep_has_no_parent(ae: TrainedRun) -> None:
    assert "mlflow.parentRunId" not in ae.tags


def test_a_failing_job_does_not_stop_the_others(mixed: tuple[Terminal, Outcome]) -> None:
    terminal, outcome = mixed
    _, children = parent_and_children(terminal)
    assert [run.status for run in children] == ["FINISHED", "FAILED", "FINISHED"], outcome.out + outcome.err
    assert "data.image_size=30" in children[1].tags["failure"]
    assert all("test/auroc" in run.metrics for run in (children[0], children[2]))


def test_a_sweep_with_a_failure_says_so(mixed: tuple[Terminal, Outcome]) -> None:
    terminal, outcome = mixed
    outcome.sentence("data.image_size=30")
    parent, _ = parent_and_children(terminal)
    assert parent.status == "FAILED"
    assert parent.stored.info.end_time is not None


def test_the_same_command_runs_what_is_missing(mixed: tuple[Terminal, Outcome], small: Options) -> None:
    terminal, _ = mixed
    parent, before = parent_and_children(terminal)
    words = (*small, "trainer.max_epochs=1", "data.image_size=32,40", f"resume_sweep={parent.id}")
    assert "2 of 2 jobs had finished before" in terminal.train("-m", *words).ok().out
    assert [run.id for run in parent_and_children(terminal)[1]] == [run.id for run in before]
    assert parent.status == "FINISHED"
    assert {"sweep.csv"} <= parent.files()
    assert parent.tags["best_run"] in {before[0].id, before[2].id}
    assert "resume_sweep" not in before[0].params


def test_four_jobs_that_start_together_on_nothing_do_not_race(terminal: Terminal, small: Options) -> None:
    parallel = ("hydra/launcher=joblib", "hydra.launcher.n_jobs=4")
    data = [option for option in small if not option.startswith("model.")]
    terminal.train("-m", *parallel, *data, "model=intensity", "threshold=youden,mean_std", "seed=0,1").ok()
    parent, children = parent_and_children(terminal)
    assert parent.status == "FINISHED"
    assert [run.status for run in children] == ["FINISHED"] * 4
    assert {run.tags["mlflow.parentRunId"] for run in children} == {parent.id}
    assert len({run.output for run in children}) == 4
    assert len({tuple(run.scores["path"]) for run in children}) == 1
    assert len({run.stored.info.experiment_id for run in children}) == 1
    assert len(list((terminal.folder / "cache" / "slices").glob("*/pack-*/facts.parquet"))) == 1
    places = {path.name for path in terminal.folder.iterdir() if not path.name.startswith((".", "mlflow.db"))}
    assert places == {"cache", "mlartifacts", "multirun"}


def test_an_unknown_option_ends_a_sweep_before_its_first_job(terminal: Terminal, small: Options) -> None:
    terminal.train("-m", *small, "model=ae,resnet").sentence("model=resnet is unknown")
    assert all(run.info.status != "RUNNING" for run in terminal.runs())


def test_a_sweep_without_a_server_ends_before_any_work(terminal: Terminal, small: Options) -> None:
    outcome = terminal.train("-m", *small, "seed=0,1", MLFLOW_TRACKING_URI="http://127.0.0.1:9")
    outcome.sentence("The MLflow server at http://127.0.0.1:9 does not answer")
    assert not (terminal.folder / "cache").exists()


def test_ctrl_c_ends_a_sweep_and_closes_its_parent(terminal: Terminal, small: Options) -> None:
    command = terminal.start(
        "train.py", "-m", *small, "seed=0,1", "trainer.max_epochs=100000", "callbacks.early_stopping=null", "threads=1"
    )
    command.wait_for(lambda: terminal.epochs_logged() >= 1)
    command.interrupt()
    outcome = command.wait()
    parent, children = parent_and_children(terminal)
    assert outcome.code == 130, outcome
    assert [run.status for run in children] == ["KILLED"]
    assert parent.status != "RUNNING" and parent.stored.info.end_time is not None
