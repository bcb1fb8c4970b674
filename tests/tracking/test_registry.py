import mlflow
import pytest
from mlflow.pyfunc import PythonModel

from mriad.errors import MriadError
from mriad.tracking.registry import register
from mriad.tracking.tracker import Tracker


class Twice(PythonModel):
    def predict(self, context, model_input, params=None):
        return model_input * 2


@pytest.fixture
def tracker(tracking_uri):
    return Tracker(tracking_uri=tracking_uri)


@pytest.fixture(scope="module")
def saved(tmp_path_factory):
    """An MLflow model in a folder."""
    folder = tmp_path_factory.mktemp("model") / "saved"
    mlflow.pyfunc.save_model(path=str(folder), python_model=Twice(), pip_requirements=["numpy"])
    return folder


@pytest.fixture
def train(tracker, saved):
    """A finished run, with its model unless there shall be none."""

    def train(*, model=True):
        with tracker.run(name="ae mine", tags={"kind": "training"}) as run:
            if model:
                run.log_model(saved)
        return run

    return train


def test_a_registered_detector_is_found_by_alias_version_and_latest(tracker, train):
    first, second = train(), train()
    assert register(tracker.client, first, name="mriad", alias="champion") == 1
    assert register(tracker.client, second, name="mriad", alias=None) == 2
    found = {name: tracker.find(f"models:/mriad{name}").run_id for name in ("@champion", "/1", "/2", "/latest")}
    assert found == {
        "@champion": first.run_id,
        "/1": first.run_id,
        "/2": second.run_id,
        "/latest": second.run_id,
    }
    assert mlflow.pyfunc.load_model("models:/mriad@champion").predict(21) == 42


def test_an_alias_moves_and_no_version_is_made_twice(tracker, train):
    first, second = train(), train()
    versions = [register(tracker.client, run, name="mriad", alias="champion") for run in (first, second, first, second)]
    assert versions == [1, 2, 1, 2]
    assert tracker.find("models:/mriad@champion").run_id == second.run_id


@pytest.mark.parametrize(
    ("detector", "told"),
    [
        ("models:/mriad@challenger", "mriad register run=<id> alias=challenger name=mriad"),
        ("models:/mriad/7", "has no models:/mriad/7"),
        ("models:/other/latest", "has no models:/other/latest"),
        ("models:/mriad", "write models:/<name>@<alias>"),
        ("models:/mriad@a/b", "write models:/<name>@<alias>"),
    ],
)
def test_what_the_registry_does_not_have_is_told(tracker, train, detector, told):
    register(tracker.client, train(), name="mriad", alias="champion")
    with pytest.raises(MriadError, match="models:/") as refusal:
        tracker.find(detector)
    assert told in str(refusal.value)


def test_a_version_without_a_run_is_told(tracker, saved):
    tracker.client.create_registered_model("mriad")
    tracker.client.create_model_version("mriad", source=saved.as_uri())
    with pytest.raises(MriadError, match="without the run that it comes from"):
        tracker.find("models:/mriad/1")


def test_a_run_without_a_model_cannot_be_registered(tracker, train):
    with pytest.raises(MriadError, match=r"has no model to register.*logger\.log_model=false"):
        register(tracker.client, train(model=False), name="mriad", alias=None)
    assert tracker.client.search_registered_models() == []


@pytest.mark.parametrize("words", [{"name": "a/b", "alias": None}, {"name": "mriad", "alias": "v1"}])
def test_a_name_that_mlflow_refuses_is_told(tracker, train, words):
    with pytest.raises(MriadError, match=r"cannot be registered \(.*\); choose another name or alias"):
        register(tracker.client, train(), **words)
