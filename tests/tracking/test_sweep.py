import pytest
from hydra import compose, initialize_config_dir
from hydra.core.hydra_config import HydraConfig

from mriad.tracking.sweep import PARENT_VARIABLE, job_name, job_options, parent_run, this_job, varied_options
from mriad.tracking.tags import JOB_TAG
from mriad.tracking.tracker import Tracker


@pytest.fixture
def job(tmp_path, monkeypatch):
    """Become a job of Hydra's with some options."""
    (tmp_path / "job.yaml").write_text("number: 0\nresume_sweep: null\n")
    monkeypatch.setenv(PARENT_VARIABLE, "parent")
    monkeypatch.setattr(HydraConfig.instance(), "cfg", None)

    def become(mode, *options):
        with initialize_config_dir(str(tmp_path), version_base="1.3"):
            cfg = compose("job", overrides=[f"+hydra.mode={mode}", *options], return_hydra_config=True)
        HydraConfig.instance().set_config(cfg)

    return become


@pytest.mark.parametrize(("mode", "expected"), [("RUN", (None, None)), ("MULTIRUN", ("parent", "number=3"))])
def test_a_job_has_a_parent_and_a_name_in_a_sweep_only(job, mode, expected):
    job(mode, "number=3", "resume_sweep=other")
    assert (parent_run(), this_job()) == expected


def test_outside_hydra_there_is_no_parent(monkeypatch):
    monkeypatch.setattr(HydraConfig.instance(), "cfg", None)
    monkeypatch.setenv(PARENT_VARIABLE, "stale")
    assert (parent_run(), this_job()) == (None, None)


def test_the_run_of_a_job_carries_its_name(job, tracking_uri):
    job("MULTIRUN", "number=3")
    tracker = Tracker(tracking_uri=tracking_uri)
    with tracker.run(name="mine", tags={}) as run:
        pass
    assert tracker.client.get_run(run.run_id).data.tags[JOB_TAG] == "number=3"


def test_a_name_is_the_same_in_any_order_and_leaves_out_what_is_not_the_jobs():
    assert job_name(["model=vae", "seed=1"]) == job_name(["seed=1", "hydra.launcher.n_jobs=2", "model=vae"])
    assert job_name(["seed=1", "resume_sweep=abc"]) == job_name(["seed=1"]) == "seed=1"
    assert job_name(["seed=1"]) != job_name(["seed=2"])


def test_options_come_back_from_a_name():
    options = ["data.root=a b", "+extra=x=y", "widths=[1,2]"]
    assert job_options(job_name(options)) == {"data.root": "a b", "extra": "x=y", "widths": "[1,2]"}


def test_options_that_differ_are_those_that_vary():
    names = [job_name(["a=1", "b=1"]), job_name(["a=1", "b=2", "c=3"])]
    assert varied_options(names) == ["b", "c"]
    assert varied_options(names[:1]) == []
