from pathlib import Path

import optuna
import pytest
from PIL import Image

pytestmark = pytest.mark.slow

SEARCH = ("sweep=search", "model=vae", "model.beta=interval(0.0,0.3)")


def study_of(toy):
    tags = toy.parent().data.tags
    assert tags["study.storage"] == f"sqlite:///{toy.folder}/optuna.db"
    return optuna.load_study(study_name=tags["study"], storage=tags["study.storage"])


def states(toy):
    return [trial.state.name for trial in study_of(toy).trials]


def test_a_search_runs_its_trials_below_one_parent_and_draws_what_mattered(toy):
    code, _ = toy.type(*SEARCH, "sweep.trials=4")
    assert code == 0, toy.said
    study = study_of(toy)
    assert states(toy) == ["COMPLETE"] * 4
    assert [trial.value for trial in study.trials] == pytest.approx(
        [0.5 - t.params["model.beta"] for t in study.trials]
    )
    assert len(toy.children()) == 4 and {run.info.status for run in toy.children()} == {"FINISHED"}
    assert toy.table()["model.beta"].iloc[0] == pytest.approx(study.best_params["model.beta"])
    assert toy.parent().data.metrics["best/val/auroc"] == pytest.approx(study.best_value)
    plots = Path(toy.parent().info.artifact_uri.removeprefix("file://")) / "plots"
    for name in ("parameter_importance", "parallel_coordinates"):
        assert Image.open(plots / f"{name}.png").size > (800, 300)


def test_a_loss_is_minimised_and_seeds_are_averaged(toy):
    toy.type(*SEARCH, "sweep.trials=2", "sweep.seeds=3", "seed=4", "objective=val/loss")
    study = study_of(toy)
    assert study.direction.name == "MINIMIZE"
    assert [trial.value for trial in study.trials] == [6.0, 6.0]  # seeds 4, 5, 6, each a loss of seed + 1
    assert toy.finished_seeds() == [4, 5, 6] * 2
    assert len(toy.children()) == 6


def test_a_trial_that_dies_is_recorded_and_the_search_goes_on(toy):
    code, sentence = toy.type(
        "sweep=search",
        "hydra/launcher=joblib",
        "hydra.launcher.n_jobs=2",
        "sweep.workers=2",
        "model=vae",
        "model.beta=choice(0.5)",
        "sweep.trials=2",
    )
    assert code == 1 and "was killed by SIGKILL" in sentence
    assert states(toy) == ["FAIL", "FAIL"]
    assert all("SIGKILL" in trial.user_attrs["failure"] for trial in study_of(toy).trials)
    assert {run.info.status for run in toy.children()} == {"FAILED"}
    parent = f"resume_sweep={toy.parent().info.run_id}"
    assert toy.type("sweep=search", "model=vae", "model.beta=choice(0.5,0.1)", "sweep.trials=2", parent)[0] == 0
    assert len(states(toy)) == 2  # both count as tried


def test_a_killed_search_goes_on_with_the_trial_it_died_in(toy):
    options = ("sweep=search", "model=vae", "model.beta=interval(0.0,0.3)", "sweep.trials=2", "sweep.seeds=2", "seed=1")
    toy.type(*options)
    parent = f"resume_sweep={toy.parent().info.run_id}"
    more = [option.replace("trials=2", "trials=3") for option in options]
    assert toy.type(*more, parent, DEADLY_SEED="2")[0] == -9
    assert states(toy) == ["COMPLETE", "COMPLETE", "RUNNING"]
    died_in = study_of(toy).trials[2].params
    assert toy.type(*more, parent)[0] == 0
    assert states(toy) == ["COMPLETE", "COMPLETE", "FAIL", "COMPLETE"]
    assert study_of(toy).trials[3].params == died_in
    assert toy.finished_seeds() == [1, 2] * 3  # the seed that had finished in the killed trial was not run again
    assert len(toy.children()) == 6 and {run.info.status for run in toy.children()} == {"FINISHED"}


def test_searches_share_a_study_by_its_name(toy):
    for _ in range(2):
        toy.type(*SEARCH, "sweep.study=ours", "sweep.trials=2")
    study = optuna.load_study(study_name="ours", storage=f"sqlite:///{toy.folder}/optuna.db")
    assert len(study.trials) == 2


@pytest.mark.parametrize(
    ("options", "told"),
    [
        (("sweep.trials=0",), "sweep.trials=0 is no whole number from 1 up"),
        (("sweep.workers=2",), "sweep.workers=2 needs a launcher that runs several jobs at a time"),
        (("sweep.storage=nonsense",), "The studies in nonsense cannot be opened"),
        (("model.beta=0.1",), "This search varies nothing"),
    ],
)
def test_bad_options_end_a_search_before_its_first_trial(toy, options, told):
    code, sentence = toy.type(*SEARCH, *options)
    assert code == 1 and told in sentence
    assert toy.finished_seeds() == []
    assert toy.parent().info.status == "FAILED"


def test_an_objective_without_a_value_is_told(toy):
    assert "objective=val/auroc has no value for these data" in toy.type(*SEARCH, UNLABELLED="1")[1]
    assert toy.finished_seeds() == [0]
