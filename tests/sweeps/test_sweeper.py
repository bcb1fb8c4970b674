import pytest

pytestmark = pytest.mark.slow


def test_the_jobs_of_a_sweep_have_one_parent_that_finishes(toy):
    assert toy.type("-m", "model=ae", "seed=1,2") == (0, "")
    parent = toy.parent()
    assert (parent.info.status, parent.info.run_name) == ("FINISHED", "sweep seed=1,2")
    assert parent.data.tags["overrides"] == "model=ae seed=1,2"
    assert toy.statuses() == [("seed=1", "FINISHED"), ("seed=2", "FINISHED")]


def test_a_failed_job_is_marked_and_the_others_go_on(toy):
    code, sentence = toy.type("-m", "seed=1,13,15,2")
    assert code == 1
    assert "2 of 4 jobs failed: seed=13 (ValueError: unlucky); seed=15 (seed=15 is refused; take another)" in sentence
    assert sentence.endswith(f"resume_sweep={toy.parent().info.run_id} runs only what is missing.")
    assert toy.statuses() == [
        ("seed=1", "FINISHED"),
        ("seed=13", "FAILED"),
        ("seed=15", "FAILED"),
        ("seed=2", "FINISHED"),
    ]
    failures = {run.data.tags["sweep.job"]: run.data.tags.get("failure") for run in toy.children()}
    assert failures["seed=13"] == "ValueError: unlucky"
    assert failures["seed=15"] == "seed=15 is refused; take another."
    assert toy.parent().info.status == "FAILED"


def test_many_failures_are_all_printed(toy):
    _, sentence = toy.type("-m", "model=ae", "threshold=youden,mean_std,max_f1,quantile", "seed=15")
    assert "4 of 4 jobs failed" in sentence and "and 1 more, listed above" in sentence
    for rule in ("youden", "mean_std", "max_f1", "quantile"):
        assert f"  threshold={rule} (seed=15 is refused; take another)" in toy.said.splitlines()


def test_a_resumed_sweep_runs_only_what_is_missing(toy):
    toy.type("-m", "seed=1,13,2")
    parent = toy.parent().info.run_id
    before = {run.info.run_id: run.info.status for run in toy.children()}
    code, _ = toy.type("-m", "seed=1,13,2", f"resume_sweep={parent}", HEALED="1")
    assert code == 0
    assert "2 of 3 jobs had finished before" in toy.said
    assert toy.finished_seeds() == [1, 2, 13]
    assert toy.statuses() == [("seed=1", "FINISHED"), ("seed=13", "FINISHED"), ("seed=2", "FINISHED")]
    assert {run_id for run_id, status in before.items() if status == "FINISHED"} < {
        run.info.run_id for run in toy.children()
    }
    assert (toy.parent().info.run_id, toy.parent().info.status) == (parent, "FINISHED")
    assert "failure" not in toy.parent().data.tags
    (failed,) = [run for run_id, status in before.items() if status == "FAILED" for run in [toy.client.get_run(run_id)]]
    assert failed.data.tags["sweep.earlier_attempt_of"] == parent
    assert len(toy.table()) == 3


def test_a_sweep_that_was_killed_goes_on(toy):
    assert toy.type("-m", "seed=1,14,2")[0] == -9
    assert toy.statuses() == [("seed=1", "FINISHED"), ("seed=14", "RUNNING")]
    (killed,) = [run for run in toy.children() if run.info.status == "RUNNING"]
    toy.type("-m", "seed=1,14,2", f"resume_sweep={toy.parent().info.run_id}", HEALED="1")
    assert toy.finished_seeds() == [1, 14, 2]
    assert {status for _, status in toy.statuses()} == {"FINISHED"}
    assert toy.client.get_run(killed.info.run_id).info.status == "KILLED"


def test_what_is_no_sweep_is_not_resumed(toy):
    toy.type("seed=1")
    (single,) = toy.runs()
    assert (
        "is no sweep but a run of another kind" in toy.type("-m", "seed=1,2", f"resume_sweep={single.info.run_id}")[1]
    )
    assert "There is no run 'nothing'" in toy.type("-m", "seed=1,2", "resume_sweep=nothing")[1]
    assert toy.finished_seeds() == [1]


def test_resume_sweep_without_a_sweep_is_refused(toy):
    assert "add -m" in toy.type("seed=1", "resume_sweep=nothing")[1]


@pytest.mark.parametrize(("objective", "best"), [("val/auroc", 2), ("val/loss", 1)])
def test_the_parent_tells_of_its_children_best_first(toy, objective, best):
    toy.type("-m", "model=ae", "seed=1,13,2", f"objective={objective}")
    parent, table = toy.parent(), toy.table()
    assert list(table["seed"]) == [best, 3 - best, 13]
    assert list(table["status"]) == ["FINISHED", "FINISHED", "FAILED"]
    assert table["failure"].iloc[2] == "ValueError: unlucky"
    assert "model" not in table
    best_run = next(run for run in toy.children() if run.data.tags["sweep.job"].endswith(f"seed={best}"))
    assert parent.data.tags["best_run"] == best_run.info.run_id == table["run_id"].iloc[0]
    assert parent.data.metrics == {f"best/{objective}": best_run.data.metrics[objective]}
    link = f"[seed {best}](#/experiments/{parent.info.experiment_id}/runs/{best_run.info.run_id})"
    page = parent.data.tags["mlflow.note.content"]
    assert page.startswith(f"Best `{objective}`:") and page.count(link) == 2


def test_a_sweep_without_a_server_ends_before_its_first_job(toy):
    code, sentence = toy.type("-m", "seed=1,2", MLFLOW_TRACKING_URI="http://127.0.0.1:9")
    assert code == 1 and "http://127.0.0.1:9 does not answer" in sentence
    assert toy.finished_seeds() == []
