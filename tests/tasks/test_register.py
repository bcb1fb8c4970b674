import mlflow
import pytest
from mlflow.pyfunc import PythonModel
from omegaconf import OmegaConf

from mriad.errors import MriadError
from mriad.tasks.register import register
from mriad.tracking.tracker import Tracker


class Twice(PythonModel):
    def predict(self, context, model_input, params=None):
        return model_input * 2


@pytest.fixture
def tracker(tracking_uri):
    return Tracker(tracking_uri=tracking_uri)


@pytest.fixture
def options(tracker):
    """The options of the command, as ``conf/register.yaml`` gives them."""
    logger = {"_target_": "mriad.tracking.tracker.Tracker", "tracking_uri": tracker.tracking_uri}
    return lambda **given: OmegaConf.create({"logger": logger, "run": None, "name": "mriad", "alias": None} | given)


def test_a_training_gets_its_name_and_how_it_is_called_is_told(tracker, options, tmp_path, capsys):
    mlflow.pyfunc.save_model(path=str(tmp_path / "saved"), python_model=Twice(), pip_requirements=["numpy"])
    with tracker.run(name="ae mine", tags={"kind": "training"}) as run:
        run.log_model(tmp_path / "saved")
    register(options(run=run.run_id, alias="champion"))
    told = capsys.readouterr().out
    assert f"version 1 of 'mriad': run {run.run_id} ('ae mine')" in told
    assert "python evaluate.py run=models:/mriad@champion\n" in told
    assert tracker.find("models:/mriad@champion").run_id == run.run_id
    register(options(run="models:/mriad@champion", name="other"))  # by its name as well
    assert "run=models:/other/1\n" in capsys.readouterr().out


def test_an_evaluation_is_no_detector(tracker, options):
    with tracker.run(name="evaluate", tags={"kind": "evaluation", "source_run": "abc"}) as run:
        pass
    with pytest.raises(MriadError, match="is an evaluation; register the training it tests, run=abc"):
        register(options(run=run.run_id))


def test_without_a_run_it_asks_for_one(options):
    with pytest.raises(MriadError, match="Say which detector: run="):
        register(options())
