import mlflow
import pytest
from mlflow.pyfunc import PythonModel

from mriad.tracking.tracker import Tracker
from mriad.tracking.writes import Artifact, DataSets, Model, Status, Values


@pytest.fixture
def tracker(tracking_uri):
    return Tracker(tracking_uri=tracking_uri)


@pytest.fixture
def run_id(tracker):
    return tracker.client.create_run(tracker.experiment_id).info.run_id


class Twice(PythonModel):
    def predict(self, context, model_input, params=None):
        return model_input * 2


@pytest.fixture
def saved(tmp_path):
    """An MLflow model in a folder."""
    folder = tmp_path / "saved"
    mlflow.pyfunc.save_model(path=str(folder), python_model=Twice(), pip_requirements=["numpy"])
    return folder


def models(tracker, run_id):
    return tracker.client.search_logged_models([tracker.experiment_id], f"source_run_id = '{run_id}'")


def test_values_that_are_sent_twice_are_there_once(tracker, run_id):
    write = Values(points=[("loss", 0.5, 1000, 0), ("loss", 0.4, 2000, 1)], params={"lr": "0.1"}, tags={"kind": "a"})
    for _ in range(2):
        write.send(tracker.client, run_id)
    history = tracker.client.get_metric_history(run_id, "loss")
    assert sorted((point.step, point.value, point.timestamp) for point in history) == [(0, 0.5, 1000), (1, 0.4, 2000)]
    data = tracker.client.get_run(run_id).data
    assert (data.params, data.tags["kind"], data.metrics) == ({"lr": "0.1"}, "a", {"loss": 0.4})


def test_values_of_which_a_part_has_arrived_are_completed(tracker, run_id):
    Values(points=[("loss", 0.5, 1000, 0)]).send(tracker.client, run_id)
    Values(points=[("loss", 0.5, 1000, 0), ("auroc", 0.7, 1000, 0)]).send(tracker.client, run_id)
    assert len(tracker.client.get_metric_history(run_id, "loss")) == 1
    assert tracker.client.get_run(run_id).data.metrics == {"loss": 0.5, "auroc": 0.7}


def test_data_sets_that_are_sent_twice_are_there_once(tracker, run_id):
    train = {"name": "toys", "digest": "a1", "context": "training", "source": '{"uri": "/s"}', "profile": "{}"}
    for sets in ([train], [train, train | {"digest": "b2", "context": "test"}]):
        DataSets(sets=sets).send(tracker.client, run_id)
    inputs = tracker.client.get_run(run_id).inputs.dataset_inputs
    found = {(one.dataset.name, one.dataset.digest, one.tags[0].key, one.tags[0].value) for one in inputs}
    context = "mlflow.data.context"
    assert found == {("toys", "a1", context, "training"), ("toys", "b2", context, "test")}
    assert len(inputs) == 2


def test_an_artifact_is_put_over_one_of_its_name(tracker, run_id, tmp_path):
    for text in ("first", "second"):
        (tmp_path / "note.txt").write_text(text)
        Artifact(path=tmp_path / "note.txt", folder="notes").send(tracker.client, run_id)
    assert [item.path for item in tracker.client.list_artifacts(run_id, "notes")] == ["notes/note.txt"]
    assert mlflow.artifacts.load_text(f"runs:/{run_id}/notes/note.txt") == "second"


def test_a_status_keeps_its_time(tracker, run_id):
    for _ in range(2):
        Status(status="FAILED", end_time=1234).send(tracker.client, run_id)
    info = tracker.client.get_run(run_id).info
    assert (info.status, info.end_time) == ("FAILED", 1234)


def test_a_model_that_is_sent_twice_is_there_once_and_works(tracker, run_id, saved):
    write = Model(path=saved, name="model", params={"lr": "0.1"}, points=[("test/auroc", 0.9, 1000, 3)])
    Values(points=write.points).send(tracker.client, run_id)
    for _ in range(2):
        write.send(tracker.client, run_id)
    (model,) = models(tracker, run_id)
    assert (model.name, model.status.value, model.params) == ("model", "READY", {"lr": "0.1"})
    assert [(metric.key, metric.value) for metric in model.metrics] == [("test/auroc", 0.9)]
    assert len(tracker.client.get_metric_history(run_id, "test/auroc")) == 1
    assert [output.model_id for output in tracker.client.get_run(run_id).outputs.model_outputs] == [model.model_id]
    loaded = mlflow.pyfunc.load_model(f"models:/{model.model_id}")
    assert (loaded.metadata.model_id, loaded.metadata.run_id) == (model.model_id, run_id)
    assert loaded.predict(21) == 42


@pytest.mark.parametrize("call", ["log_outputs", "log_batch", "log_model_artifacts", "finalize_logged_model"])
def test_a_model_that_got_half_way_is_completed(tracker, run_id, saved, call, monkeypatch):
    write = Model(path=saved, name="model", points=[("test/auroc", 0.9, 1000, 3)])

    def breaks(*args, **kwargs):
        raise ConnectionError(call)

    with monkeypatch.context() as broken, pytest.raises(ConnectionError):
        broken.setattr(tracker.client, call, breaks)
        write.send(tracker.client, run_id)
    write.send(tracker.client, run_id)
    (model,) = models(tracker, run_id)
    assert model.status.value == "READY"
    assert mlflow.pyfunc.load_model(f"models:/{model.model_id}").predict(21) == 42


def test_another_write_is_another_model(tracker, run_id, saved):
    for _ in range(2):
        Model(path=saved, name="model").send(tracker.client, run_id)
    assert len(models(tracker, run_id)) == 2
